//! The convolutional network of the original study: what Keras' `generate_model` builds, on libtorch.
//!
//! A stack of one-dimensional convolutions with ReLU, each with `'same'` padding, and a linear unit per time step:
//!
//! ```text
//! h_0 = x                                                          (samples, steps, input_channels)
//! h_i[t] = max(0, b_i + sum_j h_(i-1)[t + j - left_i] K_i[j])      (samples, steps, layer_sizes[i])
//! y[t] = b + h_n[t] K                                              (samples, steps, 1)
//! ```
//!
//! with `left_i = (kernel_sizes[i] - 1) / 2`, rounded down, and zeros before the first and after the last step. Weights
//! are 32-bit floats in Keras' own shapes: a convolution's kernel is (kernel size, input channels, output channels).

mod adam;
mod summary;
mod weights;

use ndarray::ArrayD;
use rand_mt::Mt64;
use std::fmt;
use std::ops::Range;
use tch::nn::VarStore;
use tch::{Kind, TchError, Tensor};

pub use tch::Device;

pub(crate) use adam::Adam;
pub use weights::trained_model;
pub(crate) use weights::{TRAINING, check_keras_name};

use crate::simd::SimdLevel;
use crate::{Error, Result};

/// The largest layer or kernel size.
const MAX_SIZE: usize = 65_536;
/// The largest number of weights in a model: 400 MB.
const MAX_PARAMS: usize = 100_000_000;

/// What [`generate_model`] builds. `Default` is the original's model.
///
/// ```
/// use hhnet::model::ModelOptions;
/// let options = ModelOptions { lr: 0.003, ..ModelOptions::default() };
/// assert_eq!(options.layer_sizes, [2, 6, 16]);
/// assert_eq!(options.kernel_sizes, [11, 5, 1]);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ModelOptions {
    /// Learning rate of the Adam optimiser.
    pub lr: f64,
    /// Output channels of each convolution, 1 to 65536.
    pub layer_sizes: Vec<usize>,
    /// Kernel size of each convolution in time steps, 1 to 65536, odd or even.
    pub kernel_sizes: Vec<usize>,
    /// Values per time step of the input.
    pub input_channels: usize,
    /// Factor of the penalty `l2 * sum(w^2)` on kernels and biases of the convolutions.
    pub l2: f64,
    /// Seed of the starting weights. The same seed gives the same weights on every machine.
    pub seed: u64,
    /// Where the weights are and the arithmetic is done; see [`device`].
    pub device: Device,
    /// Who does the arithmetic.
    pub engine: Engine,
    /// The instructions that the fused engine uses. The same ones give the same bits on every machine that has them; by
    /// default they are the widest of this one.
    pub instructions: SimdLevel,
}

/// Who does the arithmetic of training and prediction. The results agree to about 1e-5, relative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Engine {
    /// [`Engine::Fused`] on a CPU, [`Engine::Libtorch`] elsewhere.
    #[default]
    Auto,
    /// This crate's own: all layers forward and backward, sample by sample, in the processor's vectors. CPU only.
    Fused,
    /// libtorch with its automatic differentiation, on any device.
    Libtorch,
}

impl Engine {
    pub(crate) fn is_fused(self, device: Device) -> bool {
        self == Engine::Fused || self == Engine::Auto && device == Device::Cpu
    }
}

impl Default for ModelOptions {
    fn default() -> Self {
        ModelOptions {
            lr: 0.001,
            layer_sizes: vec![2, 6, 16],
            kernel_sizes: vec![11, 5, 1],
            input_channels: 1,
            l2: 0.01,
            seed: 1,
            device: Device::Cpu,
            engine: Engine::Auto,
            instructions: SimdLevel::best(),
        }
    }
}

