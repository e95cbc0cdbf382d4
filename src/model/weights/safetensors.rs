//! Reads and writes safetensors files: `conv1d.kernel`, `conv1d.bias`, ..., `time_distributed.bias`,
//! `optimizer.iterations`, `optimizer.learning_rate`, `optimizer.momentum.conv1d.kernel`,
//! `optimizer.velocity.conv1d.kernel`, ..., in Keras' shapes, and Keras' description of the model in the metadata.

use std::collections::{BTreeMap, HashMap};

use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};

use super::config::{self, Config};
use super::contents::{Array, Contents, StoredLayer, natural, ordered};
use crate::dataset::checksum::{CHECKSUM, Checksum, PROGRAM, PROGRAM_ATTRIBUTE, Seal};
use crate::model::Model;

/// The entry of the metadata with the description of the model.
const MODEL: &str = "model_config";
const ITERATIONS: &str = "optimizer.iterations";
const LEARNING_RATE: &str = "optimizer.learning_rate";

/// The contents of a safetensors file. The crate checks the header: lengths, gaps, overlaps, sizes.
pub(super) fn parse(bytes: &[u8]) -> Result<Contents, String> {
    let damaged = |error| format!("it is none of Keras' files, and as '.safetensors' it is damaged: {error:?}");
    let tensors = SafeTensors::deserialize(bytes).map_err(damaged)?;
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(damaged)?;
    let model = header.metadata().as_ref().and_then(|metadata| metadata.get(MODEL));
    let config = model.map(|model| Config::parse(model, None).map_err(|problem| format!("'{MODEL}': {problem}")));
    let config = config.transpose()?;
    let views = tensors.tensors();
    let seal = model.map_or(Seal::Missing, |model| check(model, views.iter().map(|(name, view)| (&**name, view))));
    let mut arrays = BTreeMap::new();
    for (name, tensor) in views {
        let expected = if name == ITERATIONS { Dtype::I64 } else { Dtype::F32 };
        if tensor.dtype() != expected {
            let problem = format!("'{name}' has numbers of type {:?}, not {expected:?}", tensor.dtype());
            return Err(problem);
        }
        let values = match expected {
            Dtype::I64 => tensor.data().as_chunks().0.iter().map(|&bytes| i64::from_le_bytes(bytes) as f64).collect(),
            _ => tensor.data().as_chunks().0.iter().map(|&bytes| f64::from(f32::from_le_bytes(bytes))).collect(),
        };
        arrays.insert(name.clone(), Array { shape: tensor.shape().to_vec(), values, name });
    }
    let mut optimizer = arrays.split_off("optimizer.");
    arrays.extend(optimizer.split_off("optimizer/"));
    let layers = ordered(layers(arrays), config.as_ref())?;
    let mut names = vec![ITERATIONS.to_string(), LEARNING_RATE.to_string()];
    let weights = layers.iter().flat_map(|layer| &layer.arrays);
    names.extend(weights.flat_map(|weight| ["momentum", "velocity"].map(|moment| moment_name(moment, &weight.name))));
    let mut found: Vec<Array> = names.iter().filter_map(|name| optimizer.remove(name)).collect();
    found.extend(optimizer.into_values());
    Ok(Contents { layers, is_adam: Some(!found.is_empty()), optimizer: found, config, seal })
}

/// Puts kernels and biases together: convolutions first, in the order of their numbers.
fn layers(arrays: BTreeMap<String, Array>) -> Vec<StoredLayer> {
    let mut layers: BTreeMap<_, StoredLayer> = BTreeMap::new();
    // In reverse, so that kernel comes before bias.
    for (name, array) in arrays.into_iter().rev() {
        let layer = name.rsplit_once('.').map_or(&*name, |(layer, _)| layer);
        let new = || StoredLayer { name: layer.to_string(), arrays: Vec::new() };
        layers.entry(natural(layer)).or_insert_with(new).arrays.push(array);
    }
    layers.into_values().collect()
}

fn moment_name(moment: &str, weight: &str) -> String {
    format!("optimizer.{moment}.{weight}")
}

/// Weights and optimiser state as a safetensors file.
pub(super) fn to_bytes(model: &Model, values: &[f32]) -> Result<Vec<u8>, safetensors::SafeTensorError> {
    let adam = &model.adam;
    let bytes = |numbers: &[f32]| -> Vec<u8> { numbers.iter().flat_map(|number| number.to_le_bytes()).collect() };
    let mut arrays: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = vec![
        (ITERATIONS.to_string(), Dtype::I64, vec![], (adam.iterations as i64).to_le_bytes().to_vec()),
        (LEARNING_RATE.to_string(), Dtype::F32, vec![], bytes(&[adam.learning_rate])),
    ];
    for variable in model.variables() {
        let mut add = |name: String, all: &[f32]| {
            arrays.push((name, Dtype::F32, variable.shape.clone(), bytes(&all[variable.range.clone()])));
        };
        let name = variable.name();
        if !adam.momentum.is_empty() {
            add(moment_name("momentum", &name), &adam.momentum);
            add(moment_name("velocity", &name), &adam.velocity);
        }
        add(name, values);
    }
    let mut views = Vec::new();
    for (name, dtype, shape, bytes) in &arrays {
        views.push((name, TensorView::new(*dtype, shape.clone(), bytes)?));
    }
    let model = sealed(&config::to_json(model), views.iter().map(|(name, view)| (&***name, view)));
    serialize(views, &Some(HashMap::from([(MODEL.to_string(), model)])))
}

/// The description of a model, with the program and a checksum of it and of all arrays at its end. These are no entries
/// of the metadata of their own, because the crate writes several entries in any order.
fn sealed<'a>(model: &str, arrays: impl Iterator<Item = (&'a str, &'a TensorView<'a>)>) -> String {
    let with = |object: &str, key: &str, text: &str| {
        let open = object.strip_suffix('}').unwrap_or(object);
        format!("{open},\"{key}\":\"{text}\"}}")
    };
    let model = with(model, PROGRAM_ATTRIBUTE, PROGRAM);
    with(&model, CHECKSUM, &checksum(&model, arrays))
}

/// Compares a description and arrays with the checksum in it.
fn check<'a>(model: &str, arrays: impl Iterator<Item = (&'a str, &'a TensorView<'a>)>) -> Seal {
    let last = |object: &str, key: &str| -> Option<(String, String)> {
        let (open, text) = object.strip_suffix("\"}")?.rsplit_once(&format!(",\"{key}\":\""))?;
        Some((format!("{open}}}"), text.to_owned()))
    };
    let Some((model, recorded)) = last(model, CHECKSUM) else { return Seal::Missing };
    let Some((_, program)) = last(&model, PROGRAM_ATTRIBUTE) else { return Seal::Missing };
    if checksum(&model, arrays) == recorded { Seal::Whole(program) } else { Seal::Broken }
}

fn checksum<'a>(model: &str, arrays: impl Iterator<Item = (&'a str, &'a TensorView<'a>)>) -> String {
    let mut arrays: Vec<_> = arrays.collect();
    arrays.sort_by_key(|(name, _)| *name);
    let mut checksum = Checksum::default();
    checksum.text(model);
    for (name, view) in arrays {
        checksum.text(&format!("{name}: {:?} {:?}", view.dtype(), view.shape()));
        checksum.bytes(view.data());
    }
    checksum.digits()
}
