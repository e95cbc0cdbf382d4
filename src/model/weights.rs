//! Files of weights: Keras' `.weights.h5` and safetensors.
//!
//! Keras' file holds
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
//! and a safetensors file the same arrays, in the same shapes, as `conv1d.kernel`, `conv1d.bias`, ...,
//! `time_distributed.bias`, `optimizer.iterations`, `optimizer.learning_rate`, `optimizer.momentum.conv1d.kernel`,
//! `optimizer.velocity.conv1d.kernel`, ...

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use hdf5::types::VarLenUnicode;
use ndarray::ArrayView;
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};

use super::{
    Adam, MAX_PARAMS, Model, ModelOptions, Variable, check_weight, convolution_name, generate_model, variables,
};
use crate::files::{NewFile, check_target, hdf5_error, open_hdf5, write_whole};
use crate::{Error, Result};

/// The largest safetensors file: weights, momentum and velocity, and what describes them.
const MAX_BYTES: u64 = 12 * MAX_PARAMS as u64 + 1_000_000;
/// The group in which a backup keeps the state of the training.
pub(crate) const TRAINING: &str = "training";
/// Groups below this depth are not part of a model that [`generate_model`] builds.
const MAX_DEPTH: usize = 8;

impl ModelOptions {
    /// The options of the model whose weights are in a `.weights.h5` or `.safetensors` file: layer and kernel sizes, input
    /// channels and, where the file has it, the learning rate. The rest, such as the penalty, is not in such files and has
    /// its default.
    ///
    /// # Errors
    /// As [`Model::load_weights`].
    pub fn from_weights(path: impl AsRef<Path>) -> Result<ModelOptions> {
        let path = path.as_ref();
        read(path)?.options(path)
    }
}

impl Model {
    /// Writes weights and optimiser state to a file whose name ends in `.weights.h5`, as Keras 3's `model.save_weights` does,
    /// so that Keras' `load_weights` reads them; or in `.safetensors`, with names such as `conv1d.kernel`.
    ///
    /// Keras takes the optimiser state only into an optimiser that has its variables already: in Python, call
    /// `model.optimizer.build(model.trainable_variables)` before `model.load_weights(path)`.
    ///
    /// The file is complete or absent: it is written under a temporary name and then renamed.
    ///
    /// # Errors
    /// If the name has another end, the file exists and `overwrite` is false, or it cannot be written.
    pub fn save_weights(&self, path: impl AsRef<Path>, overwrite: bool) -> Result<()> {
        let path = path.as_ref();
        match Format::of(path)? {
            Format::Keras => self.save_keras(path, overwrite, &|_| Ok(())),
            Format::Safetensors => {
                let bytes = to_safetensors(&self.variables(), &self.values()?, &self.adam)
                    .map_err(|error| Error::file(path, error, "choose another format"))?;
                write_whole(path, overwrite, &bytes)
            }
        }
    }

    /// Whether [`Model::save_weights`] would take the name: to ask before hours of training, not after.
    ///
    /// # Errors
    /// As those of [`Model::save_weights`].
    pub fn check_weights_path(path: impl AsRef<Path>, overwrite: bool) -> Result<()> {
        let path = path.as_ref();
        Format::of(path)?;
        check_target(path, overwrite).map(|_| ())
    }

    /// Keras' file, with what `more` adds to it.
    pub(crate) fn save_keras(
        &self,
        path: &Path,
        overwrite: bool,
        more: &dyn Fn(&hdf5::File) -> hdf5::Result<()>,
    ) -> Result<()> {
        let values = self.values()?;
        let new = NewFile::create(path, overwrite)?;
        let file = new.create_hdf5()?;
        write(&file, &self.variables(), &values, &self.adam)
            .and_then(|()| more(&file))
            .and_then(|()| file.close())
            .map_err(hdf5_error(path, "write the weights"))?;
        new.finish()
    }

