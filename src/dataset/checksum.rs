//! Checksums that HDF5 files carry, so that damage and later changes are found.
//!
//! A dataset of samples has the SHA-256 of its values as attribute `sha256`: of float64 numbers in C order, the lowest
//! byte first. In Python that is `hashlib.sha256(file["X"][()].tobytes()).hexdigest()`. The file's own attribute
//! `sha256` covers all the rest: every attribute, these among them, and the name, type, shape and values of every other
//! dataset. It depends on what the file holds and not on how HDF5 stores it. `program` names what wrote it.

use super::description::{attribute, list_datasets, text, type_name};
use crate::files::{NewFile, write_text_attribute};
use crate::memory;
use hdf5::plist::dataset_create::Layout;
use hdf5::types::TypeDescriptor;
use hdf5::{Dataset, File, Group, Hyperslab, IndexType, IterationOrder, LinkType, LocationToken, LocationType, Result};
use hdf5::{H5Type, Location, SliceOrIndex};
use ndarray::ArrayD;
use sha2::{Digest, Sha256};

/// What writes these files.
pub(crate) const PROGRAM: &str = concat!("hhnet ", env!("CARGO_PKG_VERSION"));
/// The attribute that names it.
pub(crate) const PROGRAM_ATTRIBUTE: &str = "program";
/// The attribute with a checksum.
pub(crate) const CHECKSUM: &str = "sha256";
/// Values of a dataset that are read at a time.
const BLOCK_VALUES: usize = 1 << 20;
/// A dataset with more values in a row, or with more texts, has no checksum: nothing here writes such a thing.
const MAX_VALUES: usize = 1 << 26;

/// What is wrong with a file that its checksum does not fit, and what to do.
pub(crate) const CHANGED: [&str; 2] = [
    "its contents have changed since it was written: they do not fit its checksum",
    "copy or make it again; if the change was intended, delete the attribute 'sha256' of the file",
];

/// A SHA-256 that is computed piece by piece.
#[derive(Debug, Clone, Default)]
pub(crate) struct Checksum(Sha256);

impl Checksum {
    pub fn numbers(&mut self, values: &[f64]) {
        if cfg!(target_endian = "little") {
            self.0.update(bytemuck::cast_slice(values));
        } else {
            values.iter().for_each(|value| self.0.update(value.to_le_bytes()));
        }
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// A text, with its length, which keeps it apart from the next one.
    pub fn text(&mut self, text: &str) {
        self.0.update((text.len() as u64).to_le_bytes());
        self.0.update(text);
    }

    /// In hexadecimal digits.
    pub fn digits(self) -> String {
        format!("{:x}", self.0.finalize())
    }
}

/// What comparing a file with its checksum has found.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Seal {
    /// It has no checksum.
    Missing,
    /// Its checksum does not fit.
    Broken,
    /// It is as this program wrote it.
    Whole(String),
}

/// The checksum that is written in a file or dataset.
pub(crate) fn recorded(place: &Location) -> Option<String> {
    text(place, CHECKSUM)
}

/// The version of this program that wrote a file, if one did.
pub(crate) fn program(file: &File) -> Option<String> {
    text(file, PROGRAM_ATTRIBUTE).filter(|program| program.starts_with("hhnet "))
}

/// Writes program and checksum into a file with all its contents, and gives it its final name.
pub(crate) fn finish(new: NewFile, file: File) -> crate::Result<()> {
    seal(&file).and_then(|()| file.close()).map_err(crate::Error::hdf5(new.target(), "finish it"))?;
    new.finish()
}

/// Writes program and checksum into a file with all its contents.
pub(crate) fn seal(file: &File) -> Result<()> {
    write_text_attribute(file, PROGRAM_ATTRIBUTE, PROGRAM)?;
    write_text_attribute(file, CHECKSUM, &of_file(file)?)
}

/// Compares a file with its checksum, apart from the values of datasets that have one of their own.
pub(crate) fn check(file: &File) -> Result<Seal> {
    let (Some(recorded), Some(program)) = (recorded(file), program(file)) else { return Ok(Seal::Missing) };
    Ok(if of_file(file)? == recorded { Seal::Whole(program) } else { Seal::Broken })
}

