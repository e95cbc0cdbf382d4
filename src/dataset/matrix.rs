//! Datasets, read a range of samples at a time.

use super::description::{broken_link, list_datasets, type_name, units};
use super::merge::SHARDS;
use super::reader::{Reader, zeros};
use super::source::{Number, Opened, Source};
use crate::files::open_hdf5;
use crate::memory;
use crate::{Error, Result};
use hdf5::plist::dataset_create::Layout;
use hdf5::types::TypeDescriptor;
use ndarray::Array3;
use std::ops::{Bound, Range, RangeBounds};
use std::path::{Path, PathBuf};

/// Values of a dataset that is read as a whole, which makes training a little quicker: 32 MB in 32-bit numbers.
const MEMORY_VALUES: usize = 1 << 23;

/// A dataset of samples in an HDF5 file. A range of them is read at a time.
///
/// Its shape is (samples, steps, channels); (samples, steps), which is read as one channel; or (steps), which is read
/// as one sample with one channel. Its values are numbers: integers of 8 to 64 bits and floating-point numbers of 16 to
/// 64 bits, in either byte order. They may be stored in chunks and compressed, and be behind links to other places or
/// files. Any program may have written them. MATLAB reverses the dimensions: there, the shape is (channels, steps,
/// samples).
///
/// The file is open only during a read.
///
/// ```
/// # use hhnet::dataset::{GenerateOptions, H5Matrix, generate};
/// # let directory = tempfile::tempdir().unwrap();
/// # let path = directory.path().join("data.h5");
/// # generate(&path, &GenerateOptions { samples: 4, test_samples: 1, ..GenerateOptions::default() })?;
/// let x = H5Matrix::open(&path, "X")?;
/// assert_eq!(x.shape(), (4, 1000, 1));
/// assert_eq!((x.dtype(), x.units()), ("float64", Some("pA")));
/// assert_eq!(x.read(-3..)?.dim(), (3, 1000, 1)); // the last three, like X[-3:] in Python
/// assert_eq!(x.read(..-3)?.dim(), (1, 1000, 1)); // all but the last three, like X[:-3]
/// assert!(x.read(..9).is_err()); // there are only four samples
/// assert_eq!(x.slice(1..)?.shape(), (3, 1000, 1)); // not read yet, for example to train on
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
    dtype: String,
    units: Option<String>,
    allow_nan: bool,
}

impl H5Matrix {
    /// Opens dataset `name` of the file, with the groups that it is in, such as `recordings/X`. Reads only its shape,
    /// type and units.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::File`] if the file cannot be opened or is not an HDF5 file, if the dataset is missing
    /// (the message lists the existing ones, or names the broken link), if it is not an array of numbers with 1 to 3
    /// dimensions, if it is empty, or if it is compressed by a filter that is not there (the message names it).
    pub fn open(path: impl AsRef<Path>, name: &str) -> Result<Self> {
        let path = path.as_ref();
        let dataset = open_dataset(path, name)?;
        let shape = samples_shape(&dataset, path, name)?;
        Ok(H5Matrix {
            path: path.to_path_buf(),
            name: name.to_owned(),
            shape,
            samples: 0..shape[0],
            dtype: type_name(&dataset),
            units: units(&dataset),
            allow_nan: false,
        })
    }

    /// Lets `read` return NaN and infinite values, which it refuses otherwise. Training, evaluation and prediction refuse
    /// them all the same.
    ///
    /// ```
    /// # use hhnet::dataset::{H5Matrix, save};
    /// # use hhnet::ndarray::arr3;
    /// # let directory = tempfile::tempdir().unwrap();
    /// # let path = directory.path().join("data.h5");
    /// save(&path, "Y", &arr3(&[[[1.0], [f64::NAN]]]), "mV", false)?;
    /// let y = H5Matrix::open(&path, "Y")?;
    /// assert!(y.read(..).unwrap_err().to_string().contains("NaN at index (0, 1, 0)"));
    /// assert!(y.allow_nan().read(..)?[(0, 1, 0)].is_nan());
    /// # Ok::<(), hhnet::Error>(())
    /// ```
    pub fn allow_nan(mut self) -> Self {
        self.allow_nan = true;
        self
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

    /// The type of the values in the file, such as `int16`.
    pub fn dtype(&self) -> &str {
        &self.dtype
    }

    /// The unit of the values, such as `mV`, if the file states it in an attribute `units` or `unit`.
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
        self.slice_between(start, end)
    }

