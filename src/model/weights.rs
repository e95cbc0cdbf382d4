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
//! Keras does not store padding, dilation and activations there. `Model::save_weights` writes the layers as the root's
//! attribute `layers`, which Keras ignores, so that no file is read into another model.
//!
//! and a safetensors file the same arrays, in the same shapes, as `conv1d.kernel`, `conv1d.bias`, ...,
//! `time_distributed.bias`, `optimizer.iterations`, `optimizer.learning_rate`, `optimizer.momentum.conv1d.kernel`,
//! `optimizer.velocity.conv1d.kernel`, ...

mod keras;
mod safetensors;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::network::{convolution_name, dense_name};
use super::{
    Adam, MAX_PARAMS, Model, ModelOptions, Network, Sequential, Variable, check_weight, generate_model,
    is_learning_rate,
};
use crate::files::{NewFile, check_target, hdf5_error, open_hdf5, write_whole};
use crate::{Error, Result};

/// The largest safetensors file: weights, momentum and velocity, and what describes them.
const MAX_BYTES: u64 = 12 * MAX_PARAMS as u64 + 1_000_000;
/// The name of the attribute, or of the metadata, with the layers.
const LAYERS: &str = "layers";
/// The group in which a backup keeps the state of the training.
pub(crate) const TRAINING: &str = "training";

impl ModelOptions {
    /// The options of the model whose weights are in a `.weights.h5` or `.safetensors` file: layer and kernel sizes,
    /// input channels and, if it is in the file, the learning rate. All other options, such as the penalty, are not
    /// stored in such files and have their defaults.
    ///
    /// # Errors
    /// Like those of [`Model::load_weights`].
    pub fn from_weights(path: impl AsRef<Path>) -> Result<ModelOptions> {
        let path = path.as_ref();
        read(path)?.options(path)
    }
}

impl Model {
    /// Writes weights and optimiser state to a file. If its name ends in `.weights.h5`, the file has the form of Keras
    /// 3's `model.save_weights`, and Keras' `load_weights` can read it. If its name ends in `.safetensors`, the arrays
    /// have names such as `conv1d.kernel`.
    ///
    /// Keras restores the optimiser's state only if the optimiser has its variables already. In Python, call
    /// `model.optimizer.build(model.trainable_variables)` before `model.load_weights(path)`.
    ///
    /// The file is complete or absent: it is written under a temporary name and then renamed.
    ///
    /// # Errors
    /// If the name ends otherwise, the file exists and `overwrite` is false, or it cannot be written.
    pub fn save_weights(&self, path: impl AsRef<Path>, overwrite: bool) -> Result<()> {
        let path = path.as_ref();
        match Format::of(path)? {
            Format::Keras => self.save_keras(path, overwrite, &|_| Ok(())),
            Format::Safetensors => {
                let bytes = safetensors::to_bytes(&self.sequential, &self.variables(), &self.values()?, &self.adam)
                    .map_err(|error| Error::file(path, error, "choose another format"))?;
                write_whole(path, overwrite, &bytes)
            }
        }
    }

    /// Checks that [`Model::save_weights`] can write to a file of this name. Call it before a long training.
    ///
    /// # Errors
    /// Like those of [`Model::save_weights`].
    pub fn check_weights_path(path: impl AsRef<Path>, overwrite: bool) -> Result<()> {
        let path = path.as_ref();
        Format::of(path)?;
        check_target(path, overwrite).map(|_| ())
    }

    /// Writes Keras' file, to which `more` may add.
    pub(crate) fn save_keras(
        &self,
        path: &Path,
        overwrite: bool,
        more: &dyn Fn(&hdf5::File) -> hdf5::Result<()>,
    ) -> Result<()> {
        let values = self.values()?;
        let new = NewFile::create(path, overwrite)?;
        let file = new.create_hdf5()?;
        keras::write(&file, &self.sequential, &self.variables(), &values, &self.adam)
            .and_then(|()| more(&file))
            .and_then(|()| file.close())
            .map_err(hdf5_error(path, "write the weights"))?;
        new.finish()
    }

    /// Reads a model from a `.weights.h5` file, written by Keras or by [`Model::save_weights`], or from a
    /// `.safetensors` file. The model is on the CPU. Layer and kernel sizes are those of the weights. If the file holds
    /// the optimiser's state, the optimiser continues from it.
    ///
    /// For another device or penalty, change the options: `ModelOptions { l2: 0.0, ..ModelOptions::from_weights(path)?
    /// }`. Then call [`generate_model`] and [`Model::set_weights_from`].
    ///
    /// # Errors
    /// If the file is missing or of another kind, holds a model that [`generate_model`] cannot build, or a weight that
    /// is not finite.
    ///
    /// ```
    /// use hhnet::model::{Model, ModelOptions, generate_model};
    /// let folder = tempfile::tempdir().unwrap();
    /// let path = folder.path().join("model.weights.h5");
    /// let model = generate_model(&ModelOptions { kernel_sizes: vec![4, 5, 6], ..ModelOptions::default() })?;
    /// model.save_weights(&path, false)?;
    /// assert_eq!(ModelOptions::from_weights(&path)?.kernel_sizes, [4, 5, 6]);
    /// assert_eq!(Model::load_weights(&path)?.count_params(), model.count_params());
    /// # Ok::<(), hhnet::Error>(())
    /// ```
    pub fn load_weights(path: impl AsRef<Path>) -> Result<Model> {
        let path = path.as_ref();
        let contents = read(path)?;
        let mut model = generate_model(&contents.options(path)?)?;
        model.set_contents(path, &contents)?;
        Ok(model)
    }

