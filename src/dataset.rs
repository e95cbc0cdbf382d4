//! The data set: noisy currents and the neuron's potentials, written to and read from HDF5.
//!
//! A file holds `X` and `Y`, currents (pA) and potentials (mV) of shape (samples, steps, 1), and `X_test` and `Y_test`,
//! fewer and longer ones; everything is float64, one value per millisecond. Parameters, seed and units stand in HDF5
//! attributes. `dropped_trials` and `dropped_test_trials` tell which trials were left out, because the neuron spiked; if
//! they were to be kept, the groups `spikes` and `spikes_test` hold all spikes as NEST's recorder does, `senders` (which
//! sample) beside `times` (ms). A file that [`merge`] made may hold virtual datasets; `parts` then lists the files they are in.

mod generate;
mod merge;
mod options;

pub use generate::{Generated, generate};
pub use merge::{MergeOptions, Merged, merge};
pub use options::{GenerateOptions, Shard};

use crate::files::{NewFile, hdf5_error, open_hdf5};
use crate::{Error, Result};
use hdf5::plist::dataset_create::Layout;
use hdf5::types::VarLenUnicode;
use ndarray::{Array3, s};
use std::ops::{Bound, RangeBounds};
use std::path::{Path, PathBuf};

/// How many groups deep [`describe`] looks.
const MAX_DEPTH: usize = 16;

fn text_attribute(place: &hdf5::Location, name: &str, text: &str) -> hdf5::Result<()> {
    place.new_attr::<VarLenUnicode>().create(name)?.write_scalar(&hdf5_text(text)?)
}

fn hdf5_text(text: &str) -> hdf5::Result<VarLenUnicode> {
    text.parse().map_err(|e: hdf5::types::StringError| hdf5::Error::from(e.to_string().as_str()))
}

/// A dataset of shape (samples, steps, channels) in an HDF5 file, read in parts on demand.
///
/// The file is open only while something is read. Float32 and float64 datasets are read, chunked, compressed or not, from
/// this crate, from h5py or from any other program.
///
/// ```
/// # use hhnet::dataset::{GenerateOptions, H5Matrix, generate};
/// # let directory = tempfile::tempdir().unwrap();
/// # let path = directory.path().join("data.h5");
/// # generate(&path, &GenerateOptions { samples: 4, test_samples: 1, ..GenerateOptions::default() })?;
/// let x = H5Matrix::open(&path, "X")?;
/// assert_eq!(x.shape(), (4, 1000, 1));
/// assert_eq!(x.read(-3..)?.dim(), (3, 1000, 1)); // the last three, as X[-3:] in Python
/// assert_eq!(x.read(..-3)?.dim(), (1, 1000, 1)); // all but the last three, X[:-3]
/// assert!(x.read(..9).is_err()); // there is no ninth sample
/// # Ok::<(), hhnet::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct H5Matrix {
    path: PathBuf,
    name: String,
    shape: [usize; 3],
}

impl H5Matrix {
    /// Looks at dataset `name` of the file; reads nothing but its shape and type.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::File`] if the file cannot be opened or is not an HDF5 file, if the dataset is missing
    /// (the message lists what is there), or if it is not a 3-dimensional array of float32 or float64 with something in it.
    pub fn open(path: impl AsRef<Path>, name: &str) -> Result<Self> {
        let path = path.as_ref();
        let shape = dataset_shape(&open_hdf5(path)?, path, name)?;
        Ok(H5Matrix { path: path.to_path_buf(), name: name.to_owned(), shape })
    }

    /// (samples, steps, channels).
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