    /// Reads a range of samples as float64. A negative bound counts from the end, as in Python.
    ///
    /// # Errors
    /// Like those of [`slice`](Self::slice). [`Error::File`] if the file has changed or is damaged, or the samples do
    /// not fit into memory. [`Error::NotFinite`] if a value is NaN or infinite; see [`allow_nan`](Self::allow_nan).
    pub fn read(&self, samples: impl RangeBounds<isize>) -> Result<Array3<f64>> {
        self.slice(samples)?.read_f64()
    }

    /// Reads a range of samples as float32, in half the memory, otherwise like [`read`](Self::read). What is too large
    /// for float32 becomes infinite, and is refused.
    ///
    /// # Errors
    /// As for [`read`](Self::read).
    pub fn read_f32(&self, samples: impl RangeBounds<isize>) -> Result<Array3<f32>> {
        self.slice(samples)?.read_all()
    }

    // Not generic, so that cells do not compile it again.
    fn read_f64(&self) -> Result<Array3<f64>> {
        self.read_all()
    }

    /// Reads all its samples.
    pub(super) fn read_all<T: Number>(&self) -> Result<Array3<T>> {
        let reader = Reader::open(self.clone())?;
        let shape = self.shape();
        let count = shape.0 as u128 * shape.1 as u128 * shape.2 as u128;
        memory::check::<T>(count, |shortage| {
            let problem = format!("dataset '{}': a range of {} samples {shortage}", self.name, shape.0);
            Error::file(&self.path, problem, "read a smaller range of samples at a time")
        })?;
        let mut values: Vec<T> = zeros(count as usize);
        reader.read_range(self.samples.clone(), &mut values)?;
        let action = format!("arrange the samples of '{}'", self.name);
        Array3::from_shape_vec(shape, values).map_err(|error| Error::hdf5(&self.path, action)(error.into()))
    }

    /// The samples between two bounds, of which negative ones count from the end.
    fn slice_between(&self, start: isize, end: isize) -> Result<H5Matrix> {
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
        let samples = self.samples.start + first as usize..self.samples.start + last as usize;
        Ok(H5Matrix { samples, ..self.clone() })
    }

    /// The first of its samples in the dataset.
    pub(super) fn first(&self) -> usize {
        self.samples.start
    }

    /// Opens the dataset, if it is still as it was.
    pub(super) fn dataset(&self) -> Result<hdf5::Dataset> {
        let dataset = open_dataset(&self.path, &self.name)?;
        if samples_shape(&dataset, &self.path, &self.name)? != self.shape {
            let problem = format!("dataset '{}' had shape {:?} when it was opened", self.name, self.shape);
            return Err(Error::file(&self.path, problem, "the file has changed: open it again"));
        }
        Ok(dataset)
    }

    /// Refuses values that are not finite, unless they may be read. `first` is the number of the first one in the dataset.
    pub(super) fn check<T: Number>(&self, first: usize, values: &[T]) -> Result<()> {
        // `all` would look at one value at a time.
        if self.allow_nan || values.iter().fold(true, |all, value| all & value.is_finite()) {
            return Ok(());
        }
        let Some(nth) = values.iter().position(|value| !value.is_finite()) else { return Ok(()) };
        let ([_, steps, channels], index) = (self.shape, first + nth);
        let (sample, step, channel) = (index / (steps * channels), index / channels % steps, index % channels);
        let what = format!("'{}', dataset '{}'", self.path.display(), self.name);
        let place = format!("index ({sample}, {step}, {channel})");
        let remedy = "generate the file again, leave this sample out, or keep such values (`allow_nan`)";
        Err(Error::not_finite(what, values[nth], place, remedy))
    }
}

impl Source for H5Matrix {
    fn shape(&self) -> (usize, usize, usize) {
        self.shape()
    }

    fn open(&self, _: &str) -> Result<Opened<'_>> {
        let (samples, steps, channels) = self.shape();
        // NaN may be read, but not computed with.
        let matrix = H5Matrix { allow_nan: false, ..self.clone() };
        if samples.saturating_mul(steps * channels) > MEMORY_VALUES {
            return Ok(Opened::File(Box::new(Reader::open(matrix)?)));
        }
        let values = matrix.read_all::<f32>()?;
        Ok(Opened::Memory(values.into_raw_vec_and_offset().0.into()))
    }
}

fn open_dataset(path: &Path, name: &str) -> Result<hdf5::Dataset> {
    let file = open_hdf5(path)?;
    let dataset = file.dataset(name).map_err(|_| no_dataset(&file, path, name))?;
    check_shards(&file, &dataset, path, name)?;
    check_filters(&dataset, path, name)?;
    Ok(dataset)
}

