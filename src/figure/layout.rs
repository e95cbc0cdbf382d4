//! Where everything is in a figure: the ranges of its axes, and the places of its panels.

use super::axes::Axes;
use super::scale::{LOG_SMALLEST, Scale, Span};
use super::text::{Font, LINE_HEIGHT, TEXT, TITLE};
use super::ticks::{Direction, ticks};
use super::{Figure, Share, problem};
use crate::Result;

// Lengths are in pixels, 96 to the inch: matplotlib's defaults, rounded so that axes stand on whole pixels.
const PX_PER_INCH: f64 = 96.0;
pub(super) const TICK: f64 = 5.0;
/// From an axis to its tick labels: plotters' twice the length of a tick.
const TO_LABELS: f64 = 2.0 * TICK;
pub(super) const PAD: f64 = 4.0;
/// Around the figure, and between its panels.
const EDGE: f64 = 8.0;
const BETWEEN: f64 = 12.0;

/// A panel with everything about it decided.
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
}

/// Width and height in whole pixels.
pub(super) fn size(figure: &Figure) -> (u32, u32) {
    ((figure.size.0 * PX_PER_INCH).ceil() as u32, (figure.size.1 * PX_PER_INCH).ceil() as u32)
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
    let font = Font::new();
    let (width, height) = size(figure);
    let mut columns = vec![Margins::default(); figure.columns];
    let mut rows = vec![Margins::default(); figure.rows];
    let mut label_widths = vec![0.0_f64; figure.columns];
    loop {
        let (lefts, width) = spread(width, &columns);
        let (tops, height) = spread(height, &rows);
        if width < 40.0 || height < 30.0 {
            let (width, height) = (width.max(0.0), height.max(0.0));
            let remedy = "give a larger figsize, fewer panels or shorter labels";
            return Err(problem(format!("panels of {width} x {height} px are too small; {remedy}")));
        }
        let before = (columns.clone(), rows.clone(), label_widths.clone());
        let mut panels = Vec::new();
        for (nth, (axes, (x, y))) in figure.panels.iter().zip(&scales).enumerate() {
            let (row, column) = (nth / figure.columns, nth % figure.columns);
            let mut panel = Panel::new(axes, (lefts[column], tops[row]), (width, height), (x, y), &font);
            panel.x_labels = figure.share == Share::None || row + 1 == figure.rows;
            let widest = panel.y.ticks.iter().map(|tick| font.width(&tick.label, TEXT)).fold(0.0, f64::max);
            label_widths[column] = label_widths[column].max(widest.ceil());
            panel.left = TO_LABELS + label_widths[column] + room(&panel.ylabel, TEXT, 1.5 * PAD);
            let labels = if panel.x_labels { TO_LABELS + TEXT } else { TICK };
            panel.below = labels + room(&panel.xlabel, TEXT, PAD);
            let (left, right) = panel.overhang(&font);
            columns[column].grow(panel.left.max(left), right.max(1.0));
            rows[row].grow(room(&panel.title, TITLE, 2.0 * PAD).max(TEXT / 2.0), panel.below.max(TEXT / 2.0));
            panels.push(panel);
        }
        if before == (columns.clone(), rows.clone(), label_widths.clone()) {
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
    fn new(axes: &Axes, corner: (f64, f64), size: (f64, f64), (x, y): (&Scale, &Scale), font: &Font) -> Self {
        let (mut x, mut y) = (x.clone(), y.clone());
        x.ticks = ticks(&x, size.0, Direction::X, font);
        y.ticks = ticks(&y, size.1, Direction::Y, font);
        let wrap = |text: &str, text_size: f64, limit: f64| font.wrap(text, text_size, limit).join("\n");
        Panel {
            corner,
            size,
            x,
            y,
            x_labels: true,
            left: 0.0,
            below: 0.0,
            title: wrap(&axes.title, TITLE, size.0),
            xlabel: wrap(&axes.xlabel, TEXT, size.0),
            ylabel: wrap(&axes.ylabel, TEXT, size.1),
        }
    }

    /// How far the x axis' tick labels reach beyond its ends.
    fn overhang(&self, font: &Font) -> (f64, f64) {
        let (mut left, mut right) = (0.0_f64, 0.0_f64);
        for tick in self.x.ticks.iter().filter(|_| self.x_labels) {
            let half = font.width(&tick.label, TEXT) / 2.0;
            let at = self.x.fraction(tick.value) * self.size.0;
            left = left.max(half - at);
            right = right.max(half + at - self.size.0);
        }
        (left, right)
    }
}
