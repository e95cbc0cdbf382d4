//! The graph of a model's layers.

use std::cell::RefCell;
use std::rc::Rc;

use plotters::prelude::{BLACK, Color, PathElement, Polygon, Rectangle, WHITE};
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::Svg;
use super::recorder::{Area, PX, Recorder, units};
use super::text::{style, width};
use crate::Result;

/// One layer in a model's graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerNode {
    /// Name and type, such as `conv1d: Conv1D`. It may have two lines.
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
    draw(layers).expect("nothing that is drawn here can fail")
}

// In pixels.
const TEXT: f64 = 14.0;
const ROW: f64 = 24.0;
const BETWEEN: f64 = 36.0;
const EDGE: f64 = 8.0;
const ARROW: (f64, f64) = (4.0, 10.0);

fn draw(layers: &[LayerNode]) -> Result<Svg> {
    let widths: Vec<[f64; 3]> = layers.iter().map(box_widths).collect();
    let widest = widths.iter().map(|widths| widths.iter().sum()).fold(0.0, f64::max);
    let height = layers.len() as f64 * 2.0 * ROW + layers.len().saturating_sub(1) as f64 * BETWEEN;
    let size = [widest, height].map(|inside| (inside + 2.0 * EDGE + 1.0) as u32).into();
    let recorder = Rc::new(RefCell::new(Recorder::new(size)));
    let area = Area::from(&recorder);
    area.fill(&WHITE)?;
    // Lines of one pixel are sharp around the middle of a pixel.
    let middle = EDGE + widest / 2.0 + 0.5;
    for (nth, (layer, widths)) in layers.iter().zip(&widths).enumerate() {
        let top = EDGE + 0.5 + nth as f64 * (2.0 * ROW + BETWEEN);
        draw_layer(&area, layer, widths, (middle - widths.iter().sum::<f64>() / 2.0, top))?;
        if nth > 0 {
            draw_arrow(&area, middle, top)?;
        }
    }
    let shapes = std::mem::take(&mut recorder.borrow_mut().shapes);
    Ok(Svg::new(size, shapes))
}

/// The widths of a layer's box where its name stands, "input:" and "output:", and the shapes.
fn box_widths(layer: &LayerNode) -> [f64; 3] {
    // An even number of pixels, so that the middle of a box is the middle of a pixel, as its sides are.
    let cell = |label: &str| 2.0 * (width(label, TEXT) / 2.0 + EDGE).ceil();
    [cell(&layer.name), cell("output:"), cell(&layer.input).max(cell(&layer.output))]
}

/// The boxes of a layer with their texts, from its left upper corner on.
fn draw_layer(area: &Area, layer: &LayerNode, widths: &[f64; 3], (left, top): (f64, f64)) -> Result<()> {
    let at = |x: f64, y: f64| (units(left + x), units(top + y * ROW));
    let style = style(TEXT).pos(Pos::new(HPos::Center, VPos::Center));
    let (first, second, right) = (widths[0], widths[0] + widths[1], widths.iter().sum::<f64>());
    for (text, x, y) in [
        (&layer.name[..], (0.0, first), (0.0, 2.0)),
        ("input:", (first, second), (0.0, 1.0)),
        ("output:", (first, second), (1.0, 2.0)),
        (&layer.input[..], (second, right), (0.0, 1.0)),
        (&layer.output[..], (second, right), (1.0, 2.0)),
    ] {
        area.draw(&Rectangle::new([at(x.0, y.0), at(x.1, y.1)], BLACK.stroke_width(PX)))?;
        area.draw_text(text, &style, at((x.0 + x.1) / 2.0, (y.0 + y.1) / 2.0))?;
    }
    Ok(())
}

/// An arrow from the layer before to the upper side of a layer.
fn draw_arrow(area: &Area, x: f64, tip: f64) -> Result<()> {
    let base = units(tip - ARROW.1);
    let corners = [(units(x - ARROW.0), base), (units(x + ARROW.0), base), (units(x), units(tip))];
    area.draw(&PathElement::new([(units(x), units(tip - BETWEEN)), (units(x), base)], BLACK.stroke_width(PX)))?;
    Ok(area.draw(&Polygon::new(corners, BLACK))?)
}