impl ModelOptions {
    fn check(&self) -> Result<()> {
        // The rate is used as a 32-bit number, in which very small and very large ones are 0 and infinite.
        if !((self.lr as f32).is_finite() && self.lr as f32 > 0.0) {
            return Err(Error::parameter("lr", self.lr, "give a learning rate above 0, such as 0.001"));
        }
        if !(self.l2.is_finite() && self.l2 >= 0.0) {
            return Err(Error::parameter("l2", self.l2, "give 0 or a positive factor, such as 0.01"));
        }
        if self.layer_sizes.len() != self.kernel_sizes.len() {
            return Err(Error::parameter(
                "kernel_sizes",
                format!("{:?}", self.kernel_sizes),
                format!("give one kernel size for each of the layer sizes {:?}", self.layer_sizes),
            ));
        }
        let sizes = [("layer_sizes", &self.layer_sizes), ("kernel_sizes", &self.kernel_sizes)];
        for (name, sizes) in sizes {
            if let Some(i) = sizes.iter().position(|size| !(1..=MAX_SIZE).contains(size)) {
                return Err(Error::parameter(format!("{name}[{i}]"), sizes[i], format!("give 1 to {MAX_SIZE}")));
            }
        }
        if !(1..=MAX_SIZE).contains(&self.input_channels) {
            return Err(Error::parameter("input_channels", self.input_channels, format!("give 1 to {MAX_SIZE}")));
        }
        let params = variables(self).last().map_or(0, |variable| variable.range.end);
        if params > MAX_PARAMS {
            return Err(Error::parameter(
                "layer_sizes",
                format!("{:?} with kernel_sizes {:?}", self.layer_sizes, self.kernel_sizes),
                format!("these are {params} weights; choose sizes that give at most {MAX_PARAMS}"),
            ));
        }
        if self.engine == Engine::Fused && self.device != Device::Cpu {
            let remedy = "the fused engine is for the CPU; use auto or libtorch with this device";
            return Err(Error::parameter("engine", "fused", remedy));
        }
        if !SimdLevel::available().contains(&self.instructions) {
            let available: Vec<&str> = SimdLevel::available().into_iter().map(SimdLevel::name).collect();
            let remedy = format!("this processor has {}", available.join(", "));
            return Err(Error::parameter("instructions", self.instructions.name(), remedy));
        }
        check_device(self.device)
    }
}

/// The device with the given name: `cpu`, `cuda`, `cuda:1`, ..., or `mps`.
///
/// # Errors
/// If the name is another one, or this libtorch or this machine has no such device.
///
/// ```
/// use hhnet::model::{Device, device};
/// assert_eq!(device("cpu")?, Device::Cpu);
/// assert!(device("abacus").is_err());
/// # Ok::<(), hhnet::Error>(())
/// ```
pub fn device(name: &str) -> Result<Device> {
    let device = match name {
        "cpu" => Some(Device::Cpu),
        "mps" => Some(Device::Mps),
        "cuda" => Some(Device::Cuda(0)),
        _ => name.strip_prefix("cuda:").and_then(|index| index.parse().ok()).map(Device::Cuda),
    };
    let device = device.ok_or_else(|| Error::parameter("device", name, "give cpu, cuda, cuda:1 or mps"))?;
    check_device(device)?;
    Ok(device)
}

/// The devices that this libtorch can use on this machine, as [`device`] names them, with what is known about each.
pub fn devices() -> Vec<String> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut found = vec![format!("cpu ({cores} cores)")];
    found.extend((0..tch::Cuda::device_count().max(0)).map(|index| format!("cuda:{index}")));
    if tch::utils::has_mps() {
        found.push("mps".to_owned());
    }
    found
}

fn check_device(device: Device) -> Result<()> {
    let remedy = match device {
        Device::Cpu => return Ok(()),
        Device::Cuda(index) => {
            let count = tch::Cuda::device_count();
            if i64::try_from(index).is_ok_and(|index| index < count) {
                return Ok(());
            }
            format!(
                "this libtorch finds {count} CUDA devices; use cpu, or a libtorch with CUDA on a machine with a GPU"
            )
        }
        Device::Mps if tch::utils::has_mps() => return Ok(()),
        Device::Mps => "this libtorch has no MPS; use cpu".to_string(),
        Device::Vulkan => "Vulkan is not supported; use cpu".to_string(),
    };
    Err(Error::parameter("device", device_name(device), remedy))
}

fn device_name(device: Device) -> String {
    match device {
        Device::Cpu => "cpu".to_string(),
        Device::Cuda(index) => format!("cuda:{index}"),
        Device::Mps => "mps".to_string(),
        Device::Vulkan => "vulkan".to_string(),
    }
}

/// One kernel or bias.
#[derive(Debug, Clone)]
pub(crate) struct Variable {
    /// As in Keras: the layer's name.
    pub layer: String,
    /// `kernel` or `bias`.
    pub kind: &'static str,
    /// Keras' shape.
    pub shape: Vec<usize>,
    /// Where its values are among all of the model's weights.
    pub range: Range<usize>,
}