    /// Reads a range of samples as float64; a negative bound counts from the end, as in Python.
    ///
    /// # Errors
    /// [`Error::Parameter`] if the range is empty or leaves the dataset (Python would cut it short without a word);
    /// [`Error::File`] if the file changed or is damaged; [`Error::NotFinite`] if a value is NaN or infinite.
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
            let remedy =
                format!("it has {count} samples: give a range within 0..{count} (or -{count}..) that is not empty");
            return Err(Error::parameter(name, format!("{start}..{end}"), remedy));
        }
        let file = open_hdf5(&self.path)?;
        if dataset_shape(&file, &self.path, &self.name)? != self.shape {
            let problem = format!("dataset '{}' no longer has shape {:?}", self.name, self.shape);
            return Err(Error::file(&self.path, problem, "the file was replaced: open it again"));
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
            refuse_missing_parts(file, &dataset, path, name)?;
            Ok(shape)
        }
        _ => {
            let dtype =
                dataset.dtype().and_then(|t| t.to_descriptor()).map_or("another type".to_owned(), |t| t.to_string());
            let problem = format!("dataset '{name}' is an array of {dtype} of shape {shape:?}");
            Err(Error::file(path, problem, "float32 or float64 of shape (samples, steps, channels) is needed"))
        }
    }
}

/// HDF5 itself would fill what is missing of a virtual dataset, without a word. [`merge`] lists the parts.
fn refuse_missing_parts(file: &hdf5::File, dataset: &hdf5::Dataset, path: &Path, name: &str) -> Result<()> {
    if dataset.layout() != Layout::Virtual {
        return Ok(());
    }
    // Another program's virtual datasets come without a list.
    let parts = file.dataset("parts").and_then(|parts| parts.read_raw::<VarLenUnicode>()).unwrap_or_default();
    let beside = path.parent().unwrap_or(Path::new(""));
    match parts.iter().find(|part| !beside.join(part.as_str()).exists()) {
        None => Ok(()),
        Some(part) => {
            let problem = format!("dataset '{name}' is joined from several files, of which '{part}' is not there");
            Err(Error::file(path, problem, "put it back, or make one file of all with `hhnet merge --copy`"))
        }
    }
}

/// Sample `i` of an array of shape (samples, steps, channels) as a plain list: its first channel over the steps. Empty if
/// there is no such sample, or no channel.
///
/// ```
/// use hhnet::{dataset::trace, ndarray::arr3};
/// let x = arr3(&[[[1.0], [2.0]], [[3.0], [4.0]]]);
/// assert_eq!(trace(&x, 1), [3.0, 4.0]);
/// ```
pub fn trace(samples: &Array3<f64>, i: usize) -> Vec<f64> {
    let (count, _, channels) = samples.dim();
    if i < count && channels > 0 { samples.slice(s![i, .., 0]).to_vec() } else { Vec::new() }
}

fn reject_not_finite(values: &Array3<f64>, first: usize, name: &str, path: &Path) -> Result<()> {
    // The sum is not finite if any value is not; only then is it worth looking for which.
    if values.sum().is_finite() {
        return Ok(());
    }
    match values.indexed_iter().find(|(_, v)| !v.is_finite()) {
        None => Ok(()),
        Some(((sample, step, channel), &value)) => Err(Error::NotFinite {
            what: format!("'{}', dataset '{name}'", path.display()),
            value,
            place: format!("index ({}, {step}, {channel})", first + sample),
            remedy: "make the file again, or leave this sample out".into(),
        }),
    }
}

/// Writes one array of shape (samples, steps, channels) as dataset `name` of a new HDF5 file, float64, with its units as
/// an attribute.
///
/// # Errors
/// [`Error::File`] or [`Error::Io`] if the file exists and `overwrite` is not set, or cannot be written.
pub fn save(path: impl AsRef<Path>, name: &str, values: &Array3<f64>, units: &str, overwrite: bool) -> Result<()> {
    let path = path.as_ref();
    let new = NewFile::create(path, overwrite)?;
    let file = new.create_hdf5()?;
    let write = || -> hdf5::Result<()> {
        let dataset = file.new_dataset::<f64>().shape(values.dim()).create(name)?;
        dataset.write(values.as_standard_layout().view())?;
        text_attribute(&dataset, "units", units)
    };
    write().map_err(hdf5_error(path, format!("write '{name}'")))?;
    file.close().map_err(hdf5_error(path, "finish the file"))?;
    new.finish()
}