    /// The model in a `.weights.h5` file, by Keras or by [`Model::save_weights`], or in a `.safetensors` file; on the CPU.
    /// Layer and kernel sizes are those of the weights, the optimiser continues where it was if the file has its state.
    ///
    /// For another device or penalty, change the options: `ModelOptions { l2: 0.0, ..ModelOptions::from_weights(path)? }`,
    /// then [`generate_model`] and [`Model::set_weights_from`].
    ///
    /// # Errors
    /// If the file is missing, is no such file, holds a model that [`generate_model`] does not build, or a weight that is not
    /// finite.
    ///
    /// ```
    /// use hhnet::model::{Model, ModelOptions, generate_model};
    /// let folder = tempfile::tempdir().unwrap();
    /// let path = folder.path().join("model.weights.h5");
    /// let model = generate_model(&ModelOptions { kernel_sizes: vec![4, 5, 6], ..ModelOptions::default() })?;
    /// model.save_weights(&path, false)?;
    /// assert_eq!(Model::load_weights(&path)?.options().kernel_sizes, [4, 5, 6]);
    /// # Ok::<(), hhnet::Error>(())
    /// ```
    pub fn load_weights(path: impl AsRef<Path>) -> Result<Model> {
        let path = path.as_ref();
        let contents = read(path)?;
        let mut model = generate_model(&contents.options(path)?)?;
        model.set_contents(path, &contents)?;
        Ok(model)
    }

    /// Replaces this model's weights by those of a `.weights.h5` or `.safetensors` file. The optimiser takes the state in
    /// the file; if there is none, or it is that of another kind of optimiser, Adam starts anew.
    ///
    /// # Errors
    /// As [`Model::load_weights`], and if the weights do not fit: the message lists what is missing, what is too much
    /// and which shapes differ. The model is then unchanged.
    pub fn set_weights_from(&mut self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let contents = read(path)?;
        self.set_contents(path, &contents)
    }

    fn set_contents(&mut self, path: &Path, contents: &Contents) -> Result<()> {
        let variables = self.variables();
        contents.check_fit(path, &variables)?;
        let names = variables.iter().map(|variable| contents.format.weight(&variable.layer, variable.kind));
        let values = contents.floats(path, names)?;
        let adam = contents.adam(path, &variables, self.learning_rate())?;
        self.set_values(&values)?;
        self.adam = adam;
        Ok(())
    }
}

/// The original's model, trained already: no data are needed to see what it does.
///
/// Its weights are those of `data/trained.safetensors` in the source; `data/README.md` tells how they were made and how good
/// they are.
///
/// # Errors
/// If libtorch cannot create the model.
///
/// ```
/// use hhnet::model::trained_model;
/// use hhnet::ndarray::Array3;
/// let model = trained_model()?;
/// // Without current the potential stays near rest.
/// let potential_mv = model.predict(&Array3::zeros((1, 100, 1)))?;
/// assert!(potential_mv.iter().all(|v| (-67.0..-63.0).contains(v)));
/// # Ok::<(), hhnet::Error>(())
/// ```
pub fn trained_model() -> Result<Model> {
    let path = Path::new("data/trained.safetensors");
    let contents = parse_safetensors(path, include_bytes!("../../data/trained.safetensors"))?;
    let mut model = generate_model(&contents.options(path)?)?;
    model.set_contents(path, &contents)?;
    Ok(model)
}

/// Refuses a name in which there is no place for more than weights.
pub(crate) fn check_keras_name(path: &Path) -> Result<()> {
    match Format::of(path)? {
        Format::Keras => Ok(()),
        Format::Safetensors => {
            Err(Error::file(path, "this format has no place for more than weights", "give a name in '.weights.h5'"))
        }
    }
}

/// A kind of file, and the names that it has for the model's arrays.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Format {
    Keras,
    Safetensors,
}

impl Format {
    /// The format that a file's name asks for.
    fn of(path: &Path) -> Result<Format> {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let ends_in = |end: &str| name.ends_with(end) && name.len() > end.len();
        match () {
            () if ends_in(".weights.h5") => Ok(Format::Keras),
            () if ends_in(".safetensors") => Ok(Format::Safetensors),
            () => Err(Error::file(
                path,
                "not a name for weights",
                "give a name that ends in '.weights.h5' (Keras) or '.safetensors'",
            )),
        }
    }