    /// Sets the weights of this model from a `.weights.h5` or `.safetensors` file, and the optimiser's state too. If
    /// the file holds no state, or that of another optimiser, Adam starts from the beginning.
    ///
    /// # Errors
    /// Like those of [`Model::load_weights`]. Also if the weights do not fit the model: the message lists the missing
    /// weights, the surplus ones and those with another shape. The model is then unchanged.
    pub fn set_weights_from(&mut self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let contents = read(path)?;
        self.set_contents(path, &contents)
    }

    fn set_contents(&mut self, path: &Path, contents: &Contents) -> Result<()> {
        let variables = self.variables();
        contents.check_fit(path, &variables)?;
        contents.check_layers(path, &self.sequential)?;
        let names = variables.iter().map(|variable| contents.format.weight(&variable.layer, variable.kind));
        let values = contents.floats(path, names)?;
        let adam = contents.adam(path, &variables, &self.adam)?;
        self.set_values(&values)?;
        self.adam = adam;
        Ok(())
    }
}

/// The original study's model with trained weights, for use without any data.
///
/// The weights are those of `data/trained.safetensors` in the source. `data/README.md` describes how they were trained,
/// and how accurate they are.
///
/// # Errors
/// If libtorch cannot create the model.
///
/// ```
/// use hhnet::model::trained_model;
/// use hhnet::ndarray::Array3;
/// let model = trained_model()?;
/// // Without current the potential stays near rest.
/// let potential_mv = model.predict(&Array3::<f64>::zeros((1, 100, 1)))?;
/// assert!(potential_mv.iter().all(|v| (-67.0..-63.0).contains(v)));
/// # Ok::<(), hhnet::Error>(())
/// ```
pub fn trained_model() -> Result<Model> {
    let path = Path::new("data/trained.safetensors");
    let contents = safetensors::parse(path, include_bytes!("../../data/trained.safetensors"))?;
    let mut model = generate_model(&contents.options(path)?)?;
    model.set_contents(path, &contents)?;
    Ok(model)
}

/// Checks that a name belongs to a file that can hold more than weights.
pub(crate) fn check_keras_name(path: &Path) -> Result<()> {
    match Format::of(path)? {
        Format::Keras => Ok(()),
        Format::Safetensors => {
            Err(Error::file(path, "this format can hold weights only", "use a name that ends in '.weights.h5'"))
        }
    }
}

/// A kind of file. It determines the names of the model's arrays.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Format {
    Keras,
    Safetensors,
}

impl Format {
    /// The format that belongs to a file name.
    fn of(path: &Path) -> Result<Format> {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let ends_in = |end: &str| name.ends_with(end) && name.len() > end.len();
        match () {
            () if ends_in(".weights.h5") => Ok(Format::Keras),
            () if ends_in(".safetensors") => Ok(Format::Safetensors),
            () => Err(Error::file(
                path,
                "not a name for weights",
                "use a name that ends in '.weights.h5' (Keras) or '.safetensors'",
            )),
        }
    }

    /// The name of a layer's kernel or bias.
    fn weight(self, layer: &str, kind: &str) -> String {
        if self == Format::Safetensors {
            return format!("{layer}.{kind}");
        }
        let inner = if is_dense(layer) { "layer/" } else { "" };
        format!("layers/{layer}/{inner}vars/{}", if kind == "kernel" { 0 } else { 1 })
    }

    /// The names of the optimiser's number of steps and of its learning rate.
    fn scalars(self) -> [&'static str; 2] {
        match self {
            Format::Keras => ["optimizer/vars/0", "optimizer/vars/1"],
            Format::Safetensors => ["optimizer.iterations", "optimizer.learning_rate"],
        }
    }

    /// The names of momentum and velocity of the variable with index `i`.
    fn moments(self, i: usize, Variable { layer, kind, .. }: &Variable) -> [String; 2] {
        match self {
            Format::Keras => [format!("optimizer/vars/{}", 2 + 2 * i), format!("optimizer/vars/{}", 3 + 2 * i)],
            Format::Safetensors => ["momentum", "velocity"].map(|moment| format!("optimizer.{moment}.{layer}.{kind}")),
        }
    }
}

/// Whether a layer of this name is a `TimeDistributed` one.
fn is_dense(layer: &str) -> bool {
    layer.starts_with("time_distributed")
}

