//! Datasets, read a range of samples at a time.

use super::description::attribute_text;
use crate::files::{hdf5_error, open_hdf5};
use crate::{Error, Result};
use hdf5::plist::dataset_create::Layout;
use hdf5::types::VarLenUnicode;
use ndarray::{Array3, s};
use std::ops::{Bound, RangeBounds};
use std::path::{Path, PathBuf};

/// A dataset of shape (samples, steps, channels) in an HDF5 file. A range of its samples is read at a time.
///
/// The file is open only during a read. Datasets may be float32 or float64, chunked or compressed, and written by this
/// crate, h5py or any other program.
///
/// ```
/// # use hhnet::dataset::{GenerateOptions, H5Matrix, generate};
/// # let directory = tempfile::tempdir().unwrap();
/// # let path = directory.path().join("data.h5");
/// # generate(&path, &GenerateOptions { samples: 4, test_samples: 1, ..GenerateOptions::default() })?;
/// let x = H5Matrix::open(&path, "X")?;
/// assert_eq!(x.shape(), (4, 1000, 1));
/// assert_eq!(x.units(), Some("pA"));
/// assert_eq!(x.read(-3..)?.dim(), (3, 1000, 1)); // the last three, like X[-3:] in Python
/// assert_eq!(x.read(..-3)?.dim(), (1, 1000, 1)); // all but the last three, like X[:-3]
/// assert!(x.read(..9).is_err()); // there are only four samples
/// # Ok::<(), hhnet::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct H5Matrix {
    path: PathBuf,
    name: String,
    shape: [usize; 3],
    units: Option<String>,
}

impl H5Matrix {
    /// Opens dataset `name` of the file. Reads only its shape, type and units.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::File`] if the file cannot be opened or is not an HDF5 file, if the dataset is missing
    /// (the message lists the existing ones), or if it is not a 3-dimensional array of float32 or float64, or empty.
    pub fn open(path: impl AsRef<Path>, name: &str) -> Result<Self> {
        let path = path.as_ref();
        let file = open_hdf5(path)?;
        let shape = dataset_shape(&file, path, name)?;
        let units = file.dataset(name).and_then(|dataset| attribute_text(&dataset, "units")).ok();
        Ok(H5Matrix { path: path.to_path_buf(), name: name.to_owned(), shape, units })
    }

    /// The shape: (samples, steps, channels).
    pub fn shape(&self) -> (usize, usize, usize) {
        self.shape.into()
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The dataset's name in the file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The unit of the values, such as `mV`, if the file states it.
    pub fn units(&self) -> Option<&str> {
        self.units.as_deref()
    }

    /// Reads a range of samples as float64. A negative bound counts from the end, as in Python.
    ///
    /// # Errors
    /// [`Error::Parameter`] if the range is empty or exceeds the dataset (Python would silently shorten it).
    /// [`Error::File`] if the file has changed or is damaged. [`Error::NotFinite`] if a value is NaN or infinite.
    pub fn read(&self, samples: impl RangeBounds<isize>) -> Result<Array3<f64>> {
        let start = match samples.start_bound() {
            Bound::Included(&i) => i,
            Bound::Excluded(&i) => i.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match samples.end_bound() {
            Bound::Included(&-1) | Bound::Unbounded => self.shape[0] as isize,
            Bound::Included(&i) => i.saturating_add(1),
            Bound::Excluded(&i) => i,
        };
        self.read_between(start, end)
    }

    fn read_between(&self, start: isize, end: isize) -> Result<Array3<f64>> {
        let count = self.shape[0] as isize;
        let from_start = |i: isize| if i < 0 { i + count } else { i };
        let (first, last) = (from_start(start), from_start(end));
        if first < 0 || last > count || first >= last {
            let name = format!("range of samples of dataset '{}' in '{}'", self.name, self.path.display());
            let remedy = format!(
                "it has {count} samples: give a range within 0..{count} (or -{count}..) with at least one sample"
            );
            return Err(Error::parameter(name, format!("{start}..{end}"), remedy));
        }
        let file = open_hdf5(&self.path)?;
        if dataset_shape(&file, &self.path, &self.name)? != self.shape {
            let problem = format!("dataset '{}' had shape {:?} when it was opened", self.name, self.shape);
            return Err(Error::file(&self.path, problem, "the file has changed: open it again"));
        }
        let (first, last) = (first as usize, last as usize);
        let values = file
            .dataset(&self.name)
            .and_then(|dataset| dataset.as_reader().read_slice(s![first..last, .., ..]))
            .map_err(hdf5_error(&self.path, format!("read samples {first}..{last} of '{}'", self.name)))?;
        reject_not_finite(&values, first, &self.name, &self.path)?;
        Ok(values)
    }
}

/// The shape of a dataset that this crate can read.
fn dataset_shape(file: &hdf5::File, path: &Path, name: &str) -> Result<[usize; 3]> {
    let Ok(dataset) = file.dataset(name) else {
        let mut names: Vec<String> = file.member_names().unwrap_or_default();
        names.sort();
        let remedy = format!("it holds: {}", if names.is_empty() { "nothing".to_owned() } else { names.join(", ") });
        return Err(Error::file(path, format!("there is no dataset '{name}'"), remedy));
    };
    let shape = dataset.shape();
    let is_float = dataset.dtype().is_ok_and(|t| t.is::<f64>() || t.is::<f32>());
    match <[usize; 3]>::try_from(shape.as_slice()) {
        Ok(shape) if is_float && !shape.contains(&0) => {
            check_shards(file, &dataset, path, name)?;
            Ok(shape)
        }
        _ => {
            let dtype =
                dataset.dtype().and_then(|t| t.to_descriptor()).map_or("another type".to_owned(), |t| t.to_string());
            let problem = format!("dataset '{name}' is an array of {dtype} of shape {shape:?}");
            Err(Error::file(path, problem, "use a dataset of float32 or float64 of shape (samples, steps, channels)"))
        }
    }
}

/// Checks that the shards of a virtual dataset exist: HDF5 would silently fill in the samples of a missing one. Their
/// names are in a list that [`merge`](super::merge) writes.
fn check_shards(file: &hdf5::File, dataset: &hdf5::Dataset, path: &Path, name: &str) -> Result<()> {
    if dataset.layout() != Layout::Virtual {
        return Ok(());
    }
    // Another program's virtual datasets come without a list.
    let shards = file.dataset("shards").and_then(|shards| shards.read_raw::<VarLenUnicode>()).unwrap_or_default();
    let beside = path.parent().unwrap_or(Path::new(""));
    match shards.iter().find(|shard| !beside.join(shard.as_str()).exists()) {
        None => Ok(()),
        Some(shard) => {
            let problem = format!("dataset '{name}' is joined from several shards, of which '{shard}' is missing");
            Err(Error::file(path, problem, "put it back; `hhnet merge --copy` makes a file that needs no shards"))
        }
    }
}

fn reject_not_finite(values: &Array3<f64>, first: usize, name: &str, path: &Path) -> Result<()> {
    // The sum is not finite if any value is not. Only then it is worth looking for the value.
    if values.sum().is_finite() {
        return Ok(());
    }
    match values.indexed_iter().find(|(_, v)| !v.is_finite()) {
        None => Ok(()),
        Some(((sample, step, channel), &value)) => Err(Error::NotFinite {
            what: format!("'{}', dataset '{name}'", path.display()),
            value,
            place: format!("index ({}, {step}, {channel})", first + sample),
            remedy: "generate the file again, or leave this sample out".into(),
        }),
    }
}
