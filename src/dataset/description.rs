//! The contents of a file.

use crate::files::open_hdf5;
use crate::{Error, Result};
use hdf5::types::{FixedAscii, FixedUnicode, TypeDescriptor, VarLenAscii, VarLenUnicode};
use hdf5::{IndexType, IterationOrder, LinkType, LocationType};
use std::collections::VecDeque;
use std::fmt;
use std::path::Path;

/// Longer attributes are named by their type and shape.
const MAX_VALUES: usize = 1000;
/// Longer texts of fixed length are named by their type, bytes.
const MAX_FIXED: usize = 1024;

/// The contents of an HDF5 file: see [`describe`].
#[derive(Debug, Clone, PartialEq)]
pub struct Description {
    /// Size of the file, bytes.
    pub bytes: u64,
    /// Attributes of the file: name and value.
    pub attributes: Vec<(String, AttributeValue)>,
    /// Datasets in all groups, in the order of their names. A link to a dataset is one, too.
    pub datasets: Vec<DatasetInfo>,
    /// Links that lead nowhere: name and reason.
    pub broken_links: Vec<(String, String)>,
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

/// The value of an attribute. It displays itself as in Python, texts without quotation marks.
#[derive(Debug, Clone, PartialEq)]
pub enum AttributeValue {
    /// A text. Bytes that are not UTF-8 are replaced by `\u{fffd}`.
    Text(String),
    /// A boolean value, as h5py writes it.
    Boolean(bool),
    /// An integer of any type.
    Integer(i128),
    /// A floating-point number.
    Float(f64),
    /// An array, as a list for each of its dimensions.
    List(Vec<AttributeValue>),
    /// No value.
    Empty,
    /// A value of another type, or one that is too long: its type.
    Other(String),
}

impl AttributeValue {
    /// All texts, of a list or of a single one. `None` if it is no text.
    pub(crate) fn texts(&self) -> Option<Vec<&str>> {
        match self {
            AttributeValue::Text(text) => Some(vec![text]),
            AttributeValue::List(values) => values
                .iter()
                .map(|value| if let AttributeValue::Text(text) = value { Some(&**text) } else { None })
                .collect(),
            AttributeValue::Empty => Some(Vec::new()),
            _ => None,
        }
    }

    /// The text, also that of a list with one element.
    pub(crate) fn text(&self) -> Option<&str> {
        match self.texts()?[..] {
            [text] => Some(text),
            _ => None,
        }
    }

    /// The number, also that of a list with one element.
    pub(crate) fn number(&self) -> Option<f64> {
        match self {
            AttributeValue::Float(number) => Some(*number),
            AttributeValue::Integer(number) => Some(*number as f64),
            AttributeValue::List(values) if values.len() == 1 => values[0].number(),
            _ => None,
        }
    }
}

impl fmt::Display for AttributeValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AttributeValue::Text(text) => f.write_str(text),
            AttributeValue::Boolean(value) => value.fmt(f),
            AttributeValue::Integer(value) => value.fmt(f),
            AttributeValue::Float(value) => value.fmt(f),
            AttributeValue::List(values) => {
                let values: Vec<String> = values.iter().map(AttributeValue::to_string).collect();
                write!(f, "[{}]", values.join(", "))
            }
            AttributeValue::Empty => f.write_str("(empty)"),
            AttributeValue::Other(dtype) => write!(f, "({dtype})"),
        }
    }
}

/// Lists the contents of an HDF5 file, for example of data or weights. Links are followed, also to other files.
///
/// # Errors
/// [`Error::Io`] or [`Error::File`] if it cannot be opened or is not an HDF5 file.
pub fn describe(path: impl AsRef<Path>) -> Result<Description> {
    let path = path.as_ref();
    let file = open_hdf5(path)?;
    let (datasets, broken_links) = list_datasets(&file);
    let names = file.attr_names().map_err(Error::hdf5(path, "list the attributes"))?;
    let attributes = names.into_iter().map(|name| (attribute(&file, &name), name)).map(|(value, name)| (name, value));
    let bytes = std::fs::metadata(path).map_err(Error::io(path, "open"))?.len();
    Ok(Description { bytes, attributes: attributes.collect(), datasets, broken_links })
}

