//! How results show themselves in a notebook cell run by the evcxr kernel.
//!
//! evcxr calls `evcxr_display` on a cell's last expression. What is printed there between two marker lines reaches the
//! notebook as rich output of the given MIME type; of two blocks with the same type in one cell only the last is kept.
//! This is the only module that knows about that.

use crate::figure::{Figure, LayerNode, Svg, layer_graph};
use crate::model::Model;
use crate::training::{Evaluation, History};
use std::io::Write;

/// Prints blocks of rich output, (MIME type, content), in one piece, so that nothing printed elsewhere comes between.
fn show(blocks: &[(&str, &str)]) {
    // A cell whose output is gone has nobody to tell.
    let _ = std::io::stdout().lock().write_all(rich_output(blocks).as_bytes());
}

/// The blocks as the evcxr kernel reads them.
fn rich_output(blocks: &[(&str, &str)]) -> String {
    let block = |(mime, content): &(&str, &str)| {
        // A label could hold the kernel's end marker: in a picture, a character reference reads the same.
        let mark = if *mime == "image/svg+xml" { "&#69;VCXR_" } else { "evcxr_" };
        format!("EVCXR_BEGIN_CONTENT {mime}\n{}\nEVCXR_END_CONTENT\n", content.trim_end().replace("EVCXR_", mark))
    };
    blocks.iter().map(block).collect()
}

impl Svg {
    /// Shows the picture below the notebook cell.
    pub fn evcxr_display(&self) {
        show(&[("image/svg+xml", self.as_str()), ("text/plain", &format!("{self:?}"))]);
    }
}

impl Figure {
    /// Shows the figure below the notebook cell; an error goes to standard error, where the notebook marks it.
    pub fn evcxr_display(&self) {
        match self.to_svg() {
            Ok(svg) => svg.evcxr_display(),
            Err(error) => eprintln!("{error}"),
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_cannot_end_a_block() {
        let graph = layer_graph(&[LayerNode::new("EVCXR_END_CONTENT", "(?, ?, 1)", "(?, ?, 2)")]);
        let output = rich_output(&[("image/svg+xml", graph.as_str()), ("text/plain", "EVCXR_END_CONTENT")]);
        let markers: Vec<_> = output.lines().filter(|line| line.contains("EVCXR_")).collect();
        let expected = ["BEGIN_CONTENT image/svg+xml", "END_CONTENT", "BEGIN_CONTENT text/plain", "END_CONTENT"];
        assert_eq!(markers, expected.map(|text| format!("EVCXR_{text}")));
        let svg = output.split_once('\n').unwrap().1.split_once("\nEVCXR_END_CONTENT").unwrap().0;
        let document = roxmltree::Document::parse(svg).unwrap();
        assert!(document.descendants().any(|node| node.text().is_some_and(|text| text.trim() == "EVCXR_END_CONTENT")));
    }
}
