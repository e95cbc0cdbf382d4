//! The graph of a model's layers.

use layout::core::base::Orientation;
use layout::core::geometry::{Point, Position};
use layout::core::style::StyleAttr;
use layout::std_shapes::shapes::{Arrow, Element, ShapeKind};
use layout::topo::layout::VisualGraph;
use layout::topo::placer::Placer;

use super::svg::{Anchor, BLACK, Canvas, picture};
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

/// A picture of layers that follow each other: a box for each, with its input and output shape, and arrows between,
/// laid out by the crate layout-rs.
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
    let boxes: Vec<LayerBox> = layers.iter().map(LayerBox::new).collect();
    let frames = arrange(&boxes);
    let mut canvas = Canvas::default();
    for (layer, frame) in boxes.iter().zip(&frames) {
        layer.draw(&mut canvas, frame);
    }
    for pair in frames.windows(2) {
        draw_arrow(&mut canvas, (middle(&pair[0]), pair[0].bottom), (middle(&pair[1]), pair[1].top));
    }
    let right = frames.iter().map(|frame| frame.right).fold(0.0, f64::max);
    let bottom = frames.iter().map(|frame| frame.bottom).fold(0.0, f64::max);
    picture(right + EDGE, bottom + EDGE, canvas.shapes).expect("text in memory takes every write")
}

// In pixels.
const TEXT: f64 = 14.0;
const ROW: f64 = 24.0;
const BETWEEN: f64 = 36.0;
const EDGE: f64 = 8.0;
const ARROW: (f64, f64) = (4.0, 10.0);

/// Where each box is: layers from top to bottom, each connected with the next.
fn arrange(boxes: &[LayerBox]) -> Vec<Frame> {
    let mut graph = VisualGraph::new(Orientation::TopToBottom);
    let nodes: Vec<_> = boxes
        .iter()
        .map(|layer| {
            let size = Point::new(layer.widths.iter().sum(), 2.0 * ROW);
            let shape = ShapeKind::new_box(&layer.name);
            let mut node = Element::create(shape, StyleAttr::simple(), Orientation::TopToBottom, size);
            node.pos = Position::new(Point::zero(), size, Point::zero(), Point::splat(BETWEEN));
            graph.add_node(node)
        })
        .collect();
    nodes.windows(2).for_each(|pair| graph.add_edge(Arrow::simple(""), pair[0], pair[1]));
    if nodes.is_empty() {
        // layout-rs lays out no empty graph.
        return Vec::new();
    }
    graph.to_valid_dag();
    graph.split_long_edges(true);
    Placer::new(&mut graph).layout(false);
    let corners: Vec<Point> = nodes.iter().map(|&node| graph.pos(node).bbox(false).0).collect();
    let left = corners.iter().map(|corner| corner.x).fold(f64::INFINITY, f64::min);
    let top = corners.iter().map(|corner| corner.y).fold(f64::INFINITY, f64::min);
    // Lines of one pixel are sharp around the middle of a pixel.
    let sharp = |px: f64| px.floor() + EDGE + 0.5;
    let frames = corners.iter().zip(boxes).map(|(corner, layer)| {
        let (left, top) = (sharp(corner.x - left), sharp(corner.y - top));
        Frame { left, top, right: left + layer.widths.iter().sum::<f64>(), bottom: top + 2.0 * ROW }
    });
    frames.collect()
}

fn middle(frame: &Frame) -> f64 {
    (frame.left + frame.right) / 2.0
}

fn draw_arrow(canvas: &mut Canvas, from: (f64, f64), tip: (f64, f64)) {
    let base = tip.1 - ARROW.1;
    canvas.line(&[from, (tip.0, base)], BLACK, 1.0);
    canvas.polygon(&[(tip.0 - ARROW.0, base), (tip.0 + ARROW.0, base), tip], BLACK);
}

/// A layer's texts, and the widths of the cells for its name, for "input:" and "output:", and for the shapes.
struct LayerBox {
    name: String,
    input: String,
    output: String,
    widths: [f64; 3],
}

impl LayerBox {
    fn new(layer: &LayerNode) -> Self {
        let clean = |label: &str| text::wrap(label, TEXT, f64::INFINITY).join(" ");
        // An even number of pixels, so that the middle of a box is the middle of a pixel, as its sides are.
        let cell = |label: &str| 2.0 * (text::width(label, TEXT) / 2.0 + EDGE).ceil();
        let (name, input, output) = (clean(&layer.name), clean(&layer.input), clean(&layer.output));
        let widths = [cell(&name), cell("output:"), cell(&input).max(cell(&output))];
        LayerBox { name, input, output, widths }
    }

    fn draw(&self, canvas: &mut Canvas, area: &Frame) {
        let Frame { left, top, right, bottom } = *area;
        let (first, second) = (left + self.widths[0], left + self.widths[0] + self.widths[1]);
        canvas.outline(*area, BLACK, 1.0);
        canvas.line(&[(first, top), (first, bottom)], BLACK, 1.0);
        canvas.line(&[(second, top), (second, bottom)], BLACK, 1.0);
        canvas.line(&[(first, top + ROW), (right, top + ROW)], BLACK, 1.0);
        // The middle of letters is about a third of the font size above their baseline.
        let baseline = |row: f64| top + (row + 0.5) * ROW + 0.34 * TEXT;
        canvas.text(&self.name, TEXT, ((left + first) / 2.0, baseline(0.5)), Anchor::Middle);
        for (row, label, shape) in [(0.0, "input:", &self.input), (1.0, "output:", &self.output)] {
            canvas.text(label, TEXT, ((first + second) / 2.0, baseline(row)), Anchor::Middle);
            canvas.text(shape, TEXT, ((second + right) / 2.0, baseline(row)), Anchor::Middle);
        }
    }
}
