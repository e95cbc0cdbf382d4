//! `info` and `verify`: the contents of a file.

use crate::{Output, generate};
use hhnet::dataset::{self, AttributeValue};
use hhnet::progress::Progress;
use serde_json::{Value, json};
use std::path::Path;

pub fn run(file: &Path) -> Output {
    let name = file.to_string_lossy();
    let is_model = [".keras", ".weights.h5", ".safetensors"].iter().any(|end| name.ends_with(end));
    // A file of any name can hold a model, such as Keras 2's `.h5`.
    let described = if is_model { weights(file) } else { weights(file).or_else(|_| data(file)) };
    let (mut text, mut json) = described?;
    let program = hhnet::written_by(file)?;
    text = text.trim_end().to_owned();
    text += &match &program {
        Some(program) => format!("\nwritten by {program}; `hhnet verify` tells whether it has changed since"),
        None => "\nnot written by hhnet".to_owned(),
    };
    json["program"] = json!(program);
    Ok((text, json))
}

/// `verify`: whether a file is as it was written.
pub fn verify(file: &Path) -> Output {
    let verified = hhnet::verify(file, Progress::Stderr)?;
    let datasets: Value = verified.datasets.iter().map(|(name, digits)| (name.clone(), json!(digits))).collect();
    let json = json!({
        "file": verified.path,
        "program": verified.program,
        "sha256": datasets,
        "shards": verified.shards,
    });
    Ok((verified.to_string(), json))
}

/// The network in the file.
#[cfg(feature = "model")]
fn weights(file: &Path) -> Output {
    let model = hhnet::model::Model::load(file)?;
    let weights = model.get_weights()?;
    let convolutions = || weights.iter().map(|weight| weight.shape()).filter(|shape| shape.len() == 3);
    let json = json!({
        "file": file,
        "layers": model.sequential().to_string(),
        "layer_sizes": convolutions().map(|shape| shape[2]).collect::<Vec<_>>(),
        "kernel_sizes": convolutions().map(|shape| shape[0]).collect::<Vec<_>>(),
        "params": model.count_params(),
        "notes": model.notes(),
    });
    Ok((format!("'{}'\n\n{}", file.display(), model.summary()), json))
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
