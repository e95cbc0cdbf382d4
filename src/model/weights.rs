//! Keras' `.weights.h5` files.
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
//! ```

use std::collections::BTreeMap;
use std::path::Path;

use hdf5::types::VarLenUnicode;
use ndarray::ArrayView;

use super::{
    Adam, MAX_PARAMS, Model, ModelOptions, Variable, check_weight, convolution_name, generate_model, variables,
};
use crate::files::{PartFile, hdf5_error, open_hdf5};
use crate::{Error, Result};

const EXTENSION: &str = ".weights.h5";
/// Groups below this depth are not part of a model that [`generate_model`] builds.
const MAX_DEPTH: usize = 8;

impl ModelOptions {
    /// The options of the model whose weights are in a Keras `.weights.h5` file: layer and kernel sizes, input channels
    /// and, where the file has it, the learning rate. The rest, such as the penalty, is not in such files and has its
    /// default.
    ///
    /// # Errors
    /// As [`Model::load_weights`].
    pub fn from_weights(path: impl AsRef<Path>) -> Result<ModelOptions> {
        let path = path.as_ref();
        read(path)?.options(path)
    }
}

impl Model {
    /// Writes weights and optimiser state as Keras 3's `model.save_weights` does, so that Keras' `load_weights` reads them.
    ///
    /// Keras takes the optimiser state only into an optimiser that has its variables already: in Python, call
    /// `model.optimizer.build(model.trainable_variables)` before `model.load_weights(path)`.
    ///
    /// The file is complete or absent: it is written beside its place as `<name>.part` and then renamed.
    ///
    /// # Errors
    /// If the name does not end in `.weights.h5`, the file exists and `overwrite` is false, or it cannot be written.
    pub fn save_weights(&self, path: impl AsRef<Path>, overwrite: bool) -> Result<()> {
        let path = path.as_ref();
        check_extension(path)?;
        let values = self.values()?;
        let (part, file) = PartFile::new(path, overwrite)?.create_hdf5()?;
        write(&file, &self.variables(), &values, &self.adam)
            .and_then(|()| file.close())
            .map_err(hdf5_error(part.path(), "write the weights"))?;
        part.finish()
    }

    /// The model in a Keras `.weights.h5` file, on the CPU. Layer and kernel sizes are those of the weights, the
    /// optimiser continues where it was if the file has its state.
    ///
    /// For another device or penalty, change the options: `ModelOptions { l2: 0.0, ..ModelOptions::from_weights(path)? }`,
    /// then [`generate_model`] and [`Model::set_weights_from`].
    ///
    /// # Errors
    /// If the file is missing, is not a Keras weights file, holds a model that [`generate_model`] does not build, or a
    /// weight that is not finite.
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

    /// Replaces this model's weights by those of a Keras `.weights.h5` file. The optimiser takes the state in the file;
    /// if there is none, or it is that of another kind of optimiser, Adam starts anew.
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
        let values = contents.floats(path, variables.iter().map(dataset_path))?;
        let adam = contents.adam(path, &variables, self.learning_rate())?;
        self.set_values(&values)?;
        self.adam = adam;
        Ok(())
    }
}

/// Where Keras keeps a weight.
fn dataset_path(variable: &Variable) -> String {
    let inner = if variable.layer == "time_distributed" { "layer/" } else { "" };
    let index = if variable.kind == "kernel" { 0 } else { 1 };
    format!("layers/{}/{inner}vars/{index}", variable.layer)
}

/// Where Keras keeps the momentum and the velocity of the weight with index `i`.
fn moment_paths(i: usize) -> [String; 2] {
    [format!("optimizer/vars/{}", 2 + 2 * i), format!("optimizer/vars/{}", 3 + 2 * i)]
}

struct Dataset {
    shape: Vec<usize>,
    /// Every number that Keras stores is exact in double precision.
    values: Vec<f64>,
}