/// What is in an HDF5 file: see [`describe`].
#[derive(Debug, Clone, PartialEq)]
pub struct Description {
    /// Size of the file, bytes.
    pub bytes: u64,
    /// Attributes of the file: name and value.
    pub attributes: Vec<(String, String)>,
    /// Datasets in all groups, in the order of their names.
    pub datasets: Vec<DatasetInfo>,
}

/// One dataset of a [`Description`].
#[derive(Debug, Clone, PartialEq)]
pub struct DatasetInfo {
    /// Name, with the groups it is in.
    pub name: String,
    /// Shape.
    pub shape: Vec<usize>,
    /// Type of its elements.
    pub dtype: String,
    /// Units, where the file says so.
    pub units: Option<String>,
}

/// Lists what is in an HDF5 file, be it data or weights.
///
/// # Errors
/// [`Error::Io`] or [`Error::File`] if it cannot be opened or is not an HDF5 file.
pub fn describe(path: impl AsRef<Path>) -> Result<Description> {
    let path = path.as_ref();
    let file = open_hdf5(path)?;
    let mut datasets = Vec::new();
    let mut read = || -> hdf5::Result<Vec<(String, String)>> {
        list_datasets(&file, MAX_DEPTH, &mut datasets)?;
        file.attr_names()?.into_iter().map(|name| attribute_text(&file, &name).map(|value| (name, value))).collect()
    };
    let attributes = read().map_err(hdf5_error(path, "list the contents"))?;
    datasets.sort_by(|a, b| a.name.cmp(&b.name));
    let bytes = std::fs::metadata(path).map_err(Error::io(path, "open"))?.len();
    Ok(Description { bytes, attributes, datasets })
}

/// Goes `depth` groups deep and no deeper: a group can hold itself.
fn list_datasets(group: &hdf5::Group, depth: usize, found: &mut Vec<DatasetInfo>) -> hdf5::Result<()> {
    for dataset in group.datasets()? {
        found.push(DatasetInfo {
            name: dataset.name().trim_start_matches('/').to_owned(),
            shape: dataset.shape(),
            dtype: dataset.dtype()?.to_descriptor().map_or("other type".to_owned(), |t| t.to_string()),
            units: attribute_text(&dataset, "units").ok(),
        });
    }
    if depth > 0 {
        group.groups()?.iter().try_for_each(|group| list_datasets(group, depth - 1, found))?;
    }
    Ok(())
}

/// An attribute's value as text: numbers, lists of numbers and strings of the kinds that this crate and h5py write.
fn attribute_text(place: &hdf5::Location, name: &str) -> hdf5::Result<String> {
    use hdf5::types::{TypeDescriptor as T, VarLenAscii};
    let attribute = place.attr(name)?;
    let list =
        |items: Vec<String>| if attribute.is_scalar() { items.concat() } else { format!("[{}]", items.join(", ")) };
    Ok(match attribute.dtype()?.to_descriptor() {
        Ok(T::Boolean) => list(attribute.read_raw::<bool>()?.iter().map(bool::to_string).collect()),
        Ok(T::VarLenUnicode) => attribute.read_scalar::<VarLenUnicode>()?.to_string(),
        Ok(T::VarLenAscii) => attribute.read_scalar::<VarLenAscii>()?.to_string(),
        Ok(T::Float(_)) => list(attribute.read_raw::<f64>()?.iter().map(f64::to_string).collect()),
        Ok(T::Integer(_)) => list(attribute.read_raw::<i64>()?.iter().map(i64::to_string).collect()),
        Ok(T::Unsigned(_)) => list(attribute.read_raw::<u64>()?.iter().map(u64::to_string).collect()),
        Ok(other) => format!("({other})"),
        Err(_) => "(of another type)".to_owned(),
    })
}

impl std::fmt::Display for Description {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{} bytes", self.bytes)?;
        for DatasetInfo { name, shape, dtype, units } in &self.datasets {
            let units = units.as_ref().map_or(String::new(), |units| format!(", {units}"));
            writeln!(f, "  {name}: {shape:?} {dtype}{units}")?;
        }
        for (name, value) in &self.attributes {
            writeln!(f, "  {name} = {value}")?;
        }
        Ok(())
    }
}