    /// A layer's kernel or bias.
    fn weight(self, layer: &str, kind: &str) -> String {
        if self == Format::Safetensors {
            return format!("{layer}.{kind}");
        }
        let inner = if layer == "time_distributed" { "layer/" } else { "" };
        format!("layers/{layer}/{inner}vars/{}", if kind == "kernel" { 0 } else { 1 })
    }

    /// The optimiser's number of steps and its learning rate.
    fn scalars(self) -> [&'static str; 2] {
        match self {
            Format::Keras => ["optimizer/vars/0", "optimizer/vars/1"],
            Format::Safetensors => ["optimizer.iterations", "optimizer.learning_rate"],
        }
    }

    /// Momentum and velocity of the weight with index `i`.
    fn moments(self, i: usize, Variable { layer, kind, .. }: &Variable) -> [String; 2] {
        match self {
            Format::Keras => [format!("optimizer/vars/{}", 2 + 2 * i), format!("optimizer/vars/{}", 3 + 2 * i)],
            Format::Safetensors => ["momentum", "velocity"].map(|moment| format!("optimizer.{moment}.{layer}.{kind}")),
        }
    }
}

struct Dataset {
    shape: Vec<usize>,
    /// Every number that Keras stores is exact in double precision.
    values: Vec<f64>,
}

/// All that a weights file holds.
struct Contents {
    format: Format,
    datasets: BTreeMap<String, Dataset>,
    /// Keras' name of the optimiser's class, such as `adam`.
    optimizer: Option<String>,
}

impl Contents {
    /// The options that the shapes of the weights imply.
    fn options(&self, path: &Path) -> Result<ModelOptions> {
        let mut options = ModelOptions { layer_sizes: Vec::new(), kernel_sizes: Vec::new(), ..ModelOptions::default() };
        let mut inputs = Vec::new();
        loop {
            let name = self.format.weight(&convolution_name(options.layer_sizes.len()), "kernel");
            let Some(kernel) = self.datasets.get(&name) else { break };
            let [kernel_size, input, output] = kernel.shape[..] else {
                let problem = format!("'{name}' has shape {:?}, not (kernel size, input, output)", kernel.shape);
                return Err(Error::file(path, problem, REMEDY));
            };
            options.kernel_sizes.push(kernel_size);
            options.layer_sizes.push(output);
            inputs.push(input);
        }
        match (inputs.first(), self.datasets.get(&self.format.weight("time_distributed", "kernel"))) {
            (Some(&channels), _) => options.input_channels = channels,
            (None, Some(kernel)) if kernel.shape.len() == 2 => options.input_channels = kernel.shape[0],
            _ => {
                let found: Vec<&str> = self.datasets.keys().map(String::as_str).take(20).collect();
                let problem = format!("it holds no model of this kind, but [{}]", found.join(", "));
                return Err(Error::file(path, problem, REMEDY));
            }
        }
        if self.has_adam()
            && let Some(rate) = self.datasets.get(self.format.scalars()[1]).filter(|rate| rate.shape.is_empty())
        {
            options.lr = Adam::new(rate.values[0]).learning_rate();
        }
        options.check().map_err(|error| Error::file(path, error, REMEDY))?;
        self.check_fit(path, &variables(&options))?;
        Ok(options)
    }

    fn has_adam(&self) -> bool {
        self.optimizer.as_deref() == Some("adam")
    }

    /// Whether it has made a step.
    fn has_moments(&self, variables: &[Variable]) -> bool {
        self.format.moments(0, &variables[0]).iter().any(|name| self.datasets.contains_key(name))
    }

