//! Draws figures: each panel is a chart of plotters.

use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;

use plotters::chart::ChartBuilder;
use plotters::coord::Shift;
use plotters::drawing::DrawingArea;
use plotters::element::{PathElement, Rectangle};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{BLACK, Color, RGBColor, TRANSPARENT, WHITE};

use super::axes::{Axes, Chart};
use super::layout::{self, PAD, Panel, TICK};
use super::recorder::{PX, Recorder, Shape, units};
use super::scale::Scale;
use super::series::Drawn;
use super::text::{TEXT, TITLE, style};
use super::visible::View;
use super::{Figure, Svg, legend, problem};
use crate::{Error, Result};

type Area = DrawingArea<Recorder, Shift>;

const MAX_BYTES: usize = 500_000;
/// The finest columns, narrower than a line, and the coarsest ones with which a picture is still worth a look.
const COLUMNS: (f64, f64) = (0.5, 16.0);
const MINOR_TICK: f64 = 3.0;
const GRID: RGBColor = RGBColor(0xdd, 0xdd, 0xdd);

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

    /// The picture with one of the figures, and the length of its text; see [`fitting`].
    pub(super) fn svg(&self, nth: usize) -> Result<(Svg, usize)> {
        let shapes = [self.below(), &self.shapes[self.frames[nth].clone()], self.above()].concat();
        let svg = Svg::new(self.size, shapes)?;
        let bytes = svg.as_str().len();
        Ok((svg, bytes))
    }
}

/// What `draw` makes with the finest detail for which its text, of the length that it returns, is short enough. It is
/// given the width of a column in pixels; see [`View`].
pub(super) fn fitting<T>(draw: impl Fn(f64) -> Result<(T, usize)>) -> Result<T> {
    let mut column = COLUMNS.0;
    while column <= COLUMNS.1 {
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
    let first = figures[0].1;
    let size = layout::size(first);
    let recorder = Rc::new(RefCell::new(Recorder::new(size)));
    let root = Area::from(&recorder);
    root.fill(&WHITE).map_err(refused)?;
    for (panel, axes) in panels.iter().zip(&first.panels) {
        draw_axes(&root, panel, axes)?;
    }
    let shapes = || recorder.borrow().shapes.len();
    let mut frames = Vec::new();
    // The charts of the first figure, which hold the labels of its legends, and which shapes are those of each panel.
    let mut charts = Vec::new();
    let mut drawn = vec![Vec::new(); panels.len()];
    for (name, figure) in figures {
        let start = shapes();
        for (nth, (panel, axes)) in panels.iter().zip(&figure.panels).enumerate() {
            let (mut chart, start) = (chart(&root, panel)?, shapes());
            draw_series(&mut chart, panel, axes, column)
                .map_err(|error| problem(format!("{name}{}{error}", layout::place(figure, nth))))?;
            drawn[nth].push(start..shapes());
            charts.push(chart);
        }
        frames.push(start..shapes());
    }
    for ((mut chart, panel), (axes, drawn)) in charts.into_iter().zip(&panels).zip(first.panels.iter().zip(&drawn)) {
        let corner = (units(panel.size.0), units(panel.size.1));
        let frame = Rectangle::new([(0, 0), corner], BLACK.stroke_width(PX));
        chart.plotting_area().strip_coord_spec().draw(&frame).map_err(refused)?;
        if axes.legend {
            legend::draw(&mut chart, &recorder, axes, drawn)?;
        }
    }
    let shapes = std::mem::take(&mut recorder.borrow_mut().shapes);
    Ok(Picture { size, shapes, frames })
}

fn draw_series(chart: &mut Chart, panel: &Panel, axes: &Axes, column: f64) -> Drawn {
    let view = View { x: &panel.x, y: &panel.y, size: panel.size, column };
    axes.series.iter().try_for_each(|series| series.draw(chart, &view))
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

/// Grid, ticks, labels and title.
fn draw_axes(root: &Area, panel: &Panel, axes: &Axes) -> Result<()> {
    let mut chart = chart(root, panel)?;
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

    let above = (units(panel.corner.0 + panel.size.0 / 2.0), units(panel.corner.1 - PAD));
    let title = style(TITLE).pos(Pos::new(HPos::Center, VPos::Bottom));
    root.draw_text(&panel.title, &title, above).map_err(refused)
}
