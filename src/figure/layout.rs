//! Where everything is in a figure: the ranges of its axes, and the places of its panels.

use super::axes::Axes;
use super::scale::{LOG_SMALLEST, Scale, Span};
use super::text::{LINE_HEIGHT, TEXT, TITLE, width, wrap};
use super::ticks::{Direction, ticks};
use super::{Figure, Share, problem};
use crate::Result;

// Lengths are in pixels: matplotlib's defaults, rounded so that axes stand on whole pixels.
pub(super) const TICK: f64 = 5.0;
/// From an axis to its tick labels: plotters' twice the length of a tick.
const TO_LABELS: f64 = 2.0 * TICK;
pub(super) const PAD: f64 = 4.0;
/// Around the figure, and between its panels.
const EDGE: f64 = 8.0;
const BETWEEN: f64 = 12.0;

/// A panel with everything about it decided.
#[derive(Default)]
pub(super) struct Panel {
    /// The left upper corner of the axes, and their width and height.
    pub(super) corner: (f64, f64),
    pub(super) size: (f64, f64),
    pub(super) x: Scale,
    pub(super) y: Scale,
    /// Whether ticks of the x axis have labels.
    pub(super) x_labels: bool,
    /// What stands left of the axes and below them.
    pub(super) left: f64,
    pub(super) below: f64,
    pub(super) title: String,
    pub(super) xlabel: String,
    pub(super) ylabel: String,
    /// What falls into a column of this width, in pixels, is thinned; see [`Panel::lines`].
    pub(super) column: f64,
}

/// The panels in which all of the figures fit, each with the name that it has in messages. Titles and labels are those
/// of the first one.
pub(super) fn panels(figures: &[(String, &Figure)]) -> Result<Vec<Panel>> {
    arrange(figures[0].1, scales(figures)?)
}

/// Names a panel in a message; the only panel of a figure needs no name.
pub(super) fn panel_name(name: &str, figure: &Figure, nth: usize) -> String {
    if figure.panels.len() == 1 {
        return name.to_owned();
    }
    format!("{name}axes({}, {}): ", nth / figure.columns, nth % figure.columns)
}

/// The x and y scale of every panel, for all of the figures, which have the same panels.
fn scales(figures: &[(String, &Figure)]) -> Result<Vec<(Scale, Scale)>> {
    let first = figures[0].1;
    let group_x = |nth: usize| if first.share == Share::None { nth } else { 0 };
    let group_y = |nth: usize| if first.share == Share::XAllYColumn { nth % first.columns } else { nth };
    let mut x = vec![Span::default(); first.panels.len()];
    let mut y = vec![Span::default(); first.panels.len()];
    for (nth, axes) in figures.iter().flat_map(|(_, figure)| figure.panels.iter().enumerate()) {
        x[group_x(nth)].limits = axes.xlim.or(x[group_x(nth)].limits);
        y[group_y(nth)].limits = axes.ylim.or(y[group_y(nth)].limits);
        x[group_x(nth)].log |= axes.log.0;
        y[group_y(nth)].log |= axes.log.1;
    }
    for (name, figure) in figures {
        if let Some(message) = &figure.problem {
            return Err(problem(format!("{name}{message}")));
        }
        for (nth, axes) in figure.panels.iter().enumerate() {
            add_series(axes, &mut x[group_x(nth)], &mut y[group_y(nth)])
                .map_err(|message| problem(panel_name(name, figure, nth) + &message))?;
        }
    }
    Ok((0..first.panels.len()).map(|nth| (x[group_x(nth)].scale(), y[group_y(nth)].scale())).collect())
}

/// Widens the ranges to what a panel shows, or tells what is wrong with it.
fn add_series(axes: &Axes, x: &mut Span, y: &mut Span) -> Result<(), String> {
    if let Some(message) = &axes.problem {
        return Err(message.clone());
    }
    for (name, range) in [("xlim", &*x), ("ylim", &*y)] {
        if range.log && range.limits.is_some_and(|limits| limits.0 < LOG_SMALLEST) {
            return Err(format!("{name} of a logarithmic axis: give values above 0"));
        }
    }
    for series in &axes.series {
        if !series.widen(x, y) {
            let label = &series.label;
            let above = if x.log || y.log { " above 0, as a logarithmic axis needs," } else { "" };
            return Err(format!("'{label}': no value{above} is finite and within ±1e300"));
        }
    }
    Ok(())
}

