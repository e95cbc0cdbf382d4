//! Reads and writes Keras' HDF5 files.
//!
//! Keras 3 stores a model's weights as
//!
//! ```text
//! /vars                                 attribute name = "sequential"
//! /layers/conv1d/vars/0, /1             kernel, bias; attribute name of vars = "conv1d"
//! /layers/conv1d_1/vars/0, /1           ...
//! /layers/time_distributed/vars         empty
//! /layers/time_distributed/layer/vars/0, /1
//! /optimizer/vars/0                     number of steps
//! /optimizer/vars/1                     learning rate
//! /optimizer/vars/2, /3, ...            momentum and velocity of each weight in turn, once there was a step
//! /training                             only in a backup: see `src/training/backup.rs`
//! ```
//!
//! Groups are numbered by class, whatever names the layers have. Keras 2.13 and 2.14 call the first group
//! `_layer_checkpoint_dependencies`; Keras 2 has no learning rate and no names there, and a group `metrics`. What is
//! written here has the model's description as the root's attribute `model_config`, and a checksum, which Keras ignores.
//!
//! A file in Keras 2's own form has the layers in the group `model_weights`, or at the root if it holds weights only:
//!
//! ```text
//! /                                     attributes model_config, training_config: JSON
//! /model_weights                        attribute layer_names
//! /model_weights/conv1d                 attribute weight_names = "conv1d/kernel:0", "conv1d/bias:0"
//! /model_weights/conv1d/conv1d/kernel:0, bias:0
//! /optimizer_weights                    attribute weight_names = "iteration:0", ...
//! /optimizer_weights/iteration:0, ...
//! ```

use std::fmt::Display;

use hdf5::{Group, LocationType, Result};
use ndarray::ArrayView;

use super::config::{self, Config};
use super::contents::{Array, Contents, StoredLayer, natural, ordered};
use crate::dataset::checksum;
use crate::dataset::description::attribute;
use crate::files::write_text_attribute;
use crate::memory;
use crate::model::{MAX_PARAMS, Model, NetworkLayer, Variable};

/// The attribute with the description of a model.
const MODEL: &str = "model_config";
/// The groups of layers in files of Keras 3 and 2.15, and of 2.13 and 2.14.
const LAYERS: [&str; 2] = ["layers", "_layer_checkpoint_dependencies"];
/// A layer's weights are at most so many groups below its own.
const MAX_DEPTH: usize = 4;
/// The largest number of arrays and groups.
const MAX_COUNT: usize = 10_000;

/// The contents of an open file. A `.keras` file has its description apart.
pub(super) fn read(file: &hdf5::File, config: Option<Config>) -> Result<Contents> {
    let config = match (config, text(file, MODEL)?) {
        (None, Some(model)) => {
            let training = text(file, "training_config")?;
            Some(Config::parse(&model, training.as_deref()).map_err(|problem| format!("'{MODEL}': {problem}"))?)
        }
        (config, _) => config,
    };
    // A compressed number takes at least a thousandth of its size.
    let budget = file.size().saturating_mul(1000).min(4 * MAX_PARAMS as u64);
    let mut reader = Reader { count: 0, budget };
    let is_weights_only = texts(file, "layer_names")?.is_some();
    let (layers, optimizer, is_adam) = if is_weights_only || file.link_exists("model_weights") {
        let layers = if is_weights_only { file.group("/")? } else { file.group("model_weights")? };
        let optimizer = match file.link_exists("optimizer_weights") {
            true => reader.named_arrays(&file.group("optimizer_weights")?)?,
            false => Vec::new(),
        };
        (reader.named_layers(&layers)?, optimizer, None)
    } else if let Some(layers) = LAYERS.into_iter().find(|name| file.link_exists(name)) {
        let layers = ordered(reader.layers(&file.group(layers)?, layers)?, config.as_ref())?;
        let (optimizer, is_adam) = reader.optimizer(file)?;
        (layers, optimizer, is_adam)
    } else {
        let found = file.member_names()?.into_iter().take(20).collect::<Vec<_>>().join(", ");
        return Err(format!("it holds no layers of a model, only [{found}]").into());
    };
    let is_adam = config.as_ref().map_or(is_adam, |config| Some(config.is_adam));
    Ok(Contents { layers, optimizer, is_adam, config, seal: checksum::check(file)? })
}

/// Reads arrays. A damaged or hostile file may claim any size, and a group can hold itself.
struct Reader {
    /// Arrays and groups so far.
    count: usize,
    /// How many numbers may follow.
    budget: u64,
}

impl Reader {
    /// The layers of Keras 3, by the names of their groups.
    fn layers(&mut self, group: &Group, path: &str) -> Result<Vec<StoredLayer>> {
        let mut layers = Vec::new();
        for name in sorted(group)? {
            let mut arrays = Vec::new();
            self.add_arrays(group, &name, &format!("{path}/{name}"), MAX_DEPTH, &mut arrays)?;
            layers.push(StoredLayer { name, arrays });
        }
        layers.retain(|layer| !layer.arrays.is_empty());
        Ok(layers)
    }

    /// The variables of the optimiser of Keras 3, and whether it is Adam.
    fn optimizer(&mut self, file: &hdf5::File) -> Result<(Vec<Array>, Option<bool>)> {
        let mut arrays = Vec::new();
        if !file.link_exists("optimizer") {
            return Ok((arrays, None));
        }
        self.add_arrays(file, "optimizer", "optimizer", MAX_DEPTH, &mut arrays)?;
        let name = match file.group("optimizer/vars") {
            Ok(group) => text(&group, "name")?,
            Err(_) => None,
        };
        Ok((arrays, name.map(|name| natural(&name).0 == "adam")))
    }