/// The datasets that have a checksum of their own, and these.
pub(crate) fn of_datasets(file: &File) -> Vec<(String, String)> {
    let (datasets, _) = list_datasets(file);
    let filled = datasets.into_iter().filter(|dataset| !dataset.shape.contains(&0));
    filled
        .filter_map(|dataset| recorded(&*file.dataset(&dataset.name).ok()?).map(|digits| (dataset.name, digits)))
        .collect()
}

/// The checksum of everything but the values of datasets that have their own.
fn of_file(file: &File) -> Result<String> {
    let mut walk = Walk { checksum: Checksum::default(), seen: Vec::new() };
    walk.group(file, "/")?;
    Ok(walk.checksum.digits())
}

struct Walk {
    checksum: Checksum,
    /// The groups on the way and before: a damaged file may have one within itself.
    seen: Vec<(u64, LocationToken)>,
}

impl Walk {
    fn group(&mut self, group: &Group, path: &str) -> Result<()> {
        let info = group.loc_info()?;
        if self.seen.contains(&(info.fileno, info.token)) {
            return Ok(());
        }
        self.seen.push((info.fileno, info.token));
        self.checksum.text(path);
        self.attributes(group, path)?;
        for (name, info) in group.links(IndexType::Name, IterationOrder::Increasing)? {
            let path = format!("{path}{name}");
            if info.link_type != LinkType::Hard {
                self.checksum.text(&format!("{path} leads elsewhere"));
                continue;
            }
            match group.loc_type_by_name(&name)? {
                LocationType::Group => self.group(&group.group(&name)?, &format!("{path}/"))?,
                LocationType::Dataset => self.dataset(&group.dataset(&name)?, &path)?,
                _ => self.checksum.text(&path),
            }
        }
        Ok(())
    }

    /// The attributes of a group or dataset. Those of the file itself do not count its own checksum.
    fn attributes(&mut self, place: &Location, path: &str) -> Result<()> {
        let mut names = place.attr_names()?;
        names.retain(|name| path != "/" || name != CHECKSUM);
        names.sort();
        for name in names {
            self.checksum.text(&name);
            self.checksum.text(&attribute(place, &name).to_string());
        }
        Ok(())
    }

    fn dataset(&mut self, dataset: &Dataset, path: &str) -> Result<()> {
        self.checksum.text(&format!("{path}: {} {:?}", type_name(dataset), dataset.shape()));
        self.attributes(dataset, path)?;
        if recorded(dataset).is_some() || dataset.layout() == Layout::Virtual {
            return Ok(());
        }
        match dataset.dtype()?.to_descriptor()? {
            TypeDescriptor::Integer(_) | TypeDescriptor::Unsigned(_) => {
                self.numbers(dataset, path, |checksum, values: &[i64]| {
                    values.iter().for_each(|value| checksum.bytes(&value.to_le_bytes()))
                })
            }
            TypeDescriptor::Float(_) => self.numbers(dataset, path, Checksum::numbers),
            TypeDescriptor::VarLenUnicode if dataset.size() <= MAX_VALUES => {
                memory::read_texts(dataset)?.iter().for_each(|text| self.checksum.text(text));
                Ok(())
            }
            other => Err(format!("'{path}' has values of type {other}, of which no checksum is made").into()),
        }
    }

    fn numbers<T: H5Type>(&mut self, dataset: &Dataset, path: &str, add: impl Fn(&mut Checksum, &[T])) -> Result<()> {
        let shape = dataset.shape();
        let Some(&rows) = shape.first() else {
            add(&mut self.checksum, &dataset.read_raw()?);
            return Ok(());
        };
        let row = shape[1..].iter().try_fold(1_usize, |product, &length| product.checked_mul(length));
        let row = row.filter(|&row| row <= MAX_VALUES).ok_or_else(|| format!("'{path}' is too large"))?;
        let at_a_time = (BLOCK_VALUES / row.max(1)).max(1);
        for first in (0..rows).step_by(at_a_time) {
            let last = (first + at_a_time).min(rows);
            let mut selection = vec![SliceOrIndex::from(..); shape.len()];
            selection[0] = (first..last).into();
            let values: ArrayD<T> = dataset.read_slice(Hyperslab::from(selection))?;
            add(&mut self.checksum, &values.into_raw_vec_and_offset().0);
        }
        Ok(())
    }
}
