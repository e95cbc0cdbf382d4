//! Where everything is in a figure: the ranges of its axes, and the places of its panels.

use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::axes::{Axes, Kind, drawable};
use super::scale::{Direction, LOG_SMALLEST, Scale};
use super::text::{Font, LINE_HEIGHT, TEXT, TITLE};
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
pub(super) fn size(figure: &Figure) -> (f64, f64) {
    ((figure.size.0 * PX_PER_INCH).ceil(), (figure.size.1 * PX_PER_INCH).ceil())
}

/// The panels in which all of the figures fit, each with the name that it has in messages. Titles and labels are those
/// of the first one.
pub(super) fn panels(figures: &[(String, &Figure)]) -> Result<Vec<Panel>> {
    for (name, figure) in figures {
        if let Some(message) = &figure.problem {
            return Err(problem(format!("{name}{message}")));
        }
        for (nth, axes) in figure.panels.iter().enumerate() {
            if let Some(message) = &axes.problem {
                return Err(problem(format!("{name}{}{message}", place(figure, nth))));
            }
        }
    }
    arrange(figures[0].1, scales(figures)?)
}

/// Names a panel in a message; the only panel of a figure needs no name.
pub(super) fn place(figure: &Figure, nth: usize) -> String {
    if figure.panels.len() == 1 {
        return String::new();
    }
    format!("axes({}, {}): ", nth / figure.columns, nth % figure.columns)
}

/// The x and y scale of every panel, for all of the figures, which have the same panels.
fn scales(figures: &[(String, &Figure)]) -> Result<Vec<(Scale, Scale)>> {
    let first = figures[0].1;
    let group_x = |nth: usize| if first.share == Share::None { nth } else { 0 };
    let group_y = |nth: usize| if first.share == Share::XAllYColumn { nth % first.columns } else { nth };
    let mut x = vec![Range::default(); first.panels.len()];
    let mut y = vec![Range::default(); first.panels.len()];
    for (nth, axes) in figures.iter().flat_map(|(_, figure)| figure.panels.iter().enumerate()) {
        x[group_x(nth)].limits = axes.xlim.or(x[group_x(nth)].limits);
        y[group_y(nth)].limits = axes.ylim.or(y[group_y(nth)].limits);
        x[group_x(nth)].log |= axes.log.0;
        y[group_y(nth)].log |= axes.log.1;
    }
    for (name, figure) in figures {
        for (nth, axes) in figure.panels.iter().enumerate() {
            let place = format!("{name}{}", place(figure, nth));
            add_series(axes, &place, &mut x[group_x(nth)], &mut y[group_y(nth)])?;
        }
    }
    Ok((0..first.panels.len()).map(|nth| (x[group_x(nth)].scale(), y[group_y(nth)].scale())).collect())
}

/// What the panels that share an axis need of it.
#[derive(Clone, Default)]
struct Range {
    data: Option<(f64, f64)>,
    limits: Option<(f64, f64)>,
    log: bool,
    /// Whether bars stand on zero: there is no margin below it.
    on_zero: bool,
}

impl Range {
    fn add(&mut self, value: f64) {
        let (low, high) = self.data.unwrap_or((value, value));
        self.data = Some((low.min(value), high.max(value)));
    }

    /// Whether the axis has a place for a value.
    fn shows(&self, value: f64) -> bool {
        drawable(value) && (!self.log || value >= LOG_SMALLEST)
    }

    fn scale(&self) -> Scale {
        if let Some(limits) = self.limits {
            return Scale::new(limits, self.log);
        }
        let mut scale = match (self.data, self.log) {
            (Some(data), log) => Scale::around(data, log),
            (None, true) => Scale::new((0.1, 1.0), true),
            (None, false) => Scale::new((0.0, 1.0), false),
        };
        if self.on_zero && !self.log && self.data.is_some_and(|(low, high)| low == 0.0 && high > 0.0) {
            scale.low = 0.0;
        }
        scale
    }
}

/// Widens the ranges to what a panel shows.
fn add_series(axes: &Axes, place: &str, x: &mut Range, y: &mut Range) -> Result<()> {
    for (name, range) in [("xlim", &*x), ("ylim", &*y)] {
        if range.log && range.limits.is_some_and(|limits| limits.0 < LOG_SMALLEST) {
            return Err(problem(format!("{place}{name} of a logarithmic axis: give values above 0")));
        }
    }
    for series in &axes.series {
        if !add_kind(&series.kind, x, y) {
            let label = &series.label;
            let above = if x.log || y.log { " above 0, as a logarithmic axis needs," } else { "" };
            return Err(problem(format!("{place}'{label}': no value{above} is finite and within ±1e300")));
        }
    }
    Ok(())
}

/// Widens the ranges to one series, and returns whether anything of it can be shown.
fn add_kind(kind: &Kind, x: &mut Range, y: &mut Range) -> bool {
    if let Kind::Rules { vertical, at, ends } = kind {
        return if *vertical { add_rules(at, *ends, x, y) } else { add_rules(at, *ends, y, x) };
    }
    let mut found = false;
    let mut add = |at: f64, value: f64| {
        if x.shows(at) && y.shows(value) {
            found = true;
            x.add(at);
            y.add(value);
        }
    };
    match kind {
        Kind::Line { x, y } | Kind::Points { x, y } => x.iter().zip(y).for_each(|(&x, &y)| add(x, y)),
        Kind::ErrorBars { x, y, error } => {
            for (nth, &x) in x.iter().enumerate() {
                [0.0, -error[nth], error[nth]].into_iter().for_each(|error| add(x, y[nth] + error));
            }
        }
        Kind::Band { x, low, high } => {
            x.iter().zip(low).for_each(|(&x, &y)| add(x, y));
            x.iter().zip(high).for_each(|(&x, &y)| add(x, y));
        }
        Kind::Histogram { edges, counts } => {
            for (nth, &count) in counts.iter().enumerate() {
                [edges[nth], edges[nth + 1]].into_iter().for_each(|edge| add(edge, count));
            }
            add(edges[0], 0.0);
            y.on_zero = true;
        }
        Kind::Rules { .. } | Kind::Text { .. } | Kind::Custom(_) => found = true,
    }
    found
}

/// Lines across one axis and, between their ends, along another one.
fn add_rules(at: &[f64], ends: Option<(f64, f64)>, across: &mut Range, along: &mut Range) -> bool {
    if ends.is_some_and(|(low, high)| !along.shows(low) || !along.shows(high)) {
        return at.is_empty();
    }
    let shown: Vec<f64> = at.iter().copied().filter(|at| across.shows(*at)).collect();
    shown.iter().for_each(|at| across.add(*at));
    if let (Some((low, high)), false) = (ends, shown.is_empty()) {
        along.add(low);
        along.add(high);
    }
    at.is_empty() || !shown.is_empty()
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
fn spread(length: f64, margins: &[Margins]) -> (Vec<f64>, f64) {
    let taken: f64 = margins.iter().map(|margin| margin.before + margin.after).sum();
    let gaps = BETWEEN * (margins.len() - 1) as f64;
    let size = ((length - 2.0 * EDGE - gaps - taken) / margins.len() as f64).floor();
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
        x.set_ticks(size.0, Direction::X, font);
        y.set_ticks(size.1, Direction::Y, font);
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

    /// Where the title stands: the middle of its lower end.
    pub(super) fn title_place(&self) -> ((f64, f64), Pos) {
        ((self.corner.0 + self.size.0 / 2.0, self.corner.1 - PAD), Pos::new(HPos::Center, VPos::Bottom))
    }
}
