//! Figures of models and of their training. This is the only module of figures that knows them.

use super::{Figure, LayerNode, Svg, layer_graph};
use crate::model::{LayerInfo, Model};
use crate::training::History;
use crate::{Error, Result};

impl Model {
    /// The layers with the shapes of their input and output, as a picture.
    pub fn graph(&self) -> Svg {
        let name = |layer: &LayerInfo| match &layer.details[..] {
            "" => layer.label.clone(),
            details => format!("{}\n{details}", layer.label),
        };
        let node = |layer: LayerInfo| LayerNode::new(&name(&layer), &layer.input, &layer.output);
        layer_graph(&self.layers().into_iter().map(node).collect::<Vec<_>>())
    }

    /// The kernels of the first convolution, a line for each: weight against the step of the input that it multiplies,
    /// counted from the step of the output. Steps below 0 are before it.
    ///
    /// # Errors
    /// [`Error::Figure`] if the model has no convolution; [`Error::Torch`] if libtorch cannot read the weights.
    ///
    /// ```
    /// use hhnet::prelude::*;
    /// let figure = generate_model(&ModelOptions::default())?.plot_kernels()?;
    /// assert!(figure.to_svg()?.as_str().contains("weight"));
    /// # Ok::<(), hhnet::Error>(())
    /// ```
    pub fn plot_kernels(&self) -> Result<Figure> {
        /// From this number of lines on, a legend does not help.
        const NAMED: usize = 6;
        let Some(nth) = self.network.layers.iter().position(|layer| !layer.is_dense) else {
            return Err(Error::Figure("the model has no convolution whose kernels could be drawn".to_owned()));
        };
        let layer = &self.network.layers[nth];
        let weights = &self.get_weights()?[2 * nth];
        let (steps, inputs, outputs) = (layer.kernel_size, layer.inputs, layer.outputs);
        let lags: Vec<f64> = (0..steps).map(|j| (j * layer.dilation) as f64 - layer.left() as f64).collect();
        let mut figure = Figure::new();
        let axes = figure.axes(0, 0);
        for output in 0..outputs {
            for input in 0..inputs {
                let kernel: Vec<f64> = (0..steps).map(|step| f64::from(weights[[step, input, output]])).collect();
                let label = match (inputs * outputs, inputs) {
                    (NAMED.., _) => String::new(),
                    (_, 1) => format!("channel {output}"),
                    _ => format!("input {input}, channel {output}"),
                };
                axes.plot(&lags, &kernel, &label).markers();
            }
        }
        axes.title("kernels of conv1d").xlabel("step of the input − step of the output").ylabel("weight").legend();
        Ok(figure)
    }
}

impl History {
    /// Loss and mean squared error over the epochs, on a logarithmic scale.
    pub fn plot(&self) -> Figure {
        let mut figure = Figure::new();
        let axes = figure.axes(0, 0);
        let epochs: Vec<f64> = (1..=self.len()).map(|epoch| epoch as f64).collect();
        let lines =
            [("loss", &self.loss), ("mse", &self.mse), ("val_loss", &self.val_loss), ("val_mse", &self.val_mse)];
        for (name, values) in lines {
            if values.len() == epochs.len() && values.iter().any(|value| value.is_finite() && *value > 0.0) {
                axes.semilogy(&epochs, values, name);
            }
        }
        axes.xlabel("epoch").legend();
        figure
    }
}
