//! The layers of the network, and their kernels and biases.

use std::ops::Range;

use super::{Model, ModelOptions};

/// Name, kind, shapes and size of a layer, for [`Model::summary`] and for a drawing of the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerInfo {
    /// Keras' name, such as `conv1d_1`.
    pub name: String,
    /// Keras' class, such as `Conv1D`.
    pub kind: String,
    /// The label in Keras' drawing of a model, such as `conv1d_1: Conv1D`.
    pub label: String,
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

/// All kernels and biases, in Keras' order: those of the convolutions come first.
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
pub(super) fn convolution_name(i: usize) -> String {
    if i == 0 { "conv1d".to_string() } else { format!("conv1d_{i}") }
}
