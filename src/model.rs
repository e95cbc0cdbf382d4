//! Convolutional networks over time, built as in Keras: layer by layer with [`Sequential`], or the original study's with
//! [`generate_model`].
//!
//! The original's network is a stack of one-dimensional convolutions with ReLU, each with `'same'` padding, and a linear
//! unit per time step:
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
mod device;
mod forward;
mod layers;
mod network;
mod options;
mod sequential;
mod summary;
mod weights;

use std::fmt;

use ndarray::ArrayD;
use rand_mt::Mt64;
use tch::Tensor;
use tch::nn::VarStore;

pub use tch::Device;

pub use adam::Adam;
pub use device::{device, devices};
pub use layers::{Activation, Conv1D, Dense, InputLayer, L2, Layer, Padding, TimeDistributed, l2};
pub use network::LayerInfo;
pub use options::{Engine, ModelOptions};
pub use sequential::{Loss, Sequential};
pub use weights::trained_model;

pub(crate) use adam::is_positive_f32;
pub(crate) use forward::{forward, from_tensor, to_tensor};
pub(crate) use network::{Network, NetworkLayer, Variable};
pub(crate) use weights::{check_weights_h5_name, sealed_by};

use crate::simd::SimdLevel;
use crate::{Error, Result};

/// The largest number of weights in a model: 400 MB.
const MAX_PARAMS: usize = 100_000_000;
/// More threads would work, but each costs memory.
const MAX_THREADS: usize = 1024;

/// The network with its weights and the state of its optimiser.
///
/// [`Sequential::compile`] and [`generate_model`] create a model with new weights, [`Model::load`] reads one from a file.
/// `fit`, `evaluate` and `predict` are described in [`training`](crate::training).
pub struct Model {
    sequential: Sequential,
    pub(crate) network: Network,
    store: VarStore,
    /// Handles of the store's variables, in Keras' order.
    tensors: Vec<Tensor>,
    pub(crate) adam: Adam,
    /// `None` for as many as the process may use.
    pub(crate) threads: Option<usize>,
    notes: Vec<String>,
    validation_samples: Option<usize>,
}

/// Builds the original study's network with the given sizes, as Keras' `generate_model` in the study does.
///
/// It is a [`Sequential`] of an [`InputLayer`], a [`Conv1D`] with `'same'` padding, ReLU and the penalty on kernel and
/// bias for each of the sizes, and a [`TimeDistributed`] [`Dense`] layer of one unit, compiled with [`Adam`] and the mean
/// squared error.
///
/// # Errors
/// If an option is outside its range or the device is not available.
///
/// ```
/// use hhnet::model::{ModelOptions, generate_model};
/// let model = generate_model(&ModelOptions::default())?;
/// assert_eq!(model.count_params(), 219);
/// # Ok::<(), hhnet::Error>(())
/// ```
pub fn generate_model(options: &ModelOptions) -> Result<Model> {
    options.check()?;
    options.sequential().compile(Adam::new(options.lr), Loss::Mse)
}

