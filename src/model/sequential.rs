//! The description of a network, layer by layer.

use std::fmt;

use tch::Device;

use super::adam::Adam;
use super::device::check_device;
use super::layers::{Conv1D, Layer};
use super::network::Network;
use super::options::Engine;
use super::{MAX_PARAMS, Model};
use crate::simd::SimdLevel;
use crate::{Error, Result};

/// A stack of layers, as in Keras: [`add`](Sequential::add) the layers, then [`compile`](Sequential::compile).
///
/// The first layer is an [`InputLayer`](super::InputLayer). The others have Keras' default names: `conv1d`, `conv1d_1`,
/// ..., `time_distributed`, ...
///
/// ```
/// use hhnet::model::{Activation, Adam, Conv1D, Dense, InputLayer, Loss, Padding, Sequential, TimeDistributed, l2};
/// let mut model = Sequential::new(1);
/// model.add(InputLayer::new(1));
/// for (filters, kernel_size) in [(2, 11), (6, 5), (16, 1)] {
///     let layer = Conv1D::new(filters, kernel_size).padding(Padding::Same).activation(Activation::Relu);
///     model.add(layer.kernel_regularizer(l2(0.01)).bias_regularizer(l2(0.01)));
/// }
/// model.add(TimeDistributed(Dense::new(1)));
/// let model = model.compile(Adam::new(0.001), Loss::Mse)?;
/// assert_eq!(model.count_params(), 219);
/// # Ok::<(), hhnet::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Sequential {
    pub(super) layers: Vec<Layer>,
    pub(super) seed: u64,
    pub(super) device: Device,
    pub(super) engine: Engine,
    pub(super) simd_level: SimdLevel,
}

/// What the training minimises, beside the layers' penalties.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Loss {
    /// The mean squared error.
    #[default]
    Mse,
}

impl Sequential {
    /// A model without layers. The seed determines the initial weights; the same seed gives the same weights on every
    /// machine.
    pub fn new(seed: u64) -> Self {
        Sequential {
            layers: Vec::new(),
            seed,
            device: Device::Cpu,
            engine: Engine::Auto,
            simd_level: SimdLevel::best(),
        }
    }

    /// Adds a layer on top of the others. Mistakes are reported by [`compile`](Sequential::compile).
    pub fn add(&mut self, layer: impl Into<Layer>) -> &mut Self {
        self.layers.push(layer.into());
        self
    }

    /// Sets where the weights are stored and the network is computed; see [`device`](super::device). By default the
    /// CPU.
    pub fn device(&mut self, device: Device) -> &mut Self {
        self.device = device;
        self
    }

    /// Sets what computes the network.
    pub fn engine(&mut self, engine: Engine) -> &mut Self {
        self.engine = engine;
        self
    }

    /// Sets the vector instructions of the fused engine, by default the widest that this processor has. Results are the
    /// same bits with all levels that have a fused multiply-add: all but [`SimdLevel::Portable`].
    pub fn simd_level(&mut self, simd_level: SimdLevel) -> &mut Self {
        self.simd_level = simd_level;
        self
    }

    /// Builds the network: Glorot-uniform kernels drawn from the seed, and biases of 0.
    ///
    /// A kernel is uniform within `sqrt(6 / (fan_in + fan_out))` of 0, where fan_in and fan_out are the numbers of
    /// inputs and outputs, each times the kernel size (Glorot and Bengio, AISTATS 2010, as in Keras).
    ///
    /// # Errors
    /// If the layers do not begin with one [`InputLayer`](super::InputLayer) or end there, if an argument of a layer or
    /// of the optimiser is outside its range (the message has the layer's name), if the device is not available, or if
    /// the fused engine is asked for a layer that it does not support.
    ///
    /// ```
    /// use hhnet::model::{Adam, Conv1D, InputLayer, Loss, Sequential};
    /// let mut model = Sequential::new(1);
    /// model.add(InputLayer::new(1)).add(Conv1D::new(2, 0));
    /// let error = model.compile(Adam::new(0.001), Loss::Mse).unwrap_err();
    /// assert_eq!(error.to_string(), "conv1d: kernel_size = 0: give 1 to 65536");
    /// ```
    pub fn compile(self, optimizer: Adam, loss: Loss) -> Result<Model> {
        let Loss::Mse = loss;
        optimizer.check()?;
        let network = Network::new(&self.layers);
        self.check_layers(&network)?;
        if network.params() > MAX_PARAMS {
            let remedy = format!("it has {} weights; choose smaller sizes, for at most {MAX_PARAMS}", network.params());
            return Err(Error::parameter("model", &self, remedy));
        }
        self.check_engine(&network)?;
        check_device(self.device)?;
        Model::build(self, network, optimizer)
    }

    fn check_layers(&self, network: &Network) -> Result<()> {
        let Some((first @ Layer::InputLayer(_), layers)) = self.layers.split_first() else {
            return Err(Error::parameter("model", self, "add an InputLayer first"));
        };
        first.check("input_1")?;
        if layers.is_empty() {
            return Err(Error::parameter("model", self, "add a Conv1D or a TimeDistributed layer"));
        }
        if layers.iter().any(|layer| matches!(layer, Layer::InputLayer(_))) {
            return Err(Error::parameter("model", self, "add one InputLayer only"));
        }
        layers.iter().zip(&network.layers).try_for_each(|(layer, named)| layer.check(&named.name))
    }

    fn check_engine(&self, network: &Network) -> Result<()> {
        if self.engine == Engine::Fused {
            if self.device != Device::Cpu {
                let remedy = "the fused engine runs on the CPU only; use auto or libtorch with this device";
                return Err(Error::parameter("engine", "fused", remedy));
            }
            if let Some(layer) = network.not_fused() {
                let (name, activation) = (&layer.name, layer.activation);
                let remedy =
                    format!("it does not compute {name}, whose activation is {activation}; use auto or libtorch");
                return Err(Error::parameter("engine", "fused", remedy));
            }
        }
        if !SimdLevel::available().contains(&self.simd_level) {
            let available: Vec<&str> = SimdLevel::available().into_iter().map(SimdLevel::name).collect();
            let remedy = format!("this processor has {}", available.join(", "));
            return Err(Error::parameter("simd_level", self.simd_level.name(), remedy));
        }
        Ok(())
    }
}

/// The layers on one line, as `InputLayer(1), Conv1D(2, 11, same, relu), TimeDistributed(Dense(1, linear))`: what
/// determines the output, for given weights.
impl fmt::Display for Sequential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let layers: Vec<String> = self.layers.iter().map(Layer::to_string).collect();
        f.write_str(&layers.join(", "))
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Layer::InputLayer(layer) => write!(f, "InputLayer({})", layer.channels),
            Layer::TimeDistributed(layer) => {
                write!(f, "TimeDistributed(Dense({}, {}))", layer.0.units, layer.0.activation)
            }
            Layer::Conv1D(layer) => {
                let Conv1D { filters, kernel_size, padding, activation, .. } = layer;
                write!(f, "Conv1D({filters}, {kernel_size}, {padding}, {activation}")?;
                match layer.dilation_rate {
                    1 => f.write_str(")"),
                    rate => write!(f, ", dilation {rate})"),
                }
            }
        }
    }
}
