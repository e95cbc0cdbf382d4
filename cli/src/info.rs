//! `info`: the contents of a file.

use crate::{Output, generate};
use hhnet::dataset::{self, AttributeValue};
use serde_json::{Value, json};
use std::path::Path;

pub fn run(file: &Path) -> Output {
    let name = file.to_string_lossy();
    if name.ends_with(".weights.h5") || name.ends_with(".safetensors") { weights(file) } else { data(file) }
}

/// The network whose weights are in the file. For an HDF5 file, also its datasets and attributes.
#[cfg(feature = "model")]
fn weights(file: &Path) -> Output {
    let model = hhnet::model::Model::load_weights(file)?;
    let is_hdf5 = file.extension().is_some_and(|extension| extension == "h5");
    let (text, mut json) =
        if is_hdf5 { data(file)? } else { (format!("'{}'\n", file.display()), json!({ "file": file })) };
    let options = hhnet::model::ModelOptions::from_weights(file)?;
    json["layer_sizes"] = json!(options.layer_sizes);
    json["kernel_sizes"] = json!(options.kernel_sizes);
    json["params"] = json!(model.count_params());
    Ok((format!("{text}\n{}", model.summary()), json))
}

#[cfg(not(feature = "model"))]
fn weights(file: &Path) -> Output {
    let problem = "it is a weights file, and this program was built without the feature `model`";
    let remedy = "build hhnet with this feature: it is on by default, and needs libtorch";
    Err(hhnet::Error::file(file, problem, remedy))
}

/// The contents of an HDF5 file, and the command that makes it.
fn data(file: &Path) -> Output {
    let description = dataset::describe(file)?;
    let datasets: Vec<Value> = description
        .datasets
        .iter()
        .map(|d| json!({ "name": d.name, "shape": d.shape, "dtype": d.dtype, "units": d.units }))
        .collect();
    let broken_links: Vec<Value> =
        description.broken_links.iter().map(|(name, reason)| json!({ "name": name, "reason": reason })).collect();
    let attributes: Value =
        description.attributes.iter().map(|(name, value)| (name.clone(), attribute(value))).collect();
    let mut json = json!({
        "file": file,
        "bytes": description.bytes,
        "datasets": datasets,
        "broken_links": broken_links,
        "attributes": attributes,
    });
    let mut text = format!("'{}': {description}", file.display());
    if let Some(command) = generate::command_line(file) {
        text += &format!("made by: {command}\n");
        json["command"] = json!(command);
    }
    Ok((text, json))
}

/// Numbers, lists and truth values as such; what is not finite, which JSON lacks, and what is of another type as text.
fn attribute(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::Text(text) => json!(text),
        AttributeValue::Boolean(value) => json!(value),
        AttributeValue::Integer(value) => json!(value),
        AttributeValue::Float(number) if number.is_finite() => json!(number),
        AttributeValue::List(values) => values.iter().map(attribute).collect(),
        AttributeValue::Empty => Value::Null,
        AttributeValue::Float(_) | AttributeValue::Other(_) => json!(value.to_string()),
    }
}