    /// Compares names and shapes with those that the model has.
    fn check_fit(&self, path: &Path, variables: &[Variable]) -> Result<()> {
        let mut expected: BTreeMap<String, &[usize]> =
            variables.iter().map(|v| (self.format.weight(&v.layer, v.kind), &v.shape[..])).collect();
        if self.has_adam() {
            expected.extend(self.format.scalars().map(|name| (name.to_string(), &[] as &[usize])));
            if self.has_moments(variables) {
                for (i, variable) in variables.iter().enumerate() {
                    expected.extend(self.format.moments(i, variable).map(|name| (name, &variable.shape[..])));
                }
            }
        }
        let mut differences = Vec::new();
        for (name, &shape) in &expected {
            match self.datasets.get(name) {
                None => differences.push(format!("missing: {name} {shape:?}")),
                Some(found) if found.shape != shape => {
                    differences.push(format!("other shape: {name} is {:?}, the model has {shape:?}", found.shape));
                }
                Some(_) => {}
            }
        }
        for (name, found) in &self.datasets {
            let foreign = !self.has_adam() && name.starts_with("optimizer/");
            if !expected.contains_key(name) && !foreign {
                differences.push(format!("not in the model: {name} {:?}", found.shape));
            }
        }
        if differences.is_empty() {
            return Ok(());
        }
        let count = differences.len();
        differences.truncate(20);
        let more = if count > 20 { format!("; and {} more", count - 20) } else { String::new() };
        let problem = format!("the weights do not fit the model: {}{more}", differences.join("; "));
        Err(Error::file(path, problem, "build the model with the file's layer and kernel sizes, or use another file"))
    }

    /// The values of several datasets, one after the other.
    fn floats(&self, path: &Path, names: impl Iterator<Item = String>) -> Result<Vec<f32>> {
        let mut floats = Vec::new();
        for name in names {
            let Some(dataset) = self.datasets.get(&name) else {
                return Err(Error::file(path, format!("'{name}' is missing"), REMEDY));
            };
            for (index, &value) in dataset.values.iter().enumerate() {
                check_weight(&format!("'{name}' in '{}'", path.display()), index, value as f32)?;
                floats.push(value as f32);
            }
        }
        Ok(floats)
    }

    /// The optimiser's state; a new one with the given rate if the file has none.
    fn adam(&self, path: &Path, variables: &[Variable], lr: f64) -> Result<Adam> {
        if !self.has_adam() {
            return Ok(Adam::new(lr));
        }
        let scalars = self.format.scalars().map(|name| self.datasets.get(name));
        let [Some(steps), Some(rate)] = scalars.map(|scalar| Some(*scalar?.values.first()?)) else {
            return Err(Error::file(path, "the optimizer's state is incomplete", REMEDY));
        };
        let usable = |rate: f64| (rate as f32).is_finite() && rate as f32 > 0.0;
        if !(0.0..9e15).contains(&steps) || !usable(rate) {
            let problem = format!("the optimizer has made {steps} steps with learning rate {rate}");
            return Err(Error::file(path, problem, REMEDY));
        }
        let mut adam = Adam { iterations: steps as u64, ..Adam::new(rate) };
        if self.has_moments(variables) {
            let names = || variables.iter().enumerate().map(|(i, variable)| self.format.moments(i, variable));
            adam.momentum = self.floats(path, names().map(|[momentum, _]| momentum))?;
            adam.velocity = self.floats(path, names().map(|[_, velocity]| velocity))?;
            if let Some(index) = adam.velocity.iter().position(|&velocity| velocity < 0.0) {
                let problem = format!("the optimizer's velocity with index {index} is negative");
                return Err(Error::file(path, problem, REMEDY));
            }
        }
        Ok(adam)
    }
}

const REMEDY: &str = "give a file with the weights of a model that generate_model builds, or write it again";

fn read(path: &Path) -> Result<Contents> {
    match Format::of(path)? {
        Format::Keras => {
            let file = open_hdf5(path)?;
            read_contents(&file).map_err(|error| Error::file(path, format!("cannot read: {error}"), REMEDY))
        }
        Format::Safetensors => {
            let metadata = fs::metadata(path).map_err(Error::io(path, "open"))?;
            if !metadata.is_file() {
                return Err(Error::file(path, "it is not a regular file", "give the name of a file of weights"));
            }
            if metadata.len() > MAX_BYTES {
                return Err(Error::file(path, format!("it has {} bytes, which is too large", metadata.len()), REMEDY));
            }
            parse_safetensors(path, &fs::read(path).map_err(Error::io(path, "read"))?)
        }
    }
}

/// The contents of a safetensors file with the given name. The crate checks the header: lengths, gaps, overlaps, sizes.
fn parse_safetensors(path: &Path, bytes: &[u8]) -> Result<Contents> {
    let tensors = SafeTensors::deserialize(bytes).map_err(|error| {
        Error::file(path, format!("it is not a safetensors file ({} bytes): {error:?}", bytes.len()), REMEDY)
    })?;
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
    Ok(Contents { format: Format::Safetensors, datasets, optimizer })
}