/// All kernels and biases in Keras' order. Those of the convolutions come first.
pub(crate) fn variables(options: &ModelOptions) -> Vec<Variable> {
    let mut variables: Vec<Variable> = Vec::new();
    let mut end = 0_usize;
    let mut add = |layer: &str, kind: &'static str, shape: Vec<usize>| {
        let start = end;
        end = shape.iter().fold(1_usize, |product, &size| product.saturating_mul(size)).saturating_add(start);
        variables.push(Variable { layer: layer.to_string(), kind, shape, range: start..end });
    };
    let mut channels = options.input_channels;
    for (i, (&size, &kernel_size)) in options.layer_sizes.iter().zip(&options.kernel_sizes).enumerate() {
        let layer = convolution_name(i);
        add(&layer, "kernel", vec![kernel_size, channels, size]);
        add(&layer, "bias", vec![size]);
        channels = size;
    }
    add("time_distributed", "kernel", vec![channels, 1]);
    add("time_distributed", "bias", vec![1]);
    variables
}

/// Keras' name of the convolution with index `i`.
fn convolution_name(i: usize) -> String {
    if i == 0 { "conv1d".to_string() } else { format!("conv1d_{i}") }
}

/// A layer's name, kind, shapes and size, for [`Model::summary`] and for a drawing of the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerInfo {
    /// Keras' name, such as `conv1d_1`.
    pub name: String,
    /// Keras' class, such as `Conv1D`.
    pub kind: String,
    /// What Keras' drawing of a model writes for the layer, such as `conv1d_1: Conv1D`.
    pub label: String,
    /// Shape of the input, such as `(?, ?, 2)`: samples, steps, channels; a question mark is any number.
    pub input: String,
    /// Shape of the output.
    pub output: String,
    /// Number of weights.
    pub params: usize,
}

/// The network with its weights and the state of its optimiser.
///
/// [`generate_model`] makes one with new weights, [`Model::load_weights`] one from a file. `fit`, `evaluate` and
/// `predict` are described in [`training`](crate::training).
pub struct Model {
    options: ModelOptions,
    store: VarStore,
    /// Handles of the store's variables, in Keras' order.
    tensors: Vec<Tensor>,
    pub(crate) adam: Adam,
}