/// Why there is no such dataset.
fn no_dataset(file: &hdf5::File, path: &Path, name: &str) -> Error {
    let ends = name.match_indices('/').map(|(end, _)| end).chain([name.len()]);
    if let Some((link, reason)) = ends.map(|end| &name[..end]).find_map(|link| Some((link, broken_link(file, link)?))) {
        let problem = format!("there is no dataset '{name}', as '{link}' is a broken link ({reason})");
        return Error::file(path, problem, "put back what it leads to, or name another dataset");
    }
    if file.group(name).is_ok() {
        return Error::file(path, format!("'{name}' is not a dataset: it is a group"), "name a dataset in it");
    }
    /// Datasets that are named.
    const NAMED: usize = 20;
    let mut names: Vec<String> = list_datasets(file).0.into_iter().map(|dataset| dataset.name).collect();
    let more = if names.len() > NAMED { format!(", and {} more", names.len() - NAMED) } else { String::new() };
    names.truncate(NAMED);
    let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    Error::file(path, format!("there is no dataset '{name}'"), format!("its datasets: {names}{more}"))
}

/// The shape (samples, steps, channels) of a dataset that this crate can read.
fn samples_shape(dataset: &hdf5::Dataset, path: &Path, name: &str) -> Result<[usize; 3]> {
    use TypeDescriptor as T;
    let is_number = dataset
        .dtype()
        .and_then(|dtype| dtype.to_descriptor())
        .is_ok_and(|dtype| matches!(dtype, T::Float(_) | T::Integer(_) | T::Unsigned(_)));
    let shape = dataset.shape();
    // What a slice in memory may hold.
    let values = shape.iter().try_fold(8_usize, |bytes, &length| bytes.checked_mul(length));
    let is_number = is_number && values.is_some_and(|bytes| isize::try_from(bytes).is_ok());
    match shape[..] {
        [steps] if is_number && steps > 0 => Ok([1, steps, 1]),
        [samples, steps] if is_number && !shape.contains(&0) => Ok([samples, steps, 1]),
        [samples, steps, channels] if is_number && !shape.contains(&0) => Ok([samples, steps, channels]),
        _ => {
            let problem = format!("dataset '{name}' is an array of {} of shape {shape:?}", type_name(dataset));
            let remedy = "use a dataset of integers or floating-point numbers of shape (samples, steps, channels), \
                          (samples, steps) or (steps), with at least one value";
            Err(Error::file(path, problem, remedy))
        }
    }
}

/// Filters with which other programs compress: <https://github.com/HDFGroup/hdf5_plugins>.
const FILTERS: [(i32, &str); 13] = [
    (1, "gzip"),
    (4, "szip"),
    (305, "lzo"),
    (307, "bzip2"),
    (32000, "lzf"),
    (32001, "blosc"),
    (32003, "snappy"),
    (32004, "lz4"),
    (32008, "bitshuffle"),
    (32013, "zfp"),
    (32015, "zstd"),
    (32024, "sz3"),
    (32026, "blosc2"),
];

/// Checks that all filters of a dataset are there. HDF5's own message names a directory, not the filter.
fn check_filters(dataset: &hdf5::Dataset, path: &Path, name: &str) -> Result<()> {
    let Some(missing) = dataset.filters().into_iter().find(|filter| !filter.is_available()) else {
        return Ok(());
    };
    let id = missing.id();
    let known = FILTERS.iter().find(|(known, _)| *known == id).map_or("unknown to hhnet", |(_, name)| name);
    let problem = format!("dataset '{name}' is compressed by the filter {id} ({known}), which HDF5 does not have here");
    let remedy = "where the file was made, run `h5repack -f GZIP=4 OLD.h5 NEW.h5` and use the new file; or set \
                  HDF5_PLUGIN_PATH to a directory with this filter, such as that of the Python package hdf5plugin";
    Err(Error::file(path, problem, remedy))
}

/// Checks that the shards of a virtual dataset exist: HDF5 would silently fill in the samples of a missing one. Their
/// names are in a list that [`merge`](super::merge) writes.
fn check_shards(file: &hdf5::File, dataset: &hdf5::Dataset, path: &Path, name: &str) -> Result<()> {
    if dataset.layout() != Layout::Virtual {
        return Ok(());
    }
    // Another program's virtual datasets come without a list.
    let shards = file.dataset(SHARDS).and_then(|shards| memory::read_texts(&shards)).unwrap_or_default();
    let beside = path.parent().unwrap_or(Path::new(""));
    match shards.iter().find(|shard| !beside.join(shard.as_str()).exists()) {
        None => Ok(()),
        Some(shard) => {
            let problem = format!("dataset '{name}' is joined from several shards, of which '{shard}' is missing");
            Err(Error::file(path, problem, "put it back; `hhnet merge --copy` makes a file that needs no shards"))
        }
    }
}
