//! Memory for sizes that come from users and files. Rust ends the process where it cannot allocate, and Linux where
//! there is none left; so a size is compared with what there is before memory is taken.

use std::fs;

use hdf5::H5Type;
use hdf5::types::VarLenUnicode;

use crate::{Error, Result};

/// Up to this size, in bytes, the system is not asked: asking takes longer than a small prediction.
const SMALL: u128 = 16 << 20;
/// What remains for other uses of this and other programs, bytes.
const RESERVE: u64 = 64 << 20;

/// Checks that there is memory for `count` values of type `T`. The error is made from a text such as
/// `needs 8.0 TB of memory, have 20.1 GB`.
pub(crate) fn check<T>(count: u128, error: impl FnOnce(String) -> Error) -> Result<()> {
    shortage(count.saturating_mul(size_of::<T>() as u128)).map_or(Ok(()), |shortage| Err(error(shortage)))
}

/// Memory for values that a function returns as they are, not as a [`Result`]: `name` is what the user calls their
/// number.
///
/// # Panics
/// If there is not so much memory.
pub(crate) fn with_capacity<T>(name: &str, count: usize) -> Vec<T> {
    let enough = check::<T>(count as u128, |shortage| Error::parameter(name, count, shortage));
    enough.map_or_else(|error| panic!("{error}"), |()| Vec::with_capacity(count))
}

/// All values of a dataset, which may claim any number of them.
pub(crate) fn read_dataset<T: H5Type>(dataset: &hdf5::Dataset) -> hdf5::Result<Vec<T>> {
    let count = dataset.shape().into_iter().fold(1_u128, |product, length| product.saturating_mul(length as u128));
    match shortage(count.saturating_mul(size_of::<T>() as u128)) {
        Some(shortage) => Err(format!("an array of shape {:?} {shortage}", dataset.shape()).into()),
        None => dataset.read_raw(),
    }
}

/// The texts of a dataset. Bytes that are not UTF-8 are replaced: a file may hold any.
pub(crate) fn read_texts(dataset: &hdf5::Dataset) -> hdf5::Result<Vec<String>> {
    let texts = read_dataset::<VarLenUnicode>(dataset)?;
    Ok(texts.iter().map(|text| String::from_utf8_lossy(text.as_bytes()).into_owned()).collect())
}

/// What is missing for so many bytes; `None` if there is enough memory.
pub(crate) fn shortage(bytes: u128) -> Option<String> {
    if bytes <= SMALL {
        return None;
    }
    let have = available();
    let fits = have.is_none_or(|have| bytes <= u128::from(have.saturating_sub(RESERVE)));
    // Also where the process may use only a part of it.
    let allocates = usize::try_from(bytes).is_ok_and(|bytes| Vec::<u8>::new().try_reserve_exact(bytes).is_ok());
    if fits && allocates {
        return None;
    }
    let have = match have {
        Some(have) if !fits => size(have.into()),
        _ => "less".to_owned(),
    };
    Some(format!("needs {} of memory, have {have}", size(bytes)))
}

/// Memory that programs can still have, bytes. `None` where the system does not tell.
fn available() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let free = line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.saturating_mul(1024);
    // The limit of a container.
    let number = |name: &str| fs::read_to_string(format!("/sys/fs/cgroup/{name}")).ok()?.trim().parse::<u64>().ok();
    let limit = number("memory.max").map(|max| max.saturating_sub(number("memory.current").unwrap_or(0)));
    Some(limit.map_or(free, |limit| limit.min(free)))
}

/// A number of bytes, such as `8.0 TB`.
pub(crate) fn size(bytes: u128) -> String {
    let units = [("EB", 1e18), ("PB", 1e15), ("TB", 1e12), ("GB", 1e9), ("MB", 1e6)];
    let bytes = bytes as f64;
    let (unit, factor) = units.into_iter().find(|(_, factor)| bytes >= *factor).unwrap_or(("kB", 1e3));
    format!("{:.1} {unit}", bytes / factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_that_no_machine_has_are_refused() {
        assert_eq!(shortage(0), None);
        assert_eq!(shortage(10 << 20), None);
        for (bytes, needs) in [(8e12, "8.0 TB"), (1e18, "1.0 EB"), (1e30, "1000000000000.0 EB")] {
            let shortage = shortage(bytes as u128).unwrap();
            assert!(shortage.starts_with(&format!("needs {needs} of memory, have ")), "{shortage}");
        }
        let error = check::<f64>(u128::MAX, |shortage| Error::parameter("samples", 3, shortage)).unwrap_err();
        assert!(error.to_string().starts_with("samples = 3: needs "), "{error}");
    }

    #[test]
    #[should_panic(expected = "num = 18446744073709551615: needs 147.6 EB of memory, have ")]
    fn a_panic_names_the_number() {
        with_capacity::<f64>("num", usize::MAX);
    }
}