/// All that a weights file holds.
struct Contents {
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
            let name = format!("layers/{}/vars/0", convolution_name(options.layer_sizes.len()));
            let Some(kernel) = self.datasets.get(&name) else { break };
            let [kernel_size, input, output] = kernel.shape[..] else {
                let problem = format!("'{name}' has shape {:?}, not (kernel size, input, output)", kernel.shape);
                return Err(Error::file(path, problem, REMEDY));
            };
            options.kernel_sizes.push(kernel_size);
            options.layer_sizes.push(output);
            inputs.push(input);
        }
        match (inputs.first(), self.datasets.get("layers/time_distributed/layer/vars/0")) {
            (Some(&channels), _) => options.input_channels = channels,
            (None, Some(kernel)) if kernel.shape.len() == 2 => options.input_channels = kernel.shape[0],
            _ => {
                let found: Vec<&str> = self.datasets.keys().map(String::as_str).take(20).collect();
                let problem = format!("it holds no model of this kind; its datasets are [{}]", found.join(", "));
                return Err(Error::file(path, problem, REMEDY));
            }
        }
        if self.has_adam()
            && let Some(rate) = self.datasets.get("optimizer/vars/1").filter(|rate| rate.shape.is_empty())
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

    /// The count of the optimiser's variables tells whether it has made a step.
    fn has_moments(&self) -> bool {
        self.datasets.contains_key("optimizer/vars/2")
    }

    /// Compares names and shapes with those that the model has.
    fn check_fit(&self, path: &Path, variables: &[Variable]) -> Result<()> {
        let mut expected: BTreeMap<String, &[usize]> =
            variables.iter().map(|variable| (dataset_path(variable), &variable.shape[..])).collect();
        if self.has_adam() {
            expected.insert("optimizer/vars/0".to_string(), &[]);
            expected.insert("optimizer/vars/1".to_string(), &[]);
            if self.has_moments() {
                for (i, variable) in variables.iter().enumerate() {
                    expected.extend(moment_paths(i).map(|name| (name, &variable.shape[..])));
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
        let scalars = ["optimizer/vars/0", "optimizer/vars/1"].map(|name| self.datasets.get(name));
        let [Some(steps), Some(rate)] = scalars.map(|scalar| Some(*scalar?.values.first()?)) else {
            return Err(Error::file(path, "the optimizer's state is incomplete", REMEDY));
        };
        let usable = |rate: f64| (rate as f32).is_finite() && rate as f32 > 0.0;
        if !(0.0..9e15).contains(&steps) || !usable(rate) {
            let problem = format!("the optimizer has made {steps} steps with learning rate {rate}");
            return Err(Error::file(path, problem, REMEDY));
        }
        let mut adam = Adam { iterations: steps as u64, ..Adam::new(rate) };
        if self.has_moments() {
            let indices = 0..variables.len();
            adam.momentum = self.floats(path, indices.clone().map(|i| moment_paths(i)[0].clone()))?;
            adam.velocity = self.floats(path, indices.map(|i| moment_paths(i)[1].clone()))?;
            if let Some(index) = adam.velocity.iter().position(|&velocity| velocity < 0.0) {
                let problem = format!("the optimizer's velocity with index {index} is negative");
                return Err(Error::file(path, problem, REMEDY));
            }
        }
        Ok(adam)
    }
}

const REMEDY: &str = "give a .weights.h5 file of a model that generate_model builds, or write it again";

fn check_extension(path: &Path) -> Result<()> {
    match path.file_name().and_then(|name| name.to_str()) {
        Some(name) if name.ends_with(EXTENSION) && name.len() > EXTENSION.len() => Ok(()),
        _ => Err(Error::file(path, "not a name for Keras weights", format!("give a name that ends in '{EXTENSION}'"))),
    }
}

fn read(path: &Path) -> Result<Contents> {
    check_extension(path)?;
    let file = open_hdf5(path)?;
    read_contents(&file).map_err(|error| Error::file(path, format!("cannot read: {error}"), REMEDY))
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
    Ok(Contents { datasets, optimizer })
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
        array(&dataset_path(variable), variable, values)?;
    }
    group("optimizer", None)?;
    let optimizer = group("optimizer/vars", Some("adam"))?;
    optimizer.new_dataset::<i64>().create("0")?.write_scalar(&(adam.iterations as i64))?;
    optimizer.new_dataset::<f32>().create("1")?.write_scalar(&adam.learning_rate)?;
    if !adam.momentum.is_empty() {
        for (i, variable) in variables.iter().enumerate() {
            let [momentum, velocity] = moment_paths(i);
            array(&momentum, variable, &adam.momentum)?;
            array(&velocity, variable, &adam.velocity)?;
        }
    }
    Ok(())
}
