//! The contents of a file.

use crate::files::{hdf5_error, open_hdf5};
use crate::{Error, Result};
use hdf5::types::{TypeDescriptor, VarLenAscii, VarLenUnicode};
use std::fmt;
use std::path::Path;

/// The depth of groups to which [`describe`] looks.
const MAX_DEPTH: usize = 16;

/// The contents of an HDF5 file: see [`describe`].
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
    /// Name, with the groups that it is in.
    pub name: String,
    /// Shape.
    pub shape: Vec<usize>,
    /// Type of its elements.
    pub dtype: String,
    /// Units, if the file states them.
    pub units: Option<String>,
}

/// Lists the contents of an HDF5 file, for example of data or weights.
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

/// Goes at most `depth` groups deep, because a group can hold itself.
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
pub(super) fn attribute_text(place: &hdf5::Location, name: &str) -> hdf5::Result<String> {
    use TypeDescriptor as T;
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

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