/// Glorot-uniform kernels and zero biases.
fn initial_weights(network: &Network, seed: u64) -> Vec<f32> {
    // libtorch's generator would be shared by the whole process and differ between devices.
    let mut random = Mt64::new(seed);
    let mut values = Vec::with_capacity(network.params());
    for layer in &network.layers {
        let limit = (6.0 / (layer.kernel_size as f64 * (layer.inputs + layer.outputs) as f64)).sqrt();
        values.extend(layer.kernel.clone().map(|_| {
            let unit = (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
            (limit * (2.0 * unit - 1.0)) as f32
        }));
        values.resize(layer.bias.end, 0.0);
    }
    values
}

impl Model {
    /// A model with new weights.
    fn build(sequential: Sequential, network: Network, adam: Adam) -> Result<Model> {
        let values = initial_weights(&network, sequential.seed);
        let store = VarStore::new(sequential.device);
        let mut tensors = Vec::new();
        for variable in network.variables() {
            let value = to_tensor(&values[variable.range], &variable.shape, sequential.device)
                .map_err(Error::torch("create a weight"))?;
            tensors.push((store.root() / &variable.layer).add(variable.kind, value, true));
        }
        Ok(Model {
            sequential,
            network,
            store,
            tensors,
            adam,
            threads: None,
            notes: Vec::new(),
            validation_samples: None,
        })
    }

    /// The layers that the model was built from, and how it is computed.
    pub fn sequential(&self) -> &Sequential {
        &self.sequential
    }

    pub(crate) fn device(&self) -> Device {
        self.sequential.device
    }

    pub(crate) fn simd_level(&self) -> SimdLevel {
        self.sequential.simd_level
    }

    /// Whether the fused engine computes the network.
    pub(crate) fn is_fused(&self) -> bool {
        let Sequential { engine, device, .. } = self.sequential;
        let auto = engine == Engine::Auto && device == Device::Cpu && self.network.not_fused().is_none();
        engine == Engine::Fused || auto
    }

    /// Number of weights.
    pub fn count_params(&self) -> usize {
        self.network.params()
    }

    /// The learning rate of the next training step.
    pub fn learning_rate(&self) -> f64 {
        self.adam.learning_rate()
    }

    /// Sets the learning rate. The optimiser keeps the rest of its state.
    ///
    /// # Errors
    /// If the rate is not a finite number above 0.
    pub fn set_learning_rate(&mut self, lr: f64) -> Result<()> {
        self.adam.set_learning_rate(lr)
    }

    /// Moves the weights to another device, which computes the network from then on; see [`device`].
    ///
    /// # Errors
    /// If the device is not available, or the engine is [`Engine::Fused`], which runs on the CPU only. The model is
    /// then unchanged.
    pub fn set_device(&mut self, device: Device) -> Result<()> {
        let mut sequential = self.sequential.clone();
        sequential.device(device);
        let mut moved = sequential.compile(self.adam.clone(), Loss::Mse)?;
        moved.set_values(&self.values()?)?;
        let Model { sequential, store, tensors, .. } = moved;
        (self.sequential, self.store, self.tensors) = (sequential, store, tensors);
        Ok(())
    }

    /// Number of samples at the end of the data that were kept for validation when the model was trained, if this is
    /// known. It is stored with the model.
    pub fn validation_samples(&self) -> Option<usize> {
        self.validation_samples
    }

    /// Sets the number of samples at the end of the data that are kept for validation. Training does not use it: give
    /// the samples to [`fit`](Model::fit).
    pub fn set_validation_samples(&mut self, validation_samples: Option<usize>) {
        self.validation_samples = validation_samples;
    }

    /// Sets the number of threads on a CPU; `None`, the default, uses all that the process may use. The results do not
    /// depend on it.
    ///
    /// # Errors
    /// If it is 0 or above 1024.
    ///
    /// ```
    /// use hhnet::model::trained_model;
    /// let mut model = trained_model()?;
    /// model.set_threads(Some(2))?;
    /// assert_eq!(model.set_threads(Some(0)).unwrap_err().to_string(), "threads = 0: give 1 to 1024");
    /// # Ok::<(), hhnet::Error>(())
    /// ```
    pub fn set_threads(&mut self, threads: Option<usize>) -> Result<()> {
        if let Some(threads) = threads.filter(|threads| !(1..=MAX_THREADS).contains(threads)) {
            return Err(Error::parameter("threads", threads, format!("give 1 to {MAX_THREADS}")));
        }
        self.threads = threads;
        Ok(())
    }

    /// Number of training steps (batches) so far.
    pub fn iterations(&self) -> u64 {
        self.adam.iterations
    }

    /// The weights as libtorch's variable store, for work with `tch`: `conv1d.kernel`, `conv1d.bias`, ...,
    /// `time_distributed.kernel`, `time_distributed.bias`, in Keras' shapes.
    pub fn var_store(&self) -> &VarStore {
        &self.store
    }

    /// All weights in Keras' order and shapes, like Keras' `get_weights`: kernel and bias of each convolution, then
    /// those of the linear unit.
    ///
    /// # Errors
    /// If libtorch cannot copy them from the device.
    pub fn get_weights(&self) -> Result<Vec<ArrayD<f32>>> {
        let values = self.values()?;
        let array = |Variable { shape, range, .. }: Variable| {
            ArrayD::from_shape_vec(shape, values[range].to_vec()).expect("a range is as long as its shape says")
        };
        Ok(self.variables().into_iter().map(array).collect())
    }

    /// Sets all weights, like Keras' `set_weights`. The optimiser keeps its state.
    ///
    /// # Errors
    /// If the number of arrays or a shape does not fit, or a value is not finite. The model is then unchanged.
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
        let remedy = "give arrays like those of get_weights(), in the same order";
        if weights.len() != variables.len() {
            let (expected, found) = (format!("({},)", variables.len()), format!("({},)", weights.len()));
            return Err(Error::shape("list of weights", expected, found, remedy));
        }
        let mut values = Vec::with_capacity(self.count_params());
        for (variable, weight) in variables.iter().zip(weights) {
            let what = variable.name();
            if weight.shape() != variable.shape {
                let (expected, found) = (format!("{:?}", variable.shape), format!("{:?}", weight.shape()));
                return Err(Error::shape(what, expected, found, remedy));
            }
            if let Some((index, &value)) = weight.iter().enumerate().find(|(_, value)| !value.is_finite()) {
                return Err(Error::not_finite(what, value, format!("index {index}"), "use finite weights"));
            }
            values.extend(weight);
        }
        self.set_values(&values)
    }

    pub(crate) fn variables(&self) -> Vec<Variable> {
        self.network.variables()
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

    /// Applies the network to a tensor, with libtorch's automatic differentiation, for work with `tch` beyond `fit`.
    ///
    /// `x` is float32 of shape (samples, steps, channels) on the model's device; the result is (samples, steps, outputs).
    ///
    /// # Errors
    /// If libtorch fails, for example because the shape does not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        forward(&self.network, &self.tensors, x).map_err(Error::torch("apply the model"))
    }
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model")
            .field("sequential", &self.sequential)
            .field("iterations", &self.adam.iterations)
            .finish()
    }
}
