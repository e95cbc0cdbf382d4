//! Legends.

use std::cell::RefCell;

use plotters::chart::SeriesLabelPosition;
use plotters::element::{Circle, DynElement, EmptyElement, IntoDynElement, PathElement, Rectangle};
use plotters::style::{Color, RGBColor, ShapeStyle, TRANSPARENT, WHITE};
use plotters_backend::BackendCoord;

use super::axes::{Axes, Chart};
use super::problem;
use super::recorder::{Outline, PX, Recorder, Shape, units};
use super::series::Kind;
use super::style::{Look, MARKER_RADIUS};
use super::text::{TEXT, style, wrap};
use super::visible::Values;
use crate::Result;

const BORDER: RGBColor = RGBColor(0xcc, 0xcc, 0xcc);
/// The width of what stands beside a label, and the room around both, in pixels.
const HANDLE: f64 = 26.0;
const INSIDE: f64 = 6.0;
/// From the legend to the edges of the panel, in units.
const GAP: i32 = 6 * PX as i32;

/// Labels of all series, where they cover least of what is drawn in the panel.
pub(super) fn draw(chart: &mut Chart, recorder: &RefCell<Recorder>, axes: &Axes, frames: &[Vec<Shape>]) -> Result<()> {
    let (width, height) = chart.plotting_area().dim_in_pixel();
    let entries = add_entries(chart, axes, f64::from(width / PX))?;
    let start = recorder.borrow().shapes.len();
    // Drawn at one place to see how large it is.
    draw_at(chart, (0, 0))?;
    let shapes = recorder.borrow_mut().shapes.split_off(start);
    // Its area, the border around it, and texts where it has entries.
    let [Shape { outline: Outline::Rectangle(from, to), .. }, _, _, ..] = &shapes[..] else { return Ok(()) };
    let size = (to.0 - from.0, to.1 - from.1);
    let room = (width as i32 - size.0 - 2 * GAP, height as i32 - size.1 - 2 * GAP);
    if room.0 < 0 || room.1 < 0 {
        return Err(problem(format!("a legend of {entries} entries does not fit; give a larger figsize")));
    }
    let (left, top) = chart.plotting_area().get_base_pixel();
    let covered = |(x, y): BackendCoord| -> f64 {
        let from = (left + x - GAP, top + y - GAP);
        let to = (left + x + size.0 + GAP, top + y + size.1 + GAP);
        frames.iter().flatten().map(|shape| shape.length_in(from, to)).sum()
    };
    draw_at(chart, places(room).min_by_key(|at| covered(*at) as u64).unwrap_or_default())
}

/// Places for a legend along the sides of a panel that has so much room beside it: matplotlib's, in its order, and four
/// more. Of equally good ones the first is taken.
fn places(room: (i32, i32)) -> impl Iterator<Item = BackendCoord> {
    let corners = [(1.0, 0.0), (0.0, 0.0), (0.0, 1.0), (1.0, 1.0)];
    let middles = [(0.0, 0.5), (1.0, 0.5), (0.5, 1.0), (0.5, 0.0), (0.5, 0.5)];
    let quarters = [(0.25, 1.0), (0.75, 1.0), (0.25, 0.0), (0.75, 0.0)];
    let part = |length: i32, part: f64| GAP + (f64::from(length) * part).round() as i32;
    corners.into_iter().chain(middles).chain(quarters).map(move |(x, y)| (part(room.0, x), part(room.1, y)))
}

/// Adds the labels of the series to the chart, and returns how many there are.
fn add_entries(chart: &mut Chart, axes: &Axes, panel_width: f64) -> Result<usize> {
    let mut entries = 0;
    for series in &axes.series {
        for (nth, line) in wrap(&series.label, TEXT, 0.6 * panel_width).lines().enumerate() {
            let none: [PathElement<Values>; 0] = [];
            let entry = chart.draw_series(none)?.label(line);
            if nth == 0 {
                entry.legend(handle(&series.kind, series.look));
                entries += 1;
            }
        }
    }
    Ok(entries)
}

/// What stands beside the label of a series, drawn from the middle of its left side on.
fn handle(kind: &Kind, look: Look) -> impl Fn(BackendCoord) -> DynElement<'static, Recorder, BackendCoord> + use<> {
    let line = matches!(kind, Kind::Line | Kind::Rules { .. });
    // Absent parts are transparent.
    let shown = |shown: bool, style: ShapeStyle| if shown { style } else { TRANSPARENT.into() };
    let bar = shown(matches!(kind, Kind::ErrorBars), look.stroke());
    let area = shown(matches!(kind, Kind::Histogram | Kind::Band), look.fill());
    let marker = shown(look.markers, look.colour.filled());
    let (right, middle) = (units(HANDLE), units(HANDLE / 2.0));
    let (low, tall) = (units(0.4 * TEXT), units(0.6 * TEXT));
    move |at| {
        let element = EmptyElement::at(at)
            + Rectangle::new([(0, -low), (right, low)], area)
            + look.line(if line { vec![(0, 0), (right, 0)] } else { Vec::new() })
            + PathElement::new([(middle, -tall), (middle, tall)], bar)
            + Circle::new((middle, 0), units(MARKER_RADIUS), marker);
        element.into_dyn()
    }
}

/// Draws the legend with its left upper corner at a place of the panel.
fn draw_at(chart: &mut Chart, at: BackendCoord) -> Result<()> {
    let mut legend = chart.configure_series_labels();
    legend.position(SeriesLabelPosition::Coordinate(at.0, at.1)).margin(units(INSIDE));
    legend.legend_area_size(units(HANDLE + INSIDE)).label_font(style(TEXT));
    legend.background_style(WHITE.mix(0.8)).border_style(BORDER.stroke_width(PX));
    Ok(legend.draw()?)
}