/// One array of a file.
struct Dataset {
    shape: Vec<usize>,
    /// Every number that Keras stores is exact in double precision.
    values: Vec<f64>,
}

/// Everything in a weights file.
struct Contents {
    format: Format,
    datasets: BTreeMap<String, Dataset>,
    /// Keras' name of the optimiser's class, such as `adam`.
    optimizer: Option<String>,
    /// The layers, if [`Model::save_weights`] wrote the file: its arrays show neither padding nor activations.
    layers: Option<String>,
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
        match (inputs.first(), self.datasets.get(&self.format.weight(&dense_name(0), "kernel"))) {
            (Some(&channels), _) => options.input_channels = channels,
            (None, Some(kernel)) if kernel.shape.len() == 2 => options.input_channels = kernel.shape[0],
            _ => {
                let found: Vec<&str> = self.datasets.keys().map(String::as_str).take(20).collect();
                let problem = format!("it holds no layers of a model, only [{}]", found.join(", "));
                return Err(Error::file(path, problem, REMEDY));
            }
        }
        if self.has_adam()
            && let Some(rate) = self.datasets.get(self.format.scalars()[1]).filter(|rate| rate.shape.is_empty())
        {
            options.lr = Adam::new(rate.values[0]).learning_rate();
        }
        options.check().map_err(|error| Error::file(path, error, REMEDY))?;
        let sequential = options.sequential();
        self.check_fit(path, &Network::new(&sequential.layers).variables())?;
        self.check_layers(path, &sequential)?;
        Ok(options)
    }

    /// Compares the layers with those of the model.
    fn check_layers(&self, path: &Path, model: &Sequential) -> Result<()> {
        match &self.layers {
            Some(layers) if *layers != model.to_string() => {
                let problem = format!("its weights are those of {layers}, and the model is {model}");
                Err(Error::file(path, problem, "build the file's layers with Sequential and call set_weights_from"))
            }
            _ => Ok(()),
        }
    }

    /// Whether it holds Adam's state.
    fn has_adam(&self) -> bool {
        self.optimizer.as_deref() == Some("adam")
    }

    /// Whether Adam has made a step.
    fn has_moments(&self, variables: &[Variable]) -> bool {
        self.format.moments(0, &variables[0]).iter().any(|name| self.datasets.contains_key(name))
    }

    /// Compares names and shapes with those of the model.
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
        Err(Error::file(
            path,
            problem,
            "build the model with the file's layers, with generate_model or Sequential, or use another file",
        ))
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

    /// The optimiser with the file's state and learning rate, or as new if the file holds none.
    fn adam(&self, path: &Path, variables: &[Variable], adam: &Adam) -> Result<Adam> {
        let new = Adam { iterations: 0, momentum: Vec::new(), velocity: Vec::new(), ..*adam };
        if !self.has_adam() {
            return Ok(new);
        }
        let scalars = self.format.scalars().map(|name| self.datasets.get(name));
        let [Some(steps), Some(rate)] = scalars.map(|scalar| Some(*scalar?.values.first()?)) else {
            return Err(Error::file(path, "the optimiser's state is incomplete", REMEDY));
        };
        if !(0.0..9e15).contains(&steps) || !is_learning_rate(rate) {
            let problem = format!("the optimiser has made {steps} steps with learning rate {rate}");
            return Err(Error::file(path, problem, REMEDY));
        }
        let mut adam = Adam { iterations: steps as u64, learning_rate: rate as f32, ..new };
        if self.has_moments(variables) {
            let names = || variables.iter().enumerate().map(|(i, variable)| self.format.moments(i, variable));
            adam.momentum = self.floats(path, names().map(|[momentum, _]| momentum))?;
            adam.velocity = self.floats(path, names().map(|[_, velocity]| velocity))?;
            if let Some(index) = adam.velocity.iter().position(|&velocity| velocity < 0.0) {
                let problem = format!("the optimiser's velocity with index {index} is negative");
                return Err(Error::file(path, problem, REMEDY));
            }
        }
        Ok(adam)
    }
}

/// What to do about a file that cannot be used.
const REMEDY: &str = "use a file with the weights of a model that generate_model builds, or build the model with \
                      Sequential and call set_weights_from";

fn read(path: &Path) -> Result<Contents> {
    match Format::of(path)? {
        Format::Keras => {
            let file = open_hdf5(path)?;
            keras::read(&file).map_err(|error| Error::file(path, format!("cannot read: {error}"), REMEDY))
        }
        Format::Safetensors => {
            let metadata = fs::metadata(path).map_err(Error::io(path, "open"))?;
            if !metadata.is_file() {
                return Err(Error::file(path, "it is not a regular file", "give the name of a weights file"));
            }
            if metadata.len() > MAX_BYTES {
                return Err(Error::file(path, format!("it has {} bytes, which is too large", metadata.len()), REMEDY));
            }
            safetensors::parse(path, &fs::read(path).map_err(Error::io(path, "read"))?)
        }
    }
}
