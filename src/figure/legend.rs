//! Legends.

use std::cell::RefCell;
use std::ops::Range;

use plotters::chart::SeriesLabelPosition;
use plotters::element::{Circle, DynElement, EmptyElement, IntoDynElement, PathElement, Rectangle};
use plotters::style::{Color, RGBColor, TRANSPARENT, WHITE};
use plotters_backend::BackendCoord;

use super::axes::{Axes, Chart};
use super::draw::refused;
use super::problem;
use super::recorder::{PX, Recorder, Shape, units};
use super::series::{Kind, Series, fill};
use super::style::{Look, MARKER_RADIUS};
use super::text::{Font, TEXT, style};
use super::visible::Values;
use crate::Result;

const BORDER: RGBColor = RGBColor(0xcc, 0xcc, 0xcc);
/// The width of what stands beside a label, and the room around both, in pixels.
const HANDLE: f64 = 26.0;
const INSIDE: f64 = 6.0;
/// From the legend to the edges of the panel, in units.
const GAP: i32 = 6 * PX as i32;

/// Labels of all series, where they cover least of what is drawn in the panel.
pub(super) fn draw(chart: &mut Chart, recorder: &RefCell<Recorder>, axes: &Axes, drawn: &[Range<usize>]) -> Result<()> {
    let (width, height) = chart.plotting_area().dim_in_pixel();
    let entries = add_entries(chart, axes, f64::from(width / PX))?;
    let start = recorder.borrow().shapes.len();
    // Drawn at one place to see how large it is.
    put(chart, (0, 0))?;
    let shapes = recorder.borrow_mut().shapes.split_off(start);
    // Its area, the border around it, and texts where it has entries.
    let [Shape::Rectangle(from, to, _), _, _, ..] = &shapes[..] else { return Ok(()) };
    let size = (to.0 - from.0, to.1 - from.1);
    let room = (width as i32 - size.0 - 2 * GAP, height as i32 - size.1 - 2 * GAP);
    if room.0 < 0 || room.1 < 0 {
        return Err(problem(format!("a legend of {entries} entries does not fit; give a larger figsize")));
    }
    let (left, top) = chart.plotting_area().get_base_pixel();
    let best = {
        let shapes = &recorder.borrow().shapes;
        let covered = |(x, y): BackendCoord| -> f64 {
            let from = (left + x - GAP, top + y - GAP);
            let to = (left + x + size.0 + GAP, top + y + size.1 + GAP);
            drawn.iter().flat_map(|range| &shapes[range.clone()]).map(|shape| shape.length_in(from, to)).sum()
        };
        places(room).min_by(|a, b| covered(*a).total_cmp(&covered(*b)))
    };
    put(chart, best.unwrap_or_default())
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
    let font = Font::new();
    let mut entries = 0;
    for series in &axes.series {
        let lines = font.wrap(&series.label, TEXT, 0.6 * panel_width);
        entries += usize::from(!lines.is_empty());
        for (nth, line) in lines.into_iter().enumerate() {
            let handle = if nth == 0 { Handle::of(series) } else { Handle::default() };
            let none: [PathElement<Values>; 0] = [];
            chart.draw_series(none).map_err(refused)?.label(line).legend(move |at| handle.at(at));
        }
    }
    Ok(entries)
}

/// What stands beside a label in the legend.
#[derive(Clone, Copy, Default)]
struct Handle {
    line: Option<Look>,
    marker: Option<RGBColor>,
    area: Option<Look>,
    bar: Option<Look>,
}

impl Handle {
    fn of(series: &Series) -> Self {
        let look = series.look;
        let marker = Some(look.colour);
        match series.kind {
            Kind::Line { .. } => {
                Handle { line: Some(look), marker: marker.filter(|_| look.markers), ..Handle::default() }
            }
            Kind::Rules { .. } => Handle { line: Some(look), ..Handle::default() },
            Kind::Points { .. } => Handle { marker, ..Handle::default() },
            Kind::ErrorBars { .. } => Handle { marker, bar: Some(look), ..Handle::default() },
            Kind::Histogram { .. } | Kind::Band { .. } => Handle { area: Some(look), ..Handle::default() },
            Kind::Text { .. } | Kind::Custom(_) => Handle::default(),
        }
    }

    /// Drawn from the middle of its left side on. Absent parts are transparent.
    fn at(&self, at: BackendCoord) -> DynElement<'static, Recorder, BackendCoord> {
        let none = TRANSPARENT.into();
        let (width, middle) = (units(HANDLE), units(HANDLE / 2.0));
        let (half, tall) = (units(0.4 * TEXT), units(0.6 * TEXT));
        let line =
            self.line.unwrap_or(Look::black()).line(vec![(0, 0), (if self.line.is_some() { width } else { 0 }, 0)]);
        let marker = self.marker.map_or(none, |colour| colour.filled());
        let area = self.area.map_or(none, |look| fill(&look));
        let bar = self.bar.map_or(none, |look| look.stroke());
        let element = EmptyElement::at(at)
            + Rectangle::new([(0, -half), (width, half)], area)
            + line
            + PathElement::new([(middle, -tall), (middle, tall)], bar)
            + Circle::new((middle, 0), units(MARKER_RADIUS), marker);
        element.into_dyn()
    }
}

fn put(chart: &mut Chart, at: BackendCoord) -> Result<()> {
    let mut legend = chart.configure_series_labels();
    legend.position(SeriesLabelPosition::Coordinate(at.0, at.1)).margin(units(INSIDE));
    legend.legend_area_size(units(HANDLE + INSIDE)).label_font(style(TEXT));
    legend.background_style(WHITE.mix(0.8)).border_style(BORDER.stroke_width(PX));
    legend.draw().map_err(refused)
}