    /// Adds an array, or all those in a group and below it.
    fn add_arrays(
        &mut self,
        parent: &Group,
        name: &str,
        path: &str,
        depth: usize,
        arrays: &mut Vec<Array>,
    ) -> Result<()> {
        self.count += 1;
        if depth == 0 || self.count > MAX_COUNT {
            return Err(format!("'{path}': too many groups").into());
        }
        match parent.loc_type_by_name(name)? {
            LocationType::Dataset => arrays.push(self.array(parent, name, path.to_string())?),
            LocationType::Group => {
                let group = parent.group(name)?;
                for name in sorted(&group)? {
                    self.add_arrays(&group, &name, &format!("{path}/{name}"), depth - 1, arrays)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The layers of Keras 2, which are named in an attribute.
    fn named_layers(&mut self, group: &Group) -> Result<Vec<StoredLayer>> {
        let names = texts(group, "layer_names")?.ok_or("the attribute 'layer_names' is missing")?;
        let mut layers = Vec::new();
        for name in names {
            let arrays = self.named_arrays(&group.group(&name).map_err(|error| format!("'{name}': {error}"))?)?;
            layers.push(StoredLayer { name, arrays });
        }
        layers.retain(|layer| !layer.arrays.is_empty());
        Ok(layers)
    }

    /// The arrays in a group that its attribute names.
    fn named_arrays(&mut self, group: &Group) -> Result<Vec<Array>> {
        let names = texts(group, "weight_names")?;
        let names = names.ok_or_else(|| format!("the attribute 'weight_names' of '{}' is missing", group.name()))?;
        names.into_iter().map(|name| self.array(group, &name, name.clone())).collect()
    }

    /// An array, which messages call `path`.
    fn array(&mut self, group: &Group, name: &str, path: String) -> Result<Array> {
        let problem = |error: &dyn Display| hdf5::Error::from(format!("'{path}': {error}"));
        let dataset = group.dataset(name).map_err(|error| problem(&error))?;
        let left = self.budget.checked_sub(dataset.size() as u64);
        self.budget = left.ok_or_else(|| problem(&format!("an array of shape {:?} is too large", dataset.shape())))?;
        let values = memory::read_dataset(&dataset).map_err(|error| problem(&error))?;
        Ok(Array { shape: dataset.shape(), values, name: path })
    }
}

/// The names in a group: `conv1d`, `conv1d_1`, ..., `conv1d_10`, or `0`, `1`, ..., `10`.
fn sorted(group: &Group) -> Result<Vec<String>> {
    let mut names = group.member_names()?;
    names.sort_by_key(|name| natural(name));
    Ok(names)
}

/// A text attribute, if it is there.
fn text(place: &Group, name: &str) -> Result<Option<String>> {
    Ok(texts(place, name)?.and_then(|texts| texts.into_iter().next()))
}

/// An attribute with texts, if it is there.
fn texts(place: &Group, name: &str) -> Result<Option<Vec<String>>> {
    if !place.attr_names()?.iter().any(|found| found == name) {
        return Ok(None);
    }
    let value = attribute(place, name);
    let texts = value.texts().ok_or_else(|| format!("the attribute '{name}' is {value}, not text"))?;
    Ok(Some(texts.into_iter().map(str::to_owned).collect()))
}

/// Writes weights and optimiser state to a new file.
pub(super) fn write(file: &hdf5::File, model: &Model, values: &[f32]) -> Result<()> {
    write_text_attribute(file, MODEL, &config::to_json(model))?;
    let (variables, adam) = (model.variables(), &model.adam);
    create_named_group(file, "vars", "sequential")?;
    file.create_group("layers")?;
    for layer in &model.network.layers {
        write_layer(file, layer, values)?;
    }
    file.create_group("optimizer")?;
    let optimizer = create_named_group(file, "optimizer/vars", "adam")?;
    optimizer.new_dataset::<i64>().create("0")?.write_scalar(&(adam.iterations as i64))?;
    optimizer.new_dataset::<f32>().create("1")?.write_scalar(&adam.learning_rate)?;
    if !adam.momentum.is_empty() {
        for (i, variable) in variables.iter().enumerate() {
            write_array(&optimizer, &(2 + 2 * i).to_string(), variable, &adam.momentum)?;
            write_array(&optimizer, &(3 + 2 * i).to_string(), variable, &adam.velocity)?;
        }
    }
    Ok(())
}

/// Writes a layer's kernel and bias.
fn write_layer(file: &hdf5::File, layer: &NetworkLayer, values: &[f32]) -> Result<()> {
    let group = format!("layers/{}", layer.name);
    file.create_group(&group)?;
    let mut vars = create_named_group(file, &format!("{group}/vars"), &layer.name)?;
    if layer.is_dense {
        file.create_group(&format!("{group}/layer"))?;
        vars = create_named_group(file, &format!("{group}/layer/vars"), &layer.dense_name())?;
    }
    for (i, variable) in layer.variables().iter().enumerate() {
        write_array(&vars, &i.to_string(), variable, values)?;
    }
    Ok(())
}

/// Creates a group with Keras' attribute `name`.
fn create_named_group(file: &hdf5::File, path: &str, name: &str) -> Result<Group> {
    let group = file.create_group(path)?;
    write_text_attribute(&group, "name", name)?;
    Ok(group)
}

/// Writes one variable's part of `values`, which are those of all variables.
fn write_array(group: &Group, name: &str, variable: &Variable, values: &[f32]) -> Result<()> {
    let view = ArrayView::from_shape(&variable.shape[..], &values[variable.range.clone()]);
    group.new_dataset_builder().with_data(view.map_err(|error| error.to_string())?).create(name)?;
    Ok(())
}
