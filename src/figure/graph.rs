//! The graph of a model's layers.

use super::svg::{Anchor, BLACK, picture};
use super::trace::Frame;
use super::{Svg, text};

/// One layer in a model's graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerNode {
    /// Name and type, such as `conv1d: Conv1D`.
    pub name: String,
    /// The shape of what goes in, such as `(?, ?, 1)`.
    pub input: String,
    /// The shape of what comes out.
    pub output: String,
}

impl LayerNode {
    /// A layer of this name, with its input and output shape.
    pub fn new(name: &str, input: &str, output: &str) -> Self {
        LayerNode { name: name.to_owned(), input: input.to_owned(), output: output.to_owned() }
    }
}

/// A picture of layers that follow each other: a box for each, with its input and output shape, and arrows between.
///
/// ```
/// use hhnet::figure::{LayerNode, layer_graph};
/// let graph = layer_graph(&[
///     LayerNode::new("input_1: InputLayer", "[(?, ?, 1)]", "[(?, ?, 1)]"),
///     LayerNode::new("conv1d: Conv1D", "(?, ?, 1)", "(?, ?, 2)"),
/// ]);
/// assert!(graph.as_str().contains("conv1d: Conv1D"));
/// ```
pub fn layer_graph(layers: &[LayerNode]) -> Svg {
    const TEXT: f64 = 14.0;
    const ROW: f64 = 24.0;
    const BETWEEN: f64 = 36.0;
    const EDGE: f64 = 8.0;
    const ARROW: (f64, f64) = (4.0, 10.0);
    let clean = |label: &str| text::wrap(label, TEXT, f64::INFINITY).join(" ");
    let cell = |label: &str| (text::width(label, TEXT) + 2.0 * EDGE).ceil();
    let direction = cell("output:");
    let boxes: Vec<_> = layers
        .iter()
        .map(|layer| {
            let (name, input, output) = (clean(&layer.name), clean(&layer.input), clean(&layer.output));
            let widths = [cell(&name), direction, cell(&input).max(cell(&output))];
            (name, input, output, widths)
        })
        .collect();
    let widest = boxes.iter().map(|(.., widths)| widths.iter().sum()).fold(0.0, f64::max);
    let middle = (EDGE + widest / 2.0).floor() + 0.5;
    let heights = 2.0 * ROW * boxes.len() as f64 + BETWEEN * boxes.len().saturating_sub(1) as f64;
    let drawn = picture(widest + 2.0 * EDGE, heights + 2.0 * EDGE, |canvas| {
        let mut top = EDGE + 0.5;
        for (nth, (name, input, output, widths)) in boxes.iter().enumerate() {
            if nth > 0 {
                let tip = (middle, top);
                let base = top - ARROW.1;
                canvas.line(&[(middle, top - BETWEEN), (middle, base)], BLACK, 1.0)?;
                canvas.polygon(&[(middle - ARROW.0, base), (middle + ARROW.0, base), tip], BLACK)?;
            }
            let left = (middle - widths.iter().sum::<f64>() / 2.0).floor() + 0.5;
            let (first, second) = (left + widths[0], left + widths[0] + widths[1]);
            let area = Frame { left, top, right: second + widths[2], bottom: top + 2.0 * ROW };
            canvas.outline(area, BLACK, 1.0)?;
            canvas.line(&[(first, top), (first, area.bottom)], BLACK, 1.0)?;
            canvas.line(&[(second, top), (second, area.bottom)], BLACK, 1.0)?;
            canvas.line(&[(first, top + ROW), (area.right, top + ROW)], BLACK, 1.0)?;
            // The middle of letters is about a third of the font size above their baseline.
            let baseline = |row: f64| top + (row + 0.5) * ROW + 0.34 * TEXT;
            let centre = |left: f64, width: f64| left + width / 2.0;
            canvas.text(name, TEXT, (centre(left, widths[0]), baseline(0.5)), Anchor::Middle)?;
            for (row, label, shape) in [(0.0, "input:", input), (1.0, "output:", output)] {
                canvas.text(label, TEXT, (centre(first, widths[1]), baseline(row)), Anchor::Middle)?;
                canvas.text(shape, TEXT, (centre(second, widths[2]), baseline(row)), Anchor::Middle)?;
            }
            top = area.bottom + BETWEEN;
        }
        Ok(())
    });
    drawn.expect("text in memory takes every write")
}
