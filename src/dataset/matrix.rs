//! Datasets, read a range of samples at a time.

use super::description::attribute_text;
use super::reader::Reader;
use crate::files::{hdf5_error, open_hdf5};
use crate::{Error, Result};
use hdf5::H5Type;
use hdf5::plist::dataset_create::Layout;
use hdf5::types::VarLenUnicode;
use ndarray::{Array3, s};
use std::ops::{Bound, Range, RangeBounds};
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
    /// The shape of the dataset in the file.
    shape: [usize; 3],
    /// The samples that belong to it.
    samples: Range<usize>,
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
        Ok(H5Matrix { path: path.to_path_buf(), name: name.to_owned(), shape, samples: 0..shape[0], units })
    }

    /// The shape: (samples, steps, channels).
    pub fn shape(&self) -> (usize, usize, usize) {
        (self.samples.len(), self.shape[1], self.shape[2])
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

    /// A range of the samples, which is not read yet. A negative bound counts from the end, as in Python.
    ///
    /// # Errors
    /// [`Error::Parameter`] if the range is empty or exceeds the dataset (Python would silently shorten it).
    pub fn slice(&self, samples: impl RangeBounds<isize>) -> Result<H5Matrix> {
        let start = match samples.start_bound() {
            Bound::Included(&i) => i,
            Bound::Excluded(&i) => i.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match samples.end_bound() {
            Bound::Included(&-1) | Bound::Unbounded => self.samples.len() as isize,
            Bound::Included(&i) => i.saturating_add(1),
            Bound::Excluded(&i) => i,
        };
        Ok(H5Matrix { samples: self.range(start, end)?, ..self.clone() })
    }

    /// Reads a range of samples as float64. A negative bound counts from the end, as in Python.
    ///
    /// # Errors
    /// Like those of [`H5Matrix::slice`]. [`Error::File`] if the file has changed or is damaged. [`Error::NotFinite`] if a
    /// value is NaN or infinite.
    pub fn read(&self, samples: impl RangeBounds<isize>) -> Result<Array3<f64>> {
        self.slice(samples)?.read_all()
    }

    /// Reads a range of samples as float32, the precision of the network: half the memory. Otherwise like
    /// [`H5Matrix::read`].
    ///
    /// # Errors
    /// Like those of [`H5Matrix::read`]; a number too large for float32 counts as infinite.
    pub fn read_f32(&self, samples: impl RangeBounds<isize>) -> Result<Array3<f32>> {
        self.slice(samples)?.read_all()
    }

    /// The samples of the dataset from `start` to `end`, which count from this matrix's first one.
    fn range(&self, start: isize, end: isize) -> Result<Range<usize>> {
        let count = self.samples.len() as isize;
        let from_start = |i: isize| if i < 0 { i + count } else { i };
        let (first, last) = (from_start(start), from_start(end));
        if first < 0 || last > count || first >= last {
            let name = format!("range of samples of dataset '{}' in '{}'", self.name, self.path.display());
            let remedy = format!(
                "it has {count} samples: give a range within 0..{count} (or -{count}..) with at least one sample"
            );
            return Err(Error::parameter(name, format!("{start}..{end}"), remedy));
        }
        Ok(self.samples.start + first as usize..self.samples.start + last as usize)
    }

    fn read_all<T: H5Type + Copy + Into<f64>>(&self) -> Result<Array3<T>> {
        let Range { start, end } = self.samples;
        let values = self
            .open_dataset()?
            .as_reader()
            .read_slice(s![start..end, .., ..])
            .map_err(hdf5_error(&self.path, format!("read samples {start}..{end} of '{}'", self.name)))?;
        self.reject_not_finite(start, values.as_slice().unwrap_or_default())?;
        Ok(values)
    }

    /// Opens the dataset for reading samples in any order.
    pub(super) fn reader(&self) -> Result<Reader<'_>> {
        Reader::new(self, self.open_dataset()?)
    }

    fn open_dataset(&self) -> Result<hdf5::Dataset> {
        let file = open_hdf5(&self.path)?;
        if dataset_shape(&file, &self.path, &self.name)? != self.shape {
            let problem = format!("dataset '{}' had shape {:?} when it was opened", self.name, self.shape);
            return Err(Error::file(&self.path, problem, "the file has changed: open it again"));
        }
        file.dataset(&self.name).map_err(hdf5_error(&self.path, format!("open '{}'", self.name)))
    }

    /// The first sample of the dataset that belongs to this matrix.
    pub(super) fn first(&self) -> usize {
        self.samples.start
    }

    /// Checks the values of consecutive samples, of which the first has the number `sample` in the dataset.
    pub(super) fn reject_not_finite<T: Copy + Into<f64>>(&self, sample: usize, values: &[T]) -> Result<()> {
        let Some(index) = values.iter().position(|&value| !value.into().is_finite()) else { return Ok(()) };
        let [_, steps, channels] = self.shape;
        let (row, channel) = (index / channels, index % channels);
        Err(Error::NotFinite {
            what: format!("'{}', dataset '{}'", self.path.display(), self.name),
            value: values[index].into(),
            place: format!("index ({}, {}, {channel})", sample + row / steps, row % steps),
            remedy: "generate the file again, or leave this sample out".into(),
        })
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
