//! What a model is built from.

use tch::Device;

use super::device::check_device;
use super::layers::variables;
use crate::simd::SimdLevel;
use crate::{Error, Result};

/// The largest layer or kernel size.
const MAX_SIZE: usize = 65_536;
/// The largest number of weights in a model: 400 MB.
pub(super) const MAX_PARAMS: usize = 100_000_000;

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
    /// bits on all machines that compute with the same level.
    pub simd_level: SimdLevel,
}

/// What computes the network in training and prediction. The engines' results agree to a relative error of about 1e-5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Engine {
    /// [`Engine::Fused`] on a CPU, [`Engine::Libtorch`] elsewhere.
    #[default]
    Auto,
    /// This crate's own engine: all layers forward and backward, sample by sample, with vector instructions. CPU only.
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
            simd_level: SimdLevel::best(),
        }
    }
}

impl ModelOptions {
    pub(super) fn check(&self) -> Result<()> {
        if !is_learning_rate(self.lr) {
            return Err(Error::parameter("lr", self.lr, "give a learning rate above 0, such as 0.001"));
        }
        if !(self.l2.is_finite() && self.l2 >= 0.0) {
            return Err(Error::parameter("l2", self.l2, "give 0 or a positive factor, such as 0.01"));
        }
        self.check_sizes()?;
        self.check_engine()?;
        check_device(self.device)
    }

    fn check_sizes(&self) -> Result<()> {
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
                format!("this model has {params} weights; choose smaller sizes, for at most {MAX_PARAMS}"),
            ));
        }
        Ok(())
    }

    fn check_engine(&self) -> Result<()> {
        if self.engine == Engine::Fused && self.device != Device::Cpu {
            let remedy = "the fused engine runs on the CPU only; use auto or libtorch with this device";
            return Err(Error::parameter("engine", "fused", remedy));
        }
        if !SimdLevel::available().contains(&self.simd_level) {
            let available: Vec<&str> = SimdLevel::available().into_iter().map(SimdLevel::name).collect();
            let remedy = format!("this processor has {}", available.join(", "));
            return Err(Error::parameter("simd_level", self.simd_level.name(), remedy));
        }
        Ok(())
    }
}

/// Whether Adam can use the rate. It is used as a 32-bit number, in which very small numbers are 0 and very large ones
/// infinite.
pub(crate) fn is_learning_rate(rate: f64) -> bool {
    (rate as f32).is_finite() && rate as f32 > 0.0
}
