//! Draws figures: each panel is a chart of plotters.

use std::cell::RefCell;
use std::collections::HashSet;
use std::ops::Range;
use std::rc::Rc;

use plotters::chart::{ChartBuilder, SeriesLabelPosition};
use plotters::coord::Shift;
use plotters::drawing::DrawingArea;
use plotters::element::{Circle, DynElement, EmptyElement, IntoDynElement, PathElement, Polygon, Rectangle, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{BLACK, Color, RGBColor, ShapeStyle, TRANSPARENT, WHITE};
use plotters_backend::BackendCoord;

use super::axes::{Axes, Chart, Kind, Series};
use super::layout::{self, PAD, Panel, TICK};
use super::recorder::{PX, Recorder, Shape, units};
use super::scale::Scale;
use super::style::{Look, MARKER_RADIUS};
use super::text::{Font, TEXT, TITLE, style};
use super::visible::{FINEST, Values, View};
use super::{Figure, problem};
use crate::{Error, Result};

type Area = DrawingArea<Recorder, Shift>;

const MAX_BYTES: usize = 500_000;
const MINOR_TICK: f64 = 3.0;
const GRID: RGBColor = RGBColor(0xdd, 0xdd, 0xdd);
const LEGEND_BORDER: RGBColor = RGBColor(0xcc, 0xcc, 0xcc);

/// Figures drawn over the same axes.
pub(super) struct Picture {
    pub(super) size: (f64, f64),
    pub(super) shapes: Vec<Shape>,
    /// Which shapes are the series of each figure. Those before and after them are common to all figures.
    pub(super) frames: Vec<Range<usize>>,
}

impl Picture {
    /// What stands below the series of all figures.
    pub(super) fn below(&self) -> &[Shape] {
        &self.shapes[..self.frames[0].start]
    }

    /// What stands above the series of all figures.
    pub(super) fn above(&self) -> &[Shape] {
        &self.shapes[self.frames[self.frames.len() - 1].end..]
    }

    /// The shapes of the picture with one of the figures.
    pub(super) fn with(&self, nth: usize) -> Vec<Shape> {
        [self.below(), &self.shapes[self.frames[nth].clone()], self.above()].concat()
    }
}

/// What `draw` makes with the finest detail for which its text, of the length that it returns, is short enough. It is
/// given the width of a column in pixels; see [`View`].
pub(super) fn fitting<T>(draw: impl Fn(f64) -> Result<(T, usize)>) -> Result<T> {
    let mut column = FINEST;
    while column <= 16.0 {
        let (drawn, bytes) = draw(column)?;
        if bytes <= MAX_BYTES {
            return Ok(drawn);
        }
        column *= if bytes > 3 * MAX_BYTES { 2.0 } else { 1.25 };
    }
    Err(problem("the picture has more than 500 kB; plot fewer series or fewer points"))
}

/// Draws figures that differ in their data only, each with the name that it has in messages.
pub(super) fn draw(figures: &[(String, &Figure)], column: f64) -> Result<Picture> {
    let panels = layout::panels(figures)?;
    let size = layout::size(figures[0].1);
    let recorder = Rc::new(RefCell::new(Recorder::new(size)));
    let root = Area::from(&recorder);
    root.fill(&WHITE).map_err(refused)?;
    let mut charts = panels.iter().map(|panel| chart(&root, panel)).collect::<Result<Vec<Chart>>>()?;
    for ((chart, panel), axes) in charts.iter_mut().zip(&panels).zip(&figures[0].1.panels) {
        draw_axes(&root, chart, panel, axes)?;
    }

    let shapes = || recorder.borrow().shapes.len();
    let mut frames = Vec::new();
    // Which shapes are those of each panel.
    let mut drawn = vec![Vec::new(); panels.len()];
    for (name, figure) in figures {
        let frame_start = shapes();
        for (nth, axes) in figure.panels.iter().enumerate() {
            let start = shapes();
            draw_series(&mut charts[nth], &panels[nth], axes, column)
                .map_err(|error| problem(format!("{name}{}{error}", layout::place(figure, nth))))?;
            drawn[nth].push(start..shapes());
        }
        frames.push(frame_start..shapes());
    }

    for (nth, panel) in panels.iter().enumerate() {
        let chart = &mut charts[nth];
        chart.plotting_area().strip_coord_spec().draw(&frame(panel)).map_err(refused)?;
        draw_legend(chart, &recorder, &figures[0].1.panels[nth], &drawn[nth])?;
    }
    let shapes = std::mem::take(&mut recorder.borrow_mut().shapes);
    Ok(Picture { size, shapes, frames })
}

/// For `map_err`.
pub(super) fn refused(error: impl std::fmt::Display) -> Error {
    problem(error.to_string())
}

/// A panel's chart, with areas for the labels left and below.
fn chart(root: &Area, panel: &Panel) -> Result<Chart> {
    let (left, below) = (units(panel.left), units(panel.below));
    let (width, height) = (units(panel.size.0), units(panel.size.1));
    let corner = (units(panel.corner.0) - left, units(panel.corner.1));
    // The last unit of an area is inside of it.
    let area = root.clone().shrink(corner, (left + width + 1, height + 1 + below));
    let mut builder = ChartBuilder::on(&area);
    builder.y_label_area_size(left).x_label_area_size(below);
    builder.build_cartesian_2d(panel.x.clone(), panel.y.clone()).map_err(refused)
}

/// The box around a panel, in the units of its chart.
fn frame(panel: &Panel) -> Rectangle<BackendCoord> {
    Rectangle::new([(0, 0), (units(panel.size.0), units(panel.size.1))], BLACK.stroke_width(PX))
}

/// Grid, ticks, labels and title.
fn draw_axes(root: &Area, chart: &mut Chart, panel: &Panel, axes: &Axes) -> Result<()> {
    let grid = if axes.grid { GRID.stroke_width(PX) } else { TRANSPARENT.into() };
    let no_label = |_: &f64| String::new();
    let mut mesh = chart.configure_mesh();
    mesh.bold_line_style(grid).light_line_style(TRANSPARENT).axis_style(BLACK.stroke_width(PX));
    mesh.set_all_tick_mark_size(units(TICK)).label_style(style(TEXT)).axis_desc_style(style(TEXT));
    mesh.x_desc(&panel.xlabel).y_desc(&panel.ylabel);
    if !panel.x_labels {
        mesh.x_label_formatter(&no_label);
    }
    mesh.draw().map_err(refused)?;

    let minor = |scale: &Scale| -> Vec<f64> {
        scale.ticks.iter().filter(|tick| tick.label.is_empty()).map(|tick| tick.value).collect()
    };
    let at = |x: f64, y: f64| chart.backend_coord(&(x, y));
    let length = units(MINOR_TICK);
    let x_ticks = minor(&panel.x).into_iter().map(|x| at(x, panel.y.low)).map(|(x, y)| [(x, y), (x, y + length)]);
    let y_ticks = minor(&panel.y).into_iter().map(|y| at(panel.x.low, y)).map(|(x, y)| [(x - length, y), (x, y)]);
    for tick in x_ticks.chain(y_ticks) {
        root.draw(&PathElement::new(tick, BLACK.stroke_width(PX))).map_err(refused)?;
    }

    let ((x, y), anchor) = panel.title_place();
    root.draw_text(&panel.title, &style(TITLE).pos(anchor), (units(x), units(y))).map_err(refused)
}

/// All series of a panel.
fn draw_series(chart: &mut Chart, panel: &Panel, axes: &Axes, column: f64) -> Result<(), Box<dyn std::error::Error>> {
    let view = View { x: &panel.x, y: &panel.y, size: panel.size, column };
    for Series { look, kind, .. } in &axes.series {
        match kind {
            Kind::Line { x, y } => draw_line(chart, &view, look, x, y)?,
            Kind::Points { x, y } => draw_marks(chart, &view, look, x, y)?,
            Kind::ErrorBars { x, y, error } => draw_error_bars(chart, &view, look, (x, y), error)?,
            Kind::Histogram { edges, counts } => draw_bars(chart, &view, look, edges, counts)?,
            Kind::Band { x, low, high } => {
                let parts = view.band(x, low, high).into_iter();
                chart.draw_series(parts.map(|part| Polygon::new(part, fill(look))))?;
            }
            Kind::Rules { vertical, at, ends } => draw_rules(chart, &view, look, (*vertical, at, *ends))?,
            Kind::Text { x, y, text } => draw_text(chart, &view, look, (*x, *y), text)?,
            Kind::Custom(draw) => draw(chart).map_err(|error| format!("draw(): {error}"))?,
        }
    }
    Ok(())
}

/// What drawing on a chart returns.
type Drawn = Result<(), plotters::drawing::DrawingAreaErrorKind<std::convert::Infallible>>;

/// The look of areas.
fn fill(look: &Look) -> ShapeStyle {
    look.colour.mix(0.3).filled()
}

fn draw_line(chart: &mut Chart, view: &View, look: &Look, x: &[f64], y: &[f64]) -> Drawn {
    let (dots, lines): (Vec<_>, Vec<_>) = view.lines(x, y).into_iter().partition(|line| line.len() == 1);
    chart.draw_series(lines.into_iter().map(|line| look.line(line)))?;
    chart.draw_series(dots.into_iter().map(|dot| Circle::new(dot[0], units(look.width), look.colour.filled())))?;
    if look.markers {
        draw_marks(chart, view, look, x, y)?;
    }
    Ok(())
}

fn draw_marks(chart: &mut Chart, view: &View, look: &Look, x: &[f64], y: &[f64]) -> Drawn {
    let marks = view.marks(x, y).into_iter().map(|nth| (x[nth], y[nth]));
    chart.draw_series(marks.map(|mark| Circle::new(mark, units(MARKER_RADIUS), look.colour.filled())))?;
    Ok(())
}

fn draw_error_bars(chart: &mut Chart, view: &View, look: &Look, (x, y): (&[f64], &[f64]), error: &[f64]) -> Drawn {
    let cap = units(MARKER_RADIUS);
    for nth in view.marks(x, y) {
        // A logarithmic axis has no place for 0 and below.
        let ends =
            [y[nth] - error[nth], y[nth] + error[nth]].map(|end| if view.y.log { end.max(view.y.low) } else { end });
        if ends.iter().any(|end| !end.is_finite()) {
            continue;
        }
        let style = look.stroke();
        chart.draw_series([PathElement::new(ends.map(|end| (x[nth], end)), style)])?;
        let caps = ends.into_iter().filter(|end| view.y.contains(*end));
        chart.draw_series(
            caps.map(|end| EmptyElement::at((x[nth], end)) + PathElement::new([(-cap, 0), (cap, 0)], style)),
        )?;
    }
    draw_marks(chart, view, look, x, y)
}

fn draw_bars(chart: &mut Chart, view: &View, look: &Look, edges: &[f64], counts: &[f64]) -> Drawn {
    let base = if view.y.log { view.y.low } else { 0.0 };
    let bars = counts.iter().zip(edges.windows(2)).filter(|(count, edges)| {
        let beside = edges[1] <= view.x.low || edges[0] >= view.x.high;
        **count > 0.0 && **count > view.y.low && !beside
    });
    for (&count, edges) in bars {
        let corners = [(edges[0], base), (edges[1], count)];
        chart.draw_series([
            Rectangle::new(corners, fill(look)),
            Rectangle::new(corners, look.colour.stroke_width(PX)),
        ])?;
    }
    Ok(())
}

fn draw_rules(chart: &mut Chart, view: &View, look: &Look, rules: (bool, &[f64], Option<(f64, f64)>)) -> Drawn {
    let (vertical, at, ends) = rules;
    let ((across, along), length) =
        if vertical { ((view.x, view.y), view.size.0) } else { ((view.y, view.x), view.size.1) };
    let (low, high) = ends.unwrap_or((along.low, along.high));
    if low > along.high || high < along.low {
        return Ok(());
    }
    let mut drawn = HashSet::new();
    let column = |at: f64| (across.fraction(at) * length / view.column).floor() as i64;
    let shown = at.iter().copied().filter(|&at| across.contains(at) && drawn.insert(column(at)));
    let swap = |(across, along): Values| if vertical { (across, along) } else { (along, across) };
    let lines = shown.map(|at| look.line(vec![swap((at, low)), swap((at, high))]));
    chart.draw_series(lines)?;
    Ok(())
}

fn draw_text(chart: &mut Chart, view: &View, look: &Look, at: Values, text: &str) -> Drawn {
    if !view.contains(at) {
        return Ok(());
    }
    let font = Font::new();
    let text = font.wrap(text, TEXT, view.size.0 - 2.0 * PAD).join("\n");
    let width = text.split('\n').map(|line| font.width(line, TEXT)).fold(0.0, f64::max);
    let latest = view.x.value(1.0 - (width + PAD) / view.size.0);
    let style = style(TEXT).color(&look.colour).pos(Pos::new(HPos::Left, VPos::Bottom));
    chart.draw_series([Text::new(text, (at.0.min(latest), at.1), style)])?;
    Ok(())
}

/// Labels of all series, where they cover least of what is drawn in the panel.
fn draw_legend(chart: &mut Chart, recorder: &RefCell<Recorder>, axes: &Axes, drawn: &[Range<usize>]) -> Result<()> {
    if !axes.legend {
        return Ok(());
    }
    let (width, height) = chart.plotting_area().dim_in_pixel();
    let entries = add_entries(chart, axes, f64::from(width / PX))?;
    let start = recorder.borrow().shapes.len();
    // Drawn at one place to see how large it is.
    put_legend(chart, (0, 0))?;
    let shapes = recorder.borrow_mut().shapes.split_off(start);
    // Its area, the border around it, and texts where it has entries.
    let [Shape::Rectangle(from, to, _), _, _, ..] = &shapes[..] else { return Ok(()) };
    let size = (to.0 - from.0, to.1 - from.1);
    let room = (width as i32 - size.0 - 2 * LEGEND_GAP, height as i32 - size.1 - 2 * LEGEND_GAP);
    if room.0 < 0 || room.1 < 0 {
        return Err(problem(format!("a legend of {entries} entries does not fit; give a larger figsize")));
    }
    let (left, top) = chart.plotting_area().get_base_pixel();
    let best = {
        let shapes = &recorder.borrow().shapes;
        let covered = |(x, y): BackendCoord| -> f64 {
            let from = (left + x - LEGEND_GAP, top + y - LEGEND_GAP);
            let to = (left + x + size.0 + LEGEND_GAP, top + y + size.1 + LEGEND_GAP);
            drawn.iter().flat_map(|range| &shapes[range.clone()]).map(|shape| shape.length_in(from, to)).sum()
        };
        legend_places(room).min_by(|a, b| covered(*a).total_cmp(&covered(*b)))
    };
    put_legend(chart, best.unwrap_or_default())
}

/// From the legend to the edges of the panel, in units.
const LEGEND_GAP: i32 = 60;
const HANDLE: f64 = 26.0;
const INSIDE: f64 = 6.0;

/// Places for a legend along the sides of a panel that has so much room beside it: matplotlib's, in its order, and four
/// more. Of equally good ones the first is taken.
fn legend_places(room: (i32, i32)) -> impl Iterator<Item = BackendCoord> {
    let corners = [(1.0, 0.0), (0.0, 0.0), (0.0, 1.0), (1.0, 1.0)];
    let middles = [(0.0, 0.5), (1.0, 0.5), (0.5, 1.0), (0.5, 0.0), (0.5, 0.5)];
    let quarters = [(0.25, 1.0), (0.75, 1.0), (0.25, 0.0), (0.75, 0.0)];
    let part = |length: i32, part: f64| LEGEND_GAP + (f64::from(length) * part).round() as i32;
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

fn put_legend(chart: &mut Chart, at: BackendCoord) -> Result<()> {
    let mut legend = chart.configure_series_labels();
    legend.position(SeriesLabelPosition::Coordinate(at.0, at.1)).margin(units(INSIDE));
    legend.legend_area_size(units(HANDLE + INSIDE)).label_font(style(TEXT));
    legend.background_style(WHITE.mix(0.8)).border_style(LEGEND_BORDER.stroke_width(PX));
    legend.draw().map_err(refused)
}
