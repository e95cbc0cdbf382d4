//! What a model is built from.

use tch::Device;

use super::Model;
use super::adam::check_learning_rate;
use super::layers::{Activation, Conv1D, Dense, InputLayer, Padding, TimeDistributed, check_size, l2};
use super::sequential::Sequential;
use crate::simd::SimdLevel;
use crate::{Error, Result};

/// What [`generate_model`](super::generate_model) builds. `Default` is the original study's model.
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
    /// Which time steps the convolutions' kernels cover; the original's cover earlier and later ones.
    pub padding: Padding,
    /// The function that the convolutions apply to their sums; the original's is ReLU.
    pub activation: Activation,
    /// Number of input values per time step.
    pub input_channels: usize,
    /// Factor of the penalty `l2 * sum(w^2)` on kernels and biases of the convolutions.
    pub l2: f64,
    /// Seed of the initial weights. The same seed gives the same weights on every machine.
    pub seed: u64,
    /// Where the weights are stored and the network is computed; see [`device`](super::device).
    pub device: Device,
    /// What computes the network.
    pub engine: Engine,
    /// The vector instructions of the fused engine, by default the widest that this processor has. Results are the same
    /// bits with all levels that have a fused multiply-add: all but [`SimdLevel::Portable`].
    pub simd_level: SimdLevel,
}

/// What computes the network in training and prediction. The engines' results agree to a relative error of about 1e-5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Engine {
    /// [`Engine::Fused`] on a CPU if it supports all layers, otherwise [`Engine::Libtorch`].
    #[default]
    Auto,
    /// This crate's own engine: all layers forward and backward, sample by sample, with vector instructions. CPU only;
    /// activations ReLU and linear only.
    Fused,
    /// libtorch with its automatic differentiation, on any device.
    Libtorch,
}

impl Default for ModelOptions {
    fn default() -> Self {
        ModelOptions {
            lr: 0.001,
            layer_sizes: vec![2, 6, 16],
            kernel_sizes: vec![11, 5, 1],
            padding: Padding::Same,
            activation: Activation::Relu,
            input_channels: 1,
            l2: 0.01,
            seed: 1,
            device: Device::Cpu,
            engine: Engine::Auto,
            simd_level: SimdLevel::best(),
        }
    }
}

impl ModelOptions {
    /// Checks what only these options can name; [`Sequential::compile`] checks the rest.
    pub(super) fn check(&self) -> Result<()> {
        check_learning_rate("lr", self.lr)?;
        l2(self.l2).check("l2")?;
        if self.layer_sizes.len() != self.kernel_sizes.len() {
            return Err(Error::parameter(
                "kernel_sizes",
                format!("{:?}", self.kernel_sizes),
                format!("give one kernel size for each of the layer sizes {:?}", self.layer_sizes),
            ));
        }
        for (name, sizes) in [("layer_sizes", &self.layer_sizes), ("kernel_sizes", &self.kernel_sizes)] {
            for (i, &size) in sizes.iter().enumerate() {
                check_size(&format!("{name}[{i}]"), size)?;
            }
        }
        check_size("input_channels", self.input_channels)
    }

    /// The options of a model, as far as its first convolution shows them.
    pub(super) fn of(model: &Model) -> Self {
        let convolutions = || model.network.layers.iter().filter(|layer| !layer.is_dense);
        let default = ModelOptions::default();
        ModelOptions {
            lr: model.learning_rate(),
            layer_sizes: convolutions().map(|layer| layer.outputs).collect(),
            kernel_sizes: convolutions().map(|layer| layer.kernel_size).collect(),
            padding: convolutions().next().map_or(default.padding, |layer| layer.padding),
            activation: convolutions().next().map_or(default.activation, |layer| layer.activation),
            input_channels: model.network.inputs(),
            l2: convolutions().next().map_or(default.l2, |layer| layer.penalties[0]),
            ..default
        }
    }

    /// The layers of the original study with these sizes, and how to compute them.
    pub(super) fn sequential(&self) -> Sequential {
        let mut model = Sequential::new(self.seed);
        model.device(self.device).engine(self.engine).simd_level(self.simd_level);
        model.add(InputLayer::new(self.input_channels));
        for (&filters, &kernel_size) in self.layer_sizes.iter().zip(&self.kernel_sizes) {
            let layer = Conv1D::new(filters, kernel_size).padding(self.padding).activation(self.activation);
            model.add(layer.kernel_regularizer(l2(self.l2)).bias_regularizer(l2(self.l2)));
        }
        model.add(TimeDistributed(Dense::new(1)));
        model
    }
}