/// Weights and optimiser state as a safetensors file.
fn to_safetensors(
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
    serialize(views, &None)
}

fn read_contents(file: &hdf5::File) -> hdf5::Result<Contents> {
    let mut datasets = BTreeMap::new();
    let mut size = 0;
    read_group(file, "", MAX_DEPTH, &mut size, &mut datasets)?;
    let optimizer = match file.group("optimizer/vars") {
        Ok(group) if group.attr_names()?.iter().any(|name| name == "name") => {
            Some(group.attr("name")?.read_scalar::<VarLenUnicode>()?.to_string())
        }
        _ => None,
    };
    Ok(Contents { format: Format::Keras, datasets, optimizer })
}

fn read_group(
    group: &hdf5::Group,
    prefix: &str,
    depth: usize,
    size: &mut usize,
    datasets: &mut BTreeMap<String, Dataset>,
) -> hdf5::Result<()> {
    if depth == 0 {
        return Err(format!("'{prefix}': groups nested deeper than {MAX_DEPTH}").as_str().into());
    }
    for name in group.member_names()? {
        let path = format!("{prefix}{name}");
        if path == TRAINING {
            continue;
        }
        match group.loc_type_by_name(&name)? {
            hdf5::LocationType::Group => {
                read_group(&group.group(&name)?, &format!("{path}/"), depth - 1, size, datasets)?;
            }
            hdf5::LocationType::Dataset => {
                let dataset = group.dataset(&name)?;
                // A damaged or hostile file may claim any size.
                *size = size.saturating_add(dataset.size());
                if *size > 3 * MAX_PARAMS + 2 {
                    return Err(format!("'{path}' with shape {:?} is too large", dataset.shape()).as_str().into());
                }
                let values = dataset.read_raw::<f64>().map_err(|error| format!("'{path}': {error}"))?;
                datasets.insert(path, Dataset { shape: dataset.shape(), values });
            }
            _ => {}
        }
    }
    Ok(())
}

fn write(file: &hdf5::File, variables: &[Variable], values: &[f32], adam: &Adam) -> hdf5::Result<()> {
    let group = |path: &str, name: Option<&str>| -> hdf5::Result<hdf5::Group> {
        let group = file.create_group(path)?;
        if let Some(name) = name {
            let name: VarLenUnicode = name.parse().map_err(|_| "a name with a zero byte")?;
            group.new_attr::<VarLenUnicode>().create("name")?.write_scalar(&name)?;
        }
        Ok(group)
    };
    let array = |path: &str, variable: &Variable, values: &[f32]| -> hdf5::Result<()> {
        let view = ArrayView::from_shape(&variable.shape[..], &values[variable.range.clone()]);
        file.new_dataset_builder().with_data(view.map_err(|error| error.to_string())?).create(path)?;
        Ok(())
    };
    group("vars", Some("sequential"))?;
    group("layers", None)?;
    for variable in variables.iter().filter(|variable| variable.kind == "kernel") {
        let layer = format!("layers/{}", variable.layer);
        group(&layer, None)?;
        group(&format!("{layer}/vars"), Some(&variable.layer))?;
        if variable.layer == "time_distributed" {
            group(&format!("{layer}/layer"), None)?;
            group(&format!("{layer}/layer/vars"), Some("dense"))?;
        }
    }
    for variable in variables {
        array(&Format::Keras.weight(&variable.layer, variable.kind), variable, values)?;
    }
    group("optimizer", None)?;
    let optimizer = group("optimizer/vars", Some("adam"))?;
    optimizer.new_dataset::<i64>().create("0")?.write_scalar(&(adam.iterations as i64))?;
    optimizer.new_dataset::<f32>().create("1")?.write_scalar(&adam.learning_rate)?;
    if !adam.momentum.is_empty() {
        for (i, variable) in variables.iter().enumerate() {
            let [momentum, velocity] = Format::Keras.moments(i, variable);
            array(&momentum, variable, &adam.momentum)?;
            array(&velocity, variable, &adam.velocity)?;
        }
    }
    Ok(())
}
