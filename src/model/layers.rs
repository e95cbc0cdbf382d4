//! Layers, as they are added to a [`Sequential`](super::Sequential): Keras' names and arguments.

use std::fmt;

use crate::{Error, Result};

/// The largest number of channels, kernel size and dilation rate.
const MAX_SIZE: usize = 65_536;

/// A layer, for [`Sequential::add`](super::Sequential::add).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Layer {
    /// See [`InputLayer`].
    InputLayer(InputLayer),
    /// See [`Conv1D`].
    Conv1D(Conv1D),
    /// See [`TimeDistributed`].
    TimeDistributed(TimeDistributed),
}

impl Layer {
    /// `name` is the layer's, for messages.
    pub(super) fn check(&self, name: &str) -> Result<()> {
        match self {
            Layer::InputLayer(layer) => check_size(&format!("{name}: channels"), layer.channels),
            Layer::Conv1D(layer) => layer.check(name),
            Layer::TimeDistributed(layer) => layer.0.check(name),
        }
    }
}

impl From<InputLayer> for Layer {
    fn from(layer: InputLayer) -> Self {
        Layer::InputLayer(layer)
    }
}

impl From<Conv1D> for Layer {
    fn from(layer: Conv1D) -> Self {
        Layer::Conv1D(layer)
    }
}

impl From<TimeDistributed> for Layer {
    fn from(layer: TimeDistributed) -> Self {
        Layer::TimeDistributed(layer)
    }
}

/// The input: any number of time steps with a fixed number of channels each. Keras: `InputLayer((None, channels))`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InputLayer {
    pub(super) channels: usize,
}

impl InputLayer {
    /// An input of `channels` values per time step, 1 to 65536.
    pub fn new(channels: usize) -> Self {
        InputLayer { channels }
    }
}

/// A convolution over time: each output channel is a sum of the input channels, each filtered by a short kernel.
///
/// With input `x` of shape (samples, steps, channels), kernel `K` of shape (kernel size, channels, filters), bias `b`
/// and dilation rate `d`, the output is
///
/// ```text
/// h[t] = activation(b + sum_j x[t + d j - left] K[j])       (samples, steps, filters)
/// ```
///
/// where [`Padding`] determines `left`, and steps before the first and after the last one are 0.
///
/// ```
/// use hhnet::model::{Activation, Conv1D, Padding, l2};
/// let layer = Conv1D::new(6, 5).padding(Padding::Causal).dilation_rate(2).activation(Activation::Relu);
/// let layer = layer.kernel_regularizer(l2(0.01)).bias_regularizer(l2(0.01));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conv1D {
    pub(super) filters: usize,
    pub(super) kernel_size: usize,
    pub(super) padding: Padding,
    pub(super) dilation_rate: usize,
    pub(super) activation: Activation,
    pub(super) kernel_regularizer: L2,
    pub(super) bias_regularizer: L2,
}

impl Conv1D {
    /// A linear convolution to `filters` output channels, with kernels of `kernel_size` time steps, `'same'` padding and
    /// no penalty on its weights. Both numbers are 1 to 65536.
    pub fn new(filters: usize, kernel_size: usize) -> Self {
        Conv1D {
            filters,
            kernel_size,
            padding: Padding::Same,
            dilation_rate: 1,
            activation: Activation::Linear,
            kernel_regularizer: l2(0.0),
            bias_regularizer: l2(0.0),
        }
    }

    /// Which time steps the kernel covers.
    pub fn padding(self, padding: Padding) -> Self {
        Conv1D { padding, ..self }
    }

    /// The distance between the steps that the kernel covers, 1 to 65536.
    pub fn dilation_rate(self, dilation_rate: usize) -> Self {
        Conv1D { dilation_rate, ..self }
    }

    /// The function that is applied to the sum.
    pub fn activation(self, activation: Activation) -> Self {
        Conv1D { activation, ..self }
    }

