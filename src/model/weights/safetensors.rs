//! Reads and writes safetensors files.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};

use super::{Contents, Dataset, Format, LAYERS, REMEDY};
use crate::model::{Adam, Sequential, Variable};
use crate::{Error, Result};

/// The contents of a safetensors file with the given name. The crate checks the header: lengths, gaps, overlaps, sizes.
pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<Contents> {
    let damaged =
        |error| Error::file(path, format!("it is not a safetensors file ({} bytes): {error:?}", bytes.len()), REMEDY);
    let tensors = SafeTensors::deserialize(bytes).map_err(damaged)?;
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(damaged)?;
    let layers = header.metadata().as_ref().and_then(|metadata| metadata.get(LAYERS)).cloned();
    let mut datasets = BTreeMap::new();
    let mut optimizer = None;
    for (name, tensor) in tensors.tensors() {
        let expected = if name == Format::Safetensors.scalars()[0] { Dtype::I64 } else { Dtype::F32 };
        if tensor.dtype() != expected {
            let problem = format!("'{name}' has numbers of type {:?}, not {expected:?}", tensor.dtype());
            return Err(Error::file(path, problem, "store it with that type"));
        }
        let values = match expected {
            Dtype::I64 => {
                let numbers = tensor.data().chunks_exact(8).map(|bytes| bytes.try_into().unwrap_or_default());
                numbers.map(|bytes| i64::from_le_bytes(bytes) as f64).collect()
            }
            _ => {
                let numbers = tensor.data().chunks_exact(4).map(|bytes| bytes.try_into().unwrap_or_default());
                numbers.map(|bytes| f64::from(f32::from_le_bytes(bytes))).collect()
            }
        };
        if name.starts_with("optimizer.") {
            optimizer = Some("adam".to_string());
        }
        datasets.insert(name, Dataset { shape: tensor.shape().to_vec(), values });
    }
    Ok(Contents { format: Format::Safetensors, datasets, optimizer, layers })
}

/// Weights and optimiser state as a safetensors file.
pub(super) fn to_bytes(
    sequential: &Sequential,
    variables: &[Variable],
    values: &[f32],
    adam: &Adam,
) -> std::result::Result<Vec<u8>, safetensors::SafeTensorError> {
    let bytes = |numbers: &[f32]| -> Vec<u8> { numbers.iter().flat_map(|number| number.to_le_bytes()).collect() };
    let format = Format::Safetensors;
    let [steps, rate] = format.scalars();
    let mut arrays: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = vec![
        (steps.to_string(), Dtype::I64, vec![], (adam.iterations as i64).to_le_bytes().to_vec()),
        (rate.to_string(), Dtype::F32, vec![], bytes(&[adam.learning_rate])),
    ];
    for (i, variable) in variables.iter().enumerate() {
        let mut add = |name: String, all: &[f32]| {
            arrays.push((name, Dtype::F32, variable.shape.clone(), bytes(&all[variable.range.clone()])));
        };
        add(format.weight(&variable.layer, variable.kind), values);
        if !adam.momentum.is_empty() {
            let [momentum, velocity] = format.moments(i, variable);
            add(momentum, &adam.momentum);
            add(velocity, &adam.velocity);
        }
    }
    let mut views = Vec::new();
    for (name, dtype, shape, bytes) in &arrays {
        views.push((name, TensorView::new(*dtype, shape.clone(), bytes)?));
    }
    let metadata = HashMap::from([(LAYERS.to_string(), sequential.to_string())]);
    serialize(views, &Some(metadata))
}