/// Builds the network: Glorot-uniform kernels and zero biases drawn from the seed, an Adam optimiser, mean squared error.
///
/// A kernel is uniform within `sqrt(6 / (fan_in + fan_out))` of 0, where fan_in and fan_out are the numbers of inputs
/// and outputs, each times the kernel size (Glorot and Bengio, AISTATS 2010, as in Keras).
///
/// # Errors
/// If an option is outside its range or the device is not there.
///
/// ```
/// use hhnet::model::{ModelOptions, generate_model};
/// let model = generate_model(&ModelOptions::default())?;
/// assert_eq!(model.count_params(), 219);
/// # Ok::<(), hhnet::Error>(())
/// ```
pub fn generate_model(options: &ModelOptions) -> Result<Model> {
    options.check()?;
    let variables = variables(options);
    // libtorch's generator would be shared by the whole process and differ between devices.
    let mut random = Mt64::new(options.seed);
    let mut values = Vec::new();
    for variable in &variables {
        if variable.kind == "bias" {
            values.resize(variable.range.end, 0.0);
            continue;
        }
        let (receptive, input, output) = match variable.shape[..] {
            [kernel_size, input, output] => (kernel_size, input, output),
            _ => (1, variable.shape[0], variable.shape[1]),
        };
        let limit = (6.0 / (receptive as f64 * (input + output) as f64)).sqrt();
        values.extend(variable.range.clone().map(|_| {
            let unit = (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
            (limit * (2.0 * unit - 1.0)) as f32
        }));
    }
    let store = VarStore::new(options.device);
    let mut tensors = Vec::new();
    for variable in &variables {
        let value = to_tensor(&values[variable.range.clone()], &variable.shape, options.device)
            .map_err(Error::torch("create a weight"))?;
        tensors.push((store.root() / &variable.layer).add(variable.kind, value, true));
    }
    Ok(Model { options: options.clone(), store, tensors, adam: Adam::new(options.lr) })
}

impl Model {
    /// The options that the model was built with.
    pub fn options(&self) -> &ModelOptions {
        &self.options
    }

    /// Number of weights.
    pub fn count_params(&self) -> usize {
        self.variables().last().map_or(0, |variable| variable.range.end)
    }

    /// The learning rate of the next training step.
    pub fn learning_rate(&self) -> f64 {
        self.adam.learning_rate()
    }

    /// Changes the learning rate; the optimiser keeps the rest of its state.
    ///
    /// # Errors
    /// If the rate is not a finite number above 0.
    pub fn set_learning_rate(&mut self, lr: f64) -> Result<()> {
        ModelOptions { lr, ..self.options.clone() }.check()?;
        self.adam.set_learning_rate(lr);
        Ok(())
    }

    /// Training steps (batches) so far.
    pub fn iterations(&self) -> u64 {
        self.adam.iterations
    }

    /// libtorch's own store of the weights, for work with `tch`: `conv1d.kernel`, `conv1d.bias`, ...,
    /// `time_distributed.kernel`, `time_distributed.bias`, in Keras' shapes.
    pub fn var_store(&self) -> &VarStore {
        &self.store
    }

    /// The layers from the input on, with Keras' names. The first is the input itself.
    ///
    /// ```
    /// use hhnet::model::{ModelOptions, generate_model};
    /// let layers = generate_model(&ModelOptions::default())?.layers();
    /// assert_eq!(layers[1].label, "conv1d: Conv1D");
    /// assert_eq!(layers[1].input, "(?, ?, 1)");
    /// assert_eq!(layers[1].output, "(?, ?, 2)");
    /// # Ok::<(), hhnet::Error>(())
    /// ```
    pub fn layers(&self) -> Vec<LayerInfo> {
        let mut channels = self.options.input_channels;
        let input = format!("[(?, ?, {channels})]");
        let mut layers = vec![LayerInfo {
            name: "input_1".to_string(),
            kind: "InputLayer".to_string(),
            label: "input_1: InputLayer".to_string(),
            input: input.clone(),
            output: input,
            params: 0,
        }];
        for pair in self.variables().chunks(2) {
            let name = pair[0].layer.clone();
            let (kind, label) = match name.as_str() {
                "time_distributed" => {
                    ("TimeDistributed", "time_distributed(dense): TimeDistributed(Dense)".to_string())
                }
                _ => ("Conv1D", format!("{name}: Conv1D")),
            };
            let output = pair[1].shape[0];
            layers.push(LayerInfo {
                name,
                kind: kind.to_string(),
                label,
                input: format!("(?, ?, {channels})"),
                output: format!("(?, ?, {output})"),
                params: pair[0].range.len() + pair[1].range.len(),
            });
            channels = output;
        }
        layers
    }

    /// The weights in Keras' order and shapes, as Keras' `get_weights`: kernel and bias of each convolution, then of the
    /// linear unit.
    ///
    /// # Errors
    /// If libtorch cannot read them back from the device.
    pub fn get_weights(&self) -> Result<Vec<ArrayD<f32>>> {
        let values = self.values()?;
        self.variables()
            .into_iter()
            .map(|variable| {
                ArrayD::from_shape_vec(variable.shape.clone(), values[variable.range].to_vec()).map_err(|error| {
                    Error::Shape {
                        what: format!("{}.{}", variable.layer, variable.kind),
                        expected: format!("{:?}", variable.shape),
                        found: error.to_string(),
                        remedy: "do not change the shapes of the variable store's tensors".to_string(),
                    }
                })
            })
            .collect()
    }

    /// Replaces all weights, as Keras' `set_weights`. The optimiser keeps its state.
    ///
    /// # Errors
    /// If the number of arrays, a shape or a value does not fit; the model is then unchanged.
    ///
    /// ```
    /// use hhnet::model::{ModelOptions, generate_model};
    /// let mut model = generate_model(&ModelOptions::default())?;
    /// let mut weights = model.get_weights()?;
    /// weights[7].fill(-65.0);
    /// model.set_weights(&weights)?;
    /// # Ok::<(), hhnet::Error>(())
    /// ```
    pub fn set_weights(&mut self, weights: &[ArrayD<f32>]) -> Result<()> {
        let variables = self.variables();
        let shape_error = |what: String, expected: String, found: String| Error::Shape {
            what,
            expected,
            found,
            remedy: "give the arrays of get_weights(), in its order".to_string(),
        };
        if weights.len() != variables.len() {
            let (expected, found) = (format!("({},)", variables.len()), format!("({},)", weights.len()));
            return Err(shape_error("list of weights".to_string(), expected, found));
        }
        let mut values = Vec::with_capacity(self.count_params());
        for (variable, weight) in variables.iter().zip(weights) {
            let what = format!("{}.{}", variable.layer, variable.kind);
            if weight.shape() != variable.shape {
                return Err(shape_error(what, format!("{:?}", variable.shape), format!("{:?}", weight.shape())));
            }
            for (index, &value) in weight.iter().enumerate() {
                check_weight(&what, index, value)?;
                values.push(value);
            }
        }
        self.set_values(&values)
    }

    pub(crate) fn variables(&self) -> Vec<Variable> {
        variables(&self.options)
    }

    /// All weights, one after the other.
    pub(crate) fn values(&self) -> Result<Vec<f32>> {
        let mut values = Vec::with_capacity(self.count_params());
        for tensor in &self.tensors {
            values.extend(from_tensor(tensor).map_err(Error::torch("read the weights"))?);
        }
        Ok(values)
    }

    /// The inverse of [`Model::values`].
    pub(crate) fn set_values(&mut self, values: &[f32]) -> Result<()> {
        for (variable, tensor) in self.variables().iter().zip(&mut self.tensors) {
            to_tensor(&values[variable.range.clone()], &variable.shape, Device::Cpu)
                .and_then(|value| tch::no_grad(|| tensor.f_copy_(&value)))
                .map_err(Error::torch("write the weights"))?;
        }
        Ok(())
    }

    /// The network on a tensor, with libtorch's automatic differentiation: for work with `tch` beyond `fit`.
    ///
    /// `x` is float32 of shape (samples, steps, channels) on the model's device; the result is (samples, steps, 1).
    ///
    /// # Errors
    /// If libtorch refuses, for example because the shape does not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        forward(&self.tensors, x).map_err(Error::torch("apply the model"))
    }
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model").field("options", &self.options).field("iterations", &self.adam.iterations).finish()
    }
}

