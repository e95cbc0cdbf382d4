//! The layers of a network in their places: names, sizes, and where their weights are among all weights.

use std::ops::Range;

use super::Model;
use super::layers::{Activation, Conv1D, Layer, Padding, TimeDistributed};

/// Name, kind, shapes and size of a layer, for [`Model::summary`] and for a drawing of the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerInfo {
    /// Keras' name, such as `conv1d_1`.
    pub name: String,
    /// Keras' class, such as `Conv1D`.
    pub kind: String,
    /// The label in Keras' drawing of a model, such as `conv1d_1: Conv1D`.
    pub label: String,
    /// What is not as in the original's layers, such as `causal, dilation 2, tanh`; empty for those.
    pub details: String,
    /// Shape of the input, such as `(?, ?, 2)`: samples, steps, channels; a question mark stands for any number.
    pub input: String,
    /// Shape of the output.
    pub output: String,
    /// Number of weights.
    pub params: usize,
}

impl Model {
    /// All layers, with Keras' names. The first one is the input.
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
        let input = format!("[(?, ?, {})]", self.network.inputs());
        let mut layers = vec![LayerInfo {
            name: "input_1".to_string(),
            kind: "InputLayer".to_string(),
            label: "input_1: InputLayer".to_string(),
            details: String::new(),
            input: input.clone(),
            output: input,
            params: 0,
        }];
        layers.extend(self.network.layers.iter().map(NetworkLayer::info));
        layers
    }
}

/// The layers after the input, in their order.
#[derive(Debug, Clone)]
pub(crate) struct Network {
    pub layers: Vec<NetworkLayer>,
}

/// A convolution, or a dense layer, which is one with a kernel of one step.
#[derive(Debug, Clone)]
pub(crate) struct NetworkLayer {
    /// Keras' name.
    pub name: String,
    pub is_dense: bool,
    pub inputs: usize,
    pub outputs: usize,
    pub kernel_size: usize,
    /// The distance between the steps that the kernel covers.
    pub dilation: usize,
    pub padding: Padding,
    pub activation: Activation,
    /// Factors of the penalties on kernel and bias.
    pub penalties: [f64; 2],
    /// Where the values of kernel and bias are among all weights of the model.
    pub kernel: Range<usize>,
    pub bias: Range<usize>,
}

/// One kernel or bias.
#[derive(Debug, Clone)]
pub(crate) struct Variable {
    /// Keras' name of the layer.
    pub layer: String,
    /// `kernel` or `bias`.
    pub kind: &'static str,
    /// Keras' shape.
    pub shape: Vec<usize>,
    /// The position of its values among all weights of the model.
    pub range: Range<usize>,
}

impl Variable {
    /// Its name in the variable store, such as `conv1d.kernel`.
    pub fn name(&self) -> String {
        format!("{}.{}", self.layer, self.kind)
    }
}

impl Network {
    /// The network of these layers, whose sizes need not have been checked: an input first, and others after it.
    pub fn new(layers: &[Layer]) -> Self {
        let (mut channels, mut end) = (0, 0);
        let mut found: Vec<NetworkLayer> = Vec::new();
        for layer in layers {
            let count = |is_dense: bool| found.iter().filter(|layer| layer.is_dense == is_dense).count();
            let next = match layer {
                Layer::InputLayer(layer) => {
                    channels = layer.channels;
                    continue;
                }
                Layer::Conv1D(layer) => {
                    NetworkLayer::convolution(layer, numbered("conv1d", count(false)), channels, end)
                }
                Layer::TimeDistributed(layer) => {
                    NetworkLayer::dense(layer, numbered("time_distributed", count(true)), channels, end)
                }
            };
            (channels, end) = (next.outputs, next.bias.end);
            found.push(next);
        }
        Network { layers: found }
    }

    /// Channels of the input.
    pub fn inputs(&self) -> usize {
        self.layers.first().map_or(0, |layer| layer.inputs)
    }

    /// Channels of the output.
    pub fn outputs(&self) -> usize {
        self.layers.last().map_or(0, |layer| layer.outputs)
    }

    /// Number of weights.
    pub fn params(&self) -> usize {
        self.layers.last().map_or(0, |layer| layer.bias.end)
    }