    /// The penalty on the kernels.
    pub fn kernel_regularizer(self, kernel_regularizer: L2) -> Self {
        Conv1D { kernel_regularizer, ..self }
    }

    /// The penalty on the biases.
    pub fn bias_regularizer(self, bias_regularizer: L2) -> Self {
        Conv1D { bias_regularizer, ..self }
    }

    /// Steps from the first to the last one that the kernel covers.
    fn reach(&self) -> usize {
        (self.kernel_size - 1) * self.dilation_rate
    }

    fn check(&self, name: &str) -> Result<()> {
        check_size(&format!("{name}: filters"), self.filters)?;
        check_size(&format!("{name}: kernel_size"), self.kernel_size)?;
        check_size(&format!("{name}: dilation_rate"), self.dilation_rate)?;
        if self.reach() > MAX_SIZE {
            let remedy = format!("a kernel of {} steps then reaches over more than {MAX_SIZE}", self.kernel_size);
            return Err(Error::parameter(format!("{name}: dilation_rate"), self.dilation_rate, remedy));
        }
        self.kernel_regularizer.check(&format!("{name}: kernel_regularizer l2"))?;
        self.bias_regularizer.check(&format!("{name}: bias_regularizer l2"))
    }
}

/// Applies a dense layer to each time step.
///
/// ```
/// use hhnet::model::{Activation, Dense, TimeDistributed};
/// let layer = TimeDistributed(Dense::new(1).activation(Activation::Linear));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeDistributed(pub Dense);

/// A dense layer: each output is a weighted sum of all inputs, plus a bias. Used in [`TimeDistributed`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dense {
    pub(super) units: usize,
    pub(super) activation: Activation,
}

impl Dense {
    /// A linear layer with `units` outputs, 1 to 65536.
    pub fn new(units: usize) -> Self {
        Dense { units, activation: Activation::Linear }
    }

    /// The function that is applied to the sum.
    pub fn activation(self, activation: Activation) -> Self {
        Dense { activation, ..self }
    }

    fn check(&self, name: &str) -> Result<()> {
        check_size(&format!("{name}: units"), self.units)
    }
}

/// `name` is what the user calls the size.
pub(super) fn check_size(name: &str, size: usize) -> Result<()> {
    if (1..=MAX_SIZE).contains(&size) {
        return Ok(());
    }
    Err(Error::parameter(name, size, format!("give 1 to {MAX_SIZE}")))
}

/// Which time steps a convolution's kernel covers, for each step of its output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Padding {
    /// Steps on both sides of the present one: the output also depends on later input. If their number is odd, one more
    /// of them lies after the present step than before it. Keras: `'same'`.
    #[default]
    Same,
    /// The present step and earlier ones. Keras: `'causal'`.
    Causal,
}

impl fmt::Display for Padding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Padding::Same => "same",
            Padding::Causal => "causal",
        })
    }
}

/// The function that a layer applies to its sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Activation {
    /// The sum itself.
    #[default]
    Linear,
    /// max(0, sum)
    Relu,
    /// The hyperbolic tangent, from -1 to 1.
    Tanh,
    /// 1 / (1 + exp(-sum)), from 0 to 1.
    Sigmoid,
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Activation::Linear => "linear",
            Activation::Relu => "relu",
            Activation::Tanh => "tanh",
            Activation::Sigmoid => "sigmoid",
        })
    }
}

/// A penalty on weights, by [`l2`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct L2(pub(super) f64);

/// A penalty on weights: adds `factor * sum(w^2)` to the loss. Keras' default factor is 0.01.
pub fn l2(factor: f64) -> L2 {
    L2(factor)
}

impl L2 {
    /// `name` is what the user calls the factor.
    pub(super) fn check(self, name: &str) -> Result<()> {
        if self.0.is_finite() && self.0 >= 0.0 {
            return Ok(());
        }
        Err(Error::parameter(name, self.0, "give 0 or a positive factor, such as 0.01"))
    }
}