pub(crate) fn check_weight(what: &str, index: usize, value: f32) -> Result<()> {
    if value.is_finite() {
        return Ok(());
    }
    Err(Error::NotFinite {
        what: what.to_string(),
        value: f64::from(value),
        place: format!("index {index}"),
        remedy: "weights must be finite; use others".to_string(),
    })
}

pub(crate) fn to_tensor(values: &[f32], shape: &[usize], device: Device) -> std::result::Result<Tensor, TchError> {
    let shape: Vec<i64> = shape.iter().map(|&size| size as i64).collect();
    Tensor::f_from_slice(values)?.f_reshape(&shape)?.f_to_device(device)
}

pub(crate) fn from_tensor(tensor: &Tensor) -> std::result::Result<Vec<f32>, TchError> {
    let tensor = tensor.f_detach()?.f_to_device(Device::Cpu)?.f_to_kind(Kind::Float)?.f_contiguous()?;
    let mut values = vec![0.0; tensor.numel()];
    let length = values.len();
    tensor.f_copy_data(&mut values, length)?;
    Ok(values)
}

/// The network, from `x` (samples, steps, channels) to (samples, steps, 1), with `weights` in Keras' order and shapes.
///
/// Each convolution is one matrix product. Channels are the rows and all time steps of all samples the columns, so that
/// the long side is contiguous in memory: on a CPU this takes about half the time of libtorch's `conv1d`.
pub(crate) fn forward(weights: &[Tensor], x: &Tensor) -> std::result::Result<Tensor, TchError> {
    forward_with(weights, x, &mut |_| Ok(()))
}

/// The same; `each` is shown what each convolution puts out, shape (channels, samples * steps).
pub(crate) fn forward_with(
    weights: &[Tensor],
    x: &Tensor,
    each: &mut dyn FnMut(&Tensor) -> std::result::Result<(), TchError>,
) -> std::result::Result<Tensor, TchError> {
    let (samples, steps, channels) = x.size3()?;
    let columns = samples * steps;
    let mut h = x.f_permute([2, 0, 1])?.f_reshape([channels, columns])?;
    let (convolutions, linear) = weights.split_at(weights.len() - 2);
    for pair in convolutions.chunks(2) {
        let (kernel_size, input, output) = pair[0].size3()?;
        if kernel_size > 1 {
            let left = (kernel_size - 1) / 2;
            h = h
                .f_reshape([input, samples, steps])?
                .f_constant_pad_nd([left, kernel_size - 1 - left])?
                .f_unfold(2, kernel_size, 1)?
                .f_permute([3, 0, 1, 2])?
                .f_reshape([kernel_size * input, columns])?;
        }
        let kernel = pair[0].f_reshape([kernel_size * input, output])?.f_transpose(0, 1)?;
        h = pair[1].f_reshape([output, 1])?.f_addmm(&kernel, &h)?.f_relu()?;
        each(&h)?;
    }
    linear[1].f_reshape([1, 1])?.f_addmm(&linear[0].f_transpose(0, 1)?, &h)?.f_reshape([samples, steps, 1])
}