/// The room that a column (left, right) or a row (top, bottom) of panels needs around its axes.
#[derive(Clone, Copy, Default, PartialEq)]
struct Margins {
    before: f64,
    after: f64,
    /// The width of the widest tick label of a column's y axes.
    labels: f64,
}

impl Margins {
    fn grow(&mut self, before: f64, after: f64) {
        self.before = self.before.max(before.ceil());
        self.after = self.after.max(after.ceil());
    }
}

/// Margins follow from the labels, labels from the panels' sizes, those from the margins. Margins only ever grow, so
/// this comes to an end.
fn arrange(figure: &Figure, scales: Vec<(Scale, Scale)>) -> Result<Vec<Panel>> {
    let mut columns = vec![Margins::default(); figure.columns];
    let mut rows = vec![Margins::default(); figure.rows];
    loop {
        let (lefts, width) = spread(figure.size.0, &columns);
        let (tops, height) = spread(figure.size.1, &rows);
        if width < 40.0 || height < 30.0 {
            let (width, height) = (width.max(0.0), height.max(0.0));
            let remedy = "give a larger figsize, fewer panels or shorter labels";
            return Err(problem(format!("panels of {width} x {height} px are too small; {remedy}")));
        }
        let before = (columns.clone(), rows.clone());
        let mut panels = Vec::new();
        for (nth, (axes, scales)) in figure.panels.iter().zip(&scales).enumerate() {
            let (row, column) = (nth / figure.columns, nth % figure.columns);
            let mut panel = Panel::new(axes, (width, height), scales);
            panel.corner = (lefts[column], tops[row]);
            panel.x_labels = figure.share == Share::None || row + 1 == figure.rows;
            panel.grow(&mut columns[column], &mut rows[row]);
            panels.push(panel);
        }
        if before == (columns.clone(), rows.clone()) {
            return Ok(panels);
        }
    }
}

/// Where the axes begin, and the size that all of them have, along one side of the figure.
fn spread(length: u32, margins: &[Margins]) -> (Vec<f64>, f64) {
    let taken: f64 = margins.iter().map(|margin| margin.before + margin.after).sum();
    let gaps = BETWEEN * (margins.len() - 1) as f64;
    let size = ((f64::from(length) - 2.0 * EDGE - gaps - taken) / margins.len() as f64).floor();
    let mut at = EDGE;
    let starts = margins.iter().map(|margin| {
        let start = at + margin.before;
        at = start + size + margin.after + BETWEEN;
        // Lines of one pixel are sharp around the middle of a pixel.
        start.floor() + 0.5
    });
    (starts.collect(), size)
}

/// The height of a text of some lines with a distance to what it labels; none for no text.
fn room(text: &str, size: f64, distance: f64) -> f64 {
    if text.is_empty() { 0.0 } else { distance + text.split('\n').count() as f64 * size * LINE_HEIGHT }
}

impl Panel {
    fn new(axes: &Axes, size: (f64, f64), (x, y): &(Scale, Scale)) -> Self {
        let (mut x, mut y) = (x.clone(), y.clone());
        x.ticks = ticks(&x, size.0, Direction::X);
        y.ticks = ticks(&y, size.1, Direction::Y);
        let title = wrap(&axes.title, TITLE, size.0);
        let (xlabel, ylabel) = (wrap(&axes.xlabel, TEXT, size.0), wrap(&axes.ylabel, TEXT, size.1));
        Panel { size, x, y, title, xlabel, ylabel, ..Panel::default() }
    }

    /// Takes the room for labels and title from the margins of its column and row.
    fn grow(&mut self, column: &mut Margins, row: &mut Margins) {
        let labels = self.y.ticks.iter().map(|tick| width(&tick.label, TEXT).ceil());
        column.labels = labels.fold(column.labels, f64::max);
        self.left = TO_LABELS + column.labels + room(&self.ylabel, TEXT, 1.5 * PAD);
        self.below = if self.x_labels { TO_LABELS + TEXT } else { TICK } + room(&self.xlabel, TEXT, PAD);
        // The labels of x may reach beyond the ends of the axis.
        let ends = self.x.ticks.iter().map(|tick| {
            let (half, at) = (width(&tick.label, TEXT) / 2.0, self.x.fraction(tick.value) * self.size.0);
            (half - at, half + at - self.size.0)
        });
        let (left, right) = ends.fold((self.left, 1.0), |room, end| (f64::max(room.0, end.0), f64::max(room.1, end.1)));
        column.grow(left, right);
        row.grow(room(&self.title, TITLE, 2.0 * PAD).max(TEXT / 2.0), self.below.max(TEXT / 2.0));
    }
}
