//! How results show themselves in a notebook cell run by the evcxr kernel.
//!
//! evcxr calls `evcxr_display` on a cell's last expression. What is printed there between two marker lines reaches the
//! notebook as rich output of the given MIME type; of two blocks with the same type in one cell only the last is kept.
//! This is the only module that knows about that.

use crate::figure::{LayerNode, Svg, layer_graph};
use crate::model::Model;
use crate::training::{Evaluation, History};
use std::io::Write;

/// Prints blocks of rich output in one piece, so that nothing printed elsewhere comes between.
fn show(blocks: &[(&str, &str)]) {
    let text: String = blocks
        .iter()
        .map(|(mime, content)| format!("EVCXR_BEGIN_CONTENT {mime}\n{}\nEVCXR_END_CONTENT\n", content.trim_end()))
        .collect();
    // A cell whose output is gone has nobody to tell.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

impl Model {
    /// The layers with the shapes of their input and output, as a picture.
    pub fn graph(&self) -> Svg {
        let node = |layer: crate::model::LayerInfo| LayerNode::new(&layer.label, &layer.input, &layer.output);
        layer_graph(&self.layers().into_iter().map(node).collect::<Vec<_>>())
    }

    /// Shows the summary below the notebook cell.
    pub fn evcxr_display(&self) {
        show(&[("text/plain", &self.summary())]);
    }
}

impl History {
    /// Shows a table of the epochs below the notebook cell.
    pub fn evcxr_display(&self) {
        show(&[("text/plain", &self.to_string())]);
    }
}

impl Evaluation {
    /// Shows loss and error below the notebook cell.
    pub fn evcxr_display(&self) {
        show(&[("text/plain", &format!("loss {:.4}, mse {:.4} mV²", self.loss, self.mse))]);
    }
}