/// The datasets in a file and its broken links, both in the order of their names.
///
/// A group that several links lead to, or that holds itself, is listed once: below its hard link if it has one.
pub(super) fn list_datasets(file: &hdf5::Group) -> (Vec<DatasetInfo>, Vec<(String, String)>) {
    let (mut datasets, mut broken) = (Vec::new(), Vec::new());
    let mut seen = Vec::new();
    let mut groups = VecDeque::from([(String::new(), file.clone())]);
    while let Some((prefix, group)) = groups.pop_front() {
        if let Ok(place) = group.loc_info().map(|info| (info.fileno, info.token)) {
            if seen.contains(&place) {
                continue;
            }
            seen.push(place);
        }
        for (link, info) in group.links(IndexType::Name, IterationOrder::Increasing).unwrap_or_default() {
            let name = format!("{prefix}{link}");
            match follow(&group, &link, &name) {
                Target::Dataset(dataset) => datasets.push(dataset),
                Target::Group(inner) if info.link_type == LinkType::Hard => groups.push_front((name + "/", inner)),
                Target::Group(inner) => groups.push_back((name + "/", inner)),
                Target::Nothing(reason) => broken.push((name, reason)),
                Target::Other => {}
            }
        }
    }
    datasets.sort_by(|a, b| a.name.cmp(&b.name));
    broken.sort();
    (datasets, broken)
}

/// What a link leads to.
enum Target {
    Dataset(DatasetInfo),
    Group(hdf5::Group),
    /// With the reason.
    Nothing(String),
    Other,
}

/// Follows a link in a group to what has the name `name` in the file.
fn follow(group: &hdf5::Group, link: &str, name: &str) -> Target {
    let describe = |dataset: hdf5::Dataset| DatasetInfo {
        name: name.to_owned(),
        shape: dataset.shape(),
        dtype: type_name(&dataset),
        units: units(&dataset),
    };
    let found = match group.loc_type_by_name(link) {
        Ok(LocationType::Dataset) => group.dataset(link).map(|dataset| Target::Dataset(describe(dataset))),
        Ok(LocationType::Group) => group.group(link).map(Target::Group),
        Ok(_) => Ok(Target::Other),
        Err(_) => Ok(broken_link(group, link).map_or(Target::Other, Target::Nothing)),
    };
    found.unwrap_or_else(|reason| Target::Nothing(reason.to_string()))
}

/// Why a link leads nowhere. `None` if it leads somewhere, or there is no such link.
pub(super) fn broken_link(group: &hdf5::Group, link: &str) -> Option<String> {
    if !group.link_exists(link) {
        return None;
    }
    let reason = group.loc_type_by_name(link).err()?;
    // HDF5 names the file where it has followed the link, and the cause at the end.
    let frames: Vec<String> =
        reason.stack().iter().flat_map(|stack| stack.iter()).map(|frame| frame.desc().to_owned()).collect();
    let cause = frames.iter().find(|text| text.contains("external link file name")).or(frames.last());
    Some(cause.cloned().unwrap_or_else(|| reason.to_string()))
}

/// The type of a dataset's or attribute's elements.
pub(super) fn type_name(container: &hdf5::Container) -> String {
    let descriptor = container.dtype().and_then(|dtype| dtype.to_descriptor());
    descriptor.map_or("another type".to_owned(), |descriptor| descriptor.to_string())
}

/// The unit that a dataset states. NWB files have it in `unit`, MATLAB may have it in a list.
pub(super) fn units(dataset: &hdf5::Dataset) -> Option<String> {
    ["units", "unit"].into_iter().find_map(|name| text(dataset, name))
}

