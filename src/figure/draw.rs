//! Draws figures: each panel is a chart of plotters.

use std::cell::RefCell;
use std::rc::Rc;

use plotters::coord::ranged1d::ValueFormatter;
use plotters::prelude::{
    BLACK, ChartBuilder, Color, EmptyElement, PathElement, RGBColor, Rectangle, TRANSPARENT, WHITE,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::axes::Chart;
use super::layout::{self, PAD, Panel, TICK};
use super::recorder::{Area, PX, Recorder, Shape, units};
use super::text::{TEXT, TITLE, style};
use super::{Figure, Svg, legend, problem};
use crate::Result;

const MAX_BYTES: usize = 500_000;
/// The finest columns, narrower than a line, and the coarsest ones with which a picture is still worth a look.
const COLUMNS: (f64, f64) = (0.5, 16.0);
const MINOR_TICK: f64 = 3.0;
const GRID: RGBColor = RGBColor(0xdd, 0xdd, 0xdd);

/// Figures drawn over the same axes.
pub(super) struct Picture {
    /// Width and height in pixels.
    pub(super) size: (u32, u32),
    /// What stands below the series of all figures.
    pub(super) below: Vec<Shape>,
    /// The series of each figure.
    pub(super) frames: Vec<Vec<Shape>>,
    /// What stands above the series of all figures.
    pub(super) above: Vec<Shape>,
}

impl Picture {
    /// The picture with one of the figures.
    pub(super) fn svg(&self, nth: usize) -> Svg {
        Svg::new(self.size, [&self.below[..], &self.frames[nth], &self.above].concat())
    }
}

/// Draws figures that differ in their data only, each with the name that it has in messages, with the finest detail for
/// which what `show` makes of the picture has few enough bytes.
pub(super) fn draw<T>(figures: &[(String, &Figure)], show: impl Fn(&Picture) -> T, text: fn(&T) -> &str) -> Result<T> {
    let mut panels = layout::panels(figures)?;
    let mut column = COLUMNS.0;
    while column <= COLUMNS.1 {
        panels.iter_mut().for_each(|panel| panel.column = column);
        let shown = show(&picture(figures, &panels)?);
        let bytes = text(&shown).len();
        if bytes <= MAX_BYTES {
            return Ok(shown);
        }
        column *= if bytes > 3 * MAX_BYTES { 2.0 } else { 1.25 };
    }
    Err(problem("the picture has more than 500 kB; plot fewer series or fewer points"))
}

fn picture(figures: &[(String, &Figure)], panels: &[Panel]) -> Result<Picture> {
    let first = figures[0].1;
    let recorder = Rc::new(RefCell::new(Recorder::new(first.size)));
    let drawn = || std::mem::take(&mut recorder.borrow_mut().shapes);
    let root = Area::from(&recorder);
    root.fill(&WHITE)?;
    for (panel, axes) in panels.iter().zip(&first.panels) {
        draw_axes(&root, panel, axes.grid)?;
    }
    let below = drawn();
    let mut frames = Vec::new();
    let mut charts = Vec::new();
    for (name, figure) in figures {
        for (nth, (panel, axes)) in panels.iter().zip(&figure.panels).enumerate() {
            let mut chart = chart(&root, panel)?;
            for series in &axes.series {
                let refused = |error| problem(format!("{}{error}", layout::panel_name(name, figure, nth)));
                series.draw(&mut chart, panel).map_err(refused)?;
            }
            charts.push(chart);
        }
        frames.push(drawn());
    }
    // The first charts are those of the first figure, whose series are named in the legends.
    for (mut chart, (panel, axes)) in charts.into_iter().zip(panels.iter().zip(&first.panels)) {
        let border = Rectangle::new([(0, 0), (units(panel.size.0), units(panel.size.1))], BLACK.stroke_width(PX));
        chart.plotting_area().strip_coord_spec().draw(&border)?;
        if axes.legend {
            legend::draw(&mut chart, &recorder, axes, &frames)?;
        }
    }
    Ok(Picture { size: first.size, below, frames, above: drawn() })
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
    Ok(builder.build_cartesian_2d(panel.x.clone(), panel.y.clone())?)
}

/// Grid, ticks, labels and title.
fn draw_axes(root: &Area, panel: &Panel, grid: bool) -> Result<()> {
    let mut chart = chart(root, panel)?;
    let grid = if grid { GRID.stroke_width(PX) } else { TRANSPARENT.into() };
    let x_label = |value: &f64| if panel.x_labels { panel.x.format_ext(value) } else { String::new() };
    let mut mesh = chart.configure_mesh();
    mesh.bold_line_style(grid).light_line_style(TRANSPARENT).axis_style(BLACK.stroke_width(PX));
    mesh.set_all_tick_mark_size(units(TICK)).label_style(style(TEXT)).axis_desc_style(style(TEXT));
    mesh.x_desc(&panel.xlabel).y_desc(&panel.ylabel).x_label_formatter(&x_label).draw()?;

    let length = units(MINOR_TICK);
    let x_ticks = panel.x.minor_ticks().map(|value| ((value, panel.y.low), [(0, 0), (0, length)]));
    let y_ticks = panel.y.minor_ticks().map(|value| ((panel.x.low, value), [(-length, 0), (0, 0)]));
    for (at, ends) in x_ticks.chain(y_ticks) {
        let tick = PathElement::new(ends, BLACK.stroke_width(PX));
        root.draw(&(EmptyElement::at(chart.backend_coord(&at)) + tick))?;
    }

    let above = (units(panel.corner.0 + panel.size.0 / 2.0), units(panel.corner.1 - PAD));
    let title = style(TITLE).pos(Pos::new(HPos::Center, VPos::Bottom));
    Ok(root.draw_text(&panel.title, &title, above)?)
}
