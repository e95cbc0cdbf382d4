//! NumPy's files: `.npy` with one array, `.npz` with several.

use hhnet::ndarray::{Array3, ArrayD, ShapeBuilder};
use hhnet::{Error, Result};
use npyz::{DType, NpyFile, Order, TypeChar};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use zip::ZipArchive;

/// Reads an array of numbers as shape (samples, steps, channels). One of shape (steps) is a single sample, and one of
/// shape (samples, steps) has one channel.
pub fn read_npy(path: &Path) -> Result<Array3<f64>> {
    let file = File::open(path).map_err(|source| Error::Io { path: path.to_path_buf(), action: "open", source })?;
    read_array(BufReader::new(file), path, "the array")
}

/// A `.npz` file.
pub struct Npz {
    path: PathBuf,
    archive: ZipArchive<BufReader<File>>,
}

impl Npz {
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|source| Error::Io { path: path.to_path_buf(), action: "open", source })?;
        let archive = ZipArchive::new(BufReader::new(file)).map_err(|reason| {
            Error::file(path, format!("it is not a .npz file: {reason}"), "if it is cut off, copy it again")
        })?;
        Ok(Npz { path: path.to_path_buf(), archive })
    }

    pub fn has(&self, name: &str) -> bool {
        self.names().any(|found| found == name)
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.archive.file_names().filter_map(|name| name.strip_suffix(".npy"))
    }

    /// Reads one of the arrays, as [`read_npy`] does.
    pub fn read(&mut self, name: &str) -> Result<Array3<f64>> {
        if !self.has(name) {
            let mut names: Vec<&str> = self.names().collect();
            names.sort();
            let remedy = format!("it holds: {}; name two of these with --x and --y", names.join(", "));
            return Err(Error::file(&self.path, format!("there is no array '{name}'"), remedy));
        }
        let path = self.path.clone();
        let entry = self.archive.by_name(&format!("{name}.npy")).map_err(|reason| {
            Error::file(&path, format!("array '{name}' cannot be unpacked: {reason}"), "save it with numpy.savez")
        })?;
        read_array(entry, &path, &format!("array '{name}'"))
    }
}

fn read_array(reader: impl Read, path: &Path, what: &str) -> Result<Array3<f64>> {
    let unreadable = |reason: std::io::Error| {
        Error::file(path, format!("{what} cannot be read: {reason}"), "save it with numpy.save or numpy.savez")
    };
    let npy = NpyFile::new(reader).map_err(unreadable)?;
    let shape = npy.shape().to_vec();
    let order = npy.order();
    let dtype = npy.dtype();
    let values = match &dtype {
        DType::Plain(kind) => match (kind.type_char(), kind.size_field()) {
            (TypeChar::Float, 8) => values::<f64, _>(npy, |v| v),
            (TypeChar::Float, 4) => values::<f32, _>(npy, f64::from),
            (TypeChar::Float, 2) => values::<npyz::half::f16, _>(npy, f64::from),
            (TypeChar::Int, 8) => values::<i64, _>(npy, |v| v as f64),
            (TypeChar::Int, 4) => values::<i32, _>(npy, f64::from),
            (TypeChar::Int, 2) => values::<i16, _>(npy, f64::from),
            (TypeChar::Int, 1) => values::<i8, _>(npy, f64::from),
            (TypeChar::Uint, 8) => values::<u64, _>(npy, |v| v as f64),
            (TypeChar::Uint, 4) => values::<u32, _>(npy, f64::from),
            (TypeChar::Uint, 2) => values::<u16, _>(npy, f64::from),
            (TypeChar::Uint, 1) => values::<u8, _>(npy, f64::from),
            _ => return Err(not_numbers(path, what, &dtype)),
        },
        _ => return Err(not_numbers(path, what, &dtype)),
    };
    let values = values.map_err(unreadable)?;
    let [samples, steps, channels] = match shape[..] {
        [steps] => [1, steps, 1],
        [samples, steps] => [samples, steps, 1],
        [samples, steps, channels] => [samples, steps, channels],
        _ => {
            let problem = format!("{what} has shape {shape:?}");
            let remedy = "give one of shape (steps), (samples, steps) or (samples, steps, channels)";
            return Err(Error::file(path, problem, remedy));
        }
    }
    .map(|length| usize::try_from(length).unwrap_or(usize::MAX));
    // The order in memory is that of the shape in the file; an axis of length 1 does not change it.
    let array = ArrayD::from_shape_vec(vec![samples, steps, channels].set_f(order == Order::Fortran), values);
    let array = array.ok().and_then(|array| array.into_dimensionality().ok());
    array.ok_or_else(|| Error::file(path, format!("{what} has fewer values than its shape {shape:?}"), "save it again"))
}

/// All values. The array's length is not believed: memory grows with what is read.
fn values<T: npyz::Deserialize, R: Read>(npy: NpyFile<R>, convert: impl Fn(T) -> f64) -> std::io::Result<Vec<f64>> {
    let mut values = Vec::new();
    for value in npy.data::<T>().map_err(|error| std::io::Error::other(error.to_string()))? {
        values.push(convert(value?));
    }
    Ok(values)
}

fn not_numbers(path: &Path, what: &str, dtype: &DType) -> Error {
    Error::file(path, format!("{what} is of type {}", dtype.descr()), "give an array of real numbers")
}