/// An attribute that is a text.
pub(crate) fn text(place: &hdf5::Location, name: &str) -> Option<String> {
    attribute(place, name).text().map(str::to_owned)
}

/// The value of an attribute, empty if there is none. What cannot be read is no error: nobody may need it.
pub(crate) fn attribute(place: &hdf5::Location, name: &str) -> AttributeValue {
    let Ok(attribute) = place.attr(name) else { return AttributeValue::Empty };
    read_attribute(&attribute).unwrap_or_else(|_| {
        let shape = attribute.shape();
        let shape = if shape.is_empty() { String::new() } else { format!(" of shape {shape:?}") };
        AttributeValue::Other(type_name(&attribute) + &shape)
    })
}

fn read_attribute(attribute: &hdf5::Attribute) -> hdf5::Result<AttributeValue> {
    use AttributeValue as V;
    use TypeDescriptor as T;
    let space = attribute.space()?;
    if space.is_null() {
        return Ok(V::Empty);
    }
    let shape = attribute.shape();
    let count = shape.iter().try_fold(1_usize, |product, &length| product.checked_mul(length));
    if count.is_none_or(|count| count > MAX_VALUES) {
        return Err("too long".into());
    }
    fn values<T: hdf5::H5Type>(
        attribute: &hdf5::Attribute,
        value: impl Fn(&T) -> AttributeValue,
    ) -> hdf5::Result<Vec<AttributeValue>> {
        Ok(attribute.read_raw::<T>()?.iter().map(value).collect())
    }
    let text = |bytes: &[u8]| V::Text(String::from_utf8_lossy(bytes).into_owned());
    let values = match attribute.dtype()?.to_descriptor()? {
        // Not as bool: a damaged file may hold other numbers than 0 and 1.
        T::Boolean => values::<i8>(attribute, |&value| V::Boolean(value != 0))?,
        T::Integer(_) => values::<i64>(attribute, |&value| V::Integer(value.into()))?,
        T::Unsigned(_) => values::<u64>(attribute, |&value| V::Integer(value.into()))?,
        T::Float(_) => values::<f64>(attribute, |&value| V::Float(value))?,
        T::VarLenUnicode => values::<VarLenUnicode>(attribute, |value| text(value.as_bytes()))?,
        T::VarLenAscii => values::<VarLenAscii>(attribute, |value| text(value.as_bytes()))?,
        T::FixedUnicode(length) if length <= MAX_FIXED => {
            values::<FixedUnicode<MAX_FIXED>>(attribute, |value| text(value.as_bytes()))?
        }
        T::FixedAscii(length) if length <= MAX_FIXED => {
            values::<FixedAscii<MAX_FIXED>>(attribute, |value| text(value.as_bytes()))?
        }
        _ => return Err("another type".into()),
    };
    Ok(nested(values, &shape))
}

/// The values of an array as nested lists.
fn nested(mut values: Vec<AttributeValue>, shape: &[usize]) -> AttributeValue {
    match shape {
        [] => values.pop().unwrap_or(AttributeValue::Empty),
        [_] => AttributeValue::List(values),
        [_, inner @ ..] => {
            let length = inner.iter().product::<usize>().max(1);
            AttributeValue::List(values.chunks(length).map(|part| nested(part.to_vec(), inner)).collect())
        }
    }
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} bytes", self.bytes)?;
        for DatasetInfo { name, shape, dtype, units } in &self.datasets {
            let units = units.as_ref().map_or(String::new(), |units| format!(", {units}"));
            writeln!(f, "  {name}: {shape:?} {dtype}{units}")?;
        }
        for (name, reason) in &self.broken_links {
            writeln!(f, "  {name}: a broken link ({reason})")?;
        }
        for (name, value) in &self.attributes {
            writeln!(f, "  {name} = {value}")?;
        }
        Ok(())
    }
}