    /// All kernels and biases, in Keras' order.
    pub fn variables(&self) -> Vec<Variable> {
        self.layers.iter().flat_map(NetworkLayer::variables).collect()
    }

    /// Steps before and after a step that its output depends on.
    pub fn reach(&self) -> (usize, usize) {
        self.layers.iter().fold((0, 0), |(left, right), layer| (left + layer.left(), right + layer.right()))
    }

    /// The first layer that the fused engine cannot compute.
    pub fn not_fused(&self) -> Option<&NetworkLayer> {
        self.layers.iter().find(|layer| !matches!(layer.activation, Activation::Relu | Activation::Linear))
    }
}

impl NetworkLayer {
    /// A convolution of `inputs` channels, with its weights from `start` on.
    fn convolution(layer: &Conv1D, name: String, inputs: usize, start: usize) -> Self {
        let (kernel, bias) = ranges(start, [layer.kernel_size, inputs, layer.filters]);
        NetworkLayer {
            name,
            is_dense: false,
            inputs,
            outputs: layer.filters,
            kernel_size: layer.kernel_size,
            dilation: layer.dilation_rate,
            padding: layer.padding,
            activation: layer.activation,
            penalties: [layer.kernel_regularizer.0, layer.bias_regularizer.0],
            kernel,
            bias,
        }
    }

    /// A dense layer, likewise.
    fn dense(TimeDistributed(layer): &TimeDistributed, name: String, inputs: usize, start: usize) -> Self {
        let one_step = Conv1D::new(layer.units, 1).activation(layer.activation);
        NetworkLayer { is_dense: true, ..NetworkLayer::convolution(&one_step, name, inputs, start) }
    }

    /// Steps before the present one that the kernel reaches.
    pub fn left(&self) -> usize {
        let reach = self.reach();
        if self.padding == Padding::Causal { reach } else { reach / 2 }
    }

    /// Steps after the present one that the kernel reaches.
    pub fn right(&self) -> usize {
        self.reach() - self.left()
    }

    fn reach(&self) -> usize {
        (self.kernel_size - 1) * self.dilation
    }

    /// Kernel and bias.
    pub fn variables(&self) -> [Variable; 2] {
        let shape = match self.is_dense {
            true => vec![self.inputs, self.outputs],
            false => vec![self.kernel_size, self.inputs, self.outputs],
        };
        let variable = |kind, shape, range: &Range<usize>| Variable {
            layer: self.name.clone(),
            kind,
            shape,
            range: range.clone(),
        };
        [variable("kernel", shape, &self.kernel), variable("bias", vec![self.outputs], &self.bias)]
    }

    fn info(&self) -> LayerInfo {
        let name = self.name.clone();
        let (kind, label) = if self.is_dense {
            ("TimeDistributed", format!("{name}({}): TimeDistributed(Dense)", self.dense_name()))
        } else {
            ("Conv1D", format!("{name}: Conv1D"))
        };
        LayerInfo {
            name,
            kind: kind.to_string(),
            label,
            details: self.details(),
            input: format!("(?, ?, {})", self.inputs),
            output: format!("(?, ?, {})", self.outputs),
            params: self.kernel.len() + self.bias.len(),
        }
    }

    /// Keras' name of the dense layer in a `TimeDistributed` one.
    pub fn dense_name(&self) -> String {
        self.name.replace("time_distributed", "dense")
    }

    fn details(&self) -> String {
        let usual = if self.is_dense { Activation::Linear } else { Activation::Relu };
        let details = [
            (self.padding != Padding::Same).then(|| self.padding.to_string()),
            (self.dilation != 1).then(|| format!("dilation {}", self.dilation)),
            (self.activation != usual).then(|| self.activation.to_string()),
        ];
        details.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

/// The places of a kernel and a bias, from `start` on. Sums and products of the largest sizes would overflow.
fn ranges(start: usize, [kernel_size, inputs, outputs]: [usize; 3]) -> (Range<usize>, Range<usize>) {
    let middle = kernel_size.saturating_mul(inputs).saturating_mul(outputs).saturating_add(start);
    (start..middle, middle..middle.saturating_add(outputs))
}

/// Keras' name of the layer with index `i` of its class.
fn numbered(name: &str, i: usize) -> String {
    if i == 0 { name.to_string() } else { format!("{name}_{i}") }
}
