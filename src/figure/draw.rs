//! Lays a figure out and draws it.

use plotters::style::RGBColor;

use super::svg::{Anchor, BLACK, Canvas, Shape, WHITE, picture};
use super::ticks::{self, Direction, Scale, Tick};
use super::trace::{self, Frame};
use super::{Axes, Figure, Kind, Share, Svg, problem, text};
use crate::Result;

// Lengths are in pixels, 96 to the inch: matplotlib's defaults, rounded so that axes stand on whole pixels.
const PX_PER_INCH: f64 = 96.0;
const TEXT: f64 = 13.0;
const TITLE: f64 = 16.0;
const LINE_HEIGHT: f64 = 1.25;
const AXIS_WIDTH: f64 = 1.0;
const LINE_WIDTH: f64 = 2.0;
const MARKER_RADIUS: f64 = 4.0;
const TICK: f64 = 5.0;
const MINOR_TICK: f64 = 3.0;
const PAD: f64 = 4.0;
/// Around the figure, and between its panels.
const EDGE: f64 = 8.0;
const BETWEEN: f64 = 12.0;

const MAX_BYTES: usize = 500_000;

pub(super) fn draw(figure: &Figure) -> Result<Svg> {
    finish(&Layout::new(&[("", figure)])?, figure)
}

/// One of the figures of a layout as a picture.
pub(super) fn finish(layout: &Layout, figure: &Figure) -> Result<Svg> {
    fitting(|column| {
        let mut traces = layout.traces(figure, column);
        let surroundings = layout.surroundings(&traces)?;
        traces.push(surroundings);
        let svg = picture(layout.size.0, layout.size.1, traces.concat())?;
        let bytes = svg.as_str().len();
        Ok((svg, bytes))
    })
}

/// What `draw` makes with the finest detail for which its text, of the length that it tells, is short enough. It is
/// given the width of a column in pixels: of what falls into one, [`trace`] keeps the extremes.
pub(super) fn fitting<T>(draw: impl Fn(f64) -> Result<(T, usize)>) -> Result<T> {
    let mut column = 0.5;
    while column <= 16.0 {
        let (drawn, bytes) = draw(column)?;
        if bytes <= MAX_BYTES {
            return Ok(drawn);
        }
        column *= if bytes > 3 * MAX_BYTES { 2.0 } else { 1.25 };
    }
    Err(problem("the picture has more than 500 kB; plot fewer series or fewer points"))
}

/// Where everything is in a figure, or in several that differ in their data only.
pub(super) struct Layout<'a> {
    /// Width and height in pixels.
    pub(super) size: (f64, f64),
    panels: Vec<Panel<'a>>,
}

impl<'a> Layout<'a> {
    /// The layout in which all of the figures fit, each with the name that it has in messages. Titles and labels are
    /// those of the first one.
    pub(super) fn new(figures: &[(&str, &'a Figure)]) -> Result<Self> {
        for &(name, figure) in figures {
            if let Some(message) = &figure.problem {
                return Err(problem(format!("{name}{message}")));
            }
            for (nth, axes) in figure.panels.iter().enumerate() {
                if let Some(message) = &axes.problem {
                    return Err(problem(format!("{name}{}{message}", place(figure, nth))));
                }
            }
        }
        let figure = figures[0].1;
        let size = (figure.size.0 * PX_PER_INCH, figure.size.1 * PX_PER_INCH);
        Ok(Layout { size, panels: arrange(figure, &scales(figures)?)? })
    }

    /// The data of one of the figures, panel by panel.
    pub(super) fn traces(&self, figure: &Figure, column: f64) -> Vec<Vec<Shape>> {
        let panels = self.panels.iter().zip(&figure.panels);
        panels
            .map(|(panel, axes)| {
                let mut canvas = Canvas::default();
                draw_series(&mut canvas, panel, axes, column);
                canvas.shapes
            })
            .collect()
    }

    /// Axes, texts and legends, to be put over `traces`, which the legends avoid.
    pub(super) fn surroundings(&self, traces: &[Vec<Shape>]) -> Result<Vec<Shape>> {
        let mut canvas = Canvas::default();
        for (nth, panel) in self.panels.iter().enumerate() {
            canvas.outline(panel.frame, BLACK, AXIS_WIDTH);
            draw_ticks(&mut canvas, panel);
            draw_texts(&mut canvas, panel);
            if panel.axes.legend {
                let of_panel = traces.iter().skip(nth).step_by(self.panels.len());
                draw_legend(&mut canvas, panel, &of_panel.flatten().collect::<Vec<_>>())?;
            }
        }
        Ok(canvas.shapes)
    }
}

/// Names a panel in a message; the only panel of a figure needs no name.
fn place(figure: &Figure, nth: usize) -> String {
    if figure.panels.len() == 1 {
        return String::new();
    }
    format!("axes({}, {}): ", nth / figure.columns, nth % figure.columns)
}

/// Sums and differences of such values, and of their margins, stay finite.
pub(super) fn drawable(value: f64) -> bool {
    value.abs() <= 1e300
}

/// The x and y scale of every panel, for all of the figures, which have the same panels.
fn scales(figures: &[(&str, &Figure)]) -> Result<Vec<(Scale, Scale)>> {
    let first = figures[0].1;
    let group_x = |nth: usize| if first.share == Share::None { nth } else { 0 };
    let group_y = |nth: usize| if first.share == Share::XAllYColumn { nth % first.columns } else { nth };
    let mut x = vec![Range::default(); first.panels.len()];
    let mut y = vec![Range::default(); first.panels.len()];
    for (nth, axes) in figures.iter().flat_map(|(_, figure)| figure.panels.iter().enumerate()) {
        x[group_x(nth)].limits = axes.xlim.or(x[group_x(nth)].limits);
        y[group_y(nth)].limits = axes.ylim.or(y[group_y(nth)].limits);
        y[group_y(nth)].log |= axes.log;
    }
    for &(name, figure) in figures {
        for (nth, axes) in figure.panels.iter().enumerate() {
            let place = format!("{name}{}", place(figure, nth));
            add_series(axes, &place, &mut x[group_x(nth)], &mut y[group_y(nth)])?;
        }
    }
    Ok((0..first.panels.len()).map(|nth| (x[group_x(nth)].scale(), y[group_y(nth)].scale())).collect())
}

/// Widens the ranges to what a panel shows.
fn add_series(axes: &Axes, place: &str, x: &mut Range, y: &mut Range) -> Result<()> {
    let log = y.log;
    if log && y.limits.is_some_and(|limits| limits.0 < ticks::LOG_SMALLEST) {
        return Err(problem(format!("{place}ylim of a logarithmic axis: give values above 0")));
    }
    let shown = |value: f64| drawable(value) && (!log || value >= ticks::LOG_SMALLEST);
    for series in &axes.series {
        let mut found = false;
        match &series.kind {
            Kind::Line { x: xs, y: ys, .. } => {
                for (&at, &value) in xs.iter().zip(ys) {
                    if drawable(at) && shown(value) {
                        found = true;
                        x.add(at);
                        y.add(value);
                    }
                }
            }
            Kind::Vlines { x: xs, low, high } => {
                found = xs.is_empty();
                for &at in xs.iter().filter(|at| drawable(**at) && shown(*low) && shown(*high)) {
                    found = true;
                    x.add(at);
                    y.add(*low);
                    y.add(*high);
                }
            }
        }
        if !found {
            let label = &series.label;
            let above = if log { " above 0, as a logarithmic axis needs," } else { "" };
            return Err(problem(format!("{place}'{label}': no value{above} is finite and within ±1e300")));
        }
    }
    Ok(())
}

/// What the panels that share an axis need of it.
#[derive(Clone, Default)]
struct Range {
    data: Option<(f64, f64)>,
    limits: Option<(f64, f64)>,
    log: bool,
}

impl Range {
    fn add(&mut self, value: f64) {
        let (low, high) = self.data.unwrap_or((value, value));
        self.data = Some((low.min(value), high.max(value)));
    }

    fn scale(&self) -> Scale {
        if let Some((low, high)) = self.limits {
            return Scale { low, high, log: self.log };
        }
        match (self.data, self.log) {
            (Some((low, high)), log) => ticks::around(low, high, log),
            (None, true) => Scale { low: 0.1, high: 1.0, log: true },
            (None, false) => Scale { low: 0.0, high: 1.0, log: false },
        }
    }
}

/// A panel with everything about it decided.
struct Panel<'a> {
    axes: &'a Axes,
    frame: Frame,
    x: Scale,
    y: Scale,
    x_ticks: Vec<Tick>,
    y_ticks: Vec<Tick>,
    x_labels: bool,
    /// The room left of the ticks for the y labels of the column.
    y_label_width: f64,
    title: Vec<String>,
    xlabel: Vec<String>,
    ylabel: Vec<String>,
}

/// The room that a column (left, right) or a row (top, bottom) of panels needs around its frames.
#[derive(Clone, Copy, PartialEq)]
struct Margins {
    before: f64,
    after: f64,
}

fn arrange<'a>(figure: &'a Figure, scales: &[(Scale, Scale)]) -> Result<Vec<Panel<'a>>> {
    let size = (figure.size.0 * PX_PER_INCH, figure.size.1 * PX_PER_INCH);
    let mut columns = vec![Margins { before: 0.0, after: 0.0 }; figure.columns];
    let mut rows = vec![Margins { before: 0.0, after: 0.0 }; figure.rows];
    let mut label_widths = vec![0.0_f64; figure.columns];
    // Margins follow from the labels, labels from the panels' sizes, those from the margins. Margins only ever grow, so
    // this comes to an end.
    loop {
        let (lefts, width) = spread(size.0, &columns);
        let (tops, height) = spread(size.1, &rows);
        if width < 40.0 || height < 30.0 {
            return Err(problem(format!(
                "panels of {} x {} px are too small; give a larger figsize, fewer panels or shorter labels",
                width.max(0.0),
                height.max(0.0)
            )));
        }
        let mut panels = Vec::new();
        let before = (columns.clone(), rows.clone(), label_widths.clone());
        for (nth, axes) in figure.panels.iter().enumerate() {
            let (row, column) = (nth / figure.columns, nth % figure.columns);
            let (left, top) = (lefts[column], tops[row]);
            let panel = Panel {
                axes,
                frame: Frame { left, top, right: left + width, bottom: top + height },
                x: scales[nth].0,
                y: scales[nth].1,
                x_ticks: ticks::ticks(&scales[nth].0, width, Direction::X, TEXT),
                y_ticks: ticks::ticks(&scales[nth].1, height, Direction::Y, TEXT),
                x_labels: figure.share == Share::None || row + 1 == figure.rows,
                y_label_width: label_widths[column],
                title: text::wrap(&axes.title, TITLE, width),
                xlabel: text::wrap(&axes.xlabel, TEXT, width),
                ylabel: text::wrap(&axes.ylabel, TEXT, height),
            };
            let widest = panel.y_ticks.iter().map(|tick| text::width(&tick.label, TEXT)).fold(0.0, f64::max);
            label_widths[column] = label_widths[column].max(widest.ceil());
            let (across, down) = panel.margins(label_widths[column]);
            columns[column].grow(across);
            rows[row].grow(down);
            panels.push(panel);
        }
        if before == (columns.clone(), rows.clone(), label_widths.clone()) {
            return Ok(panels);
        }
    }
}

/// Where the frames begin, and the size that all of them have, along one side of the figure.
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

impl Margins {
    fn grow(&mut self, needed: Margins) {
        self.before = self.before.max(needed.before.ceil());
        self.after = self.after.max(needed.after.ceil());
    }
}

impl Panel<'_> {
    /// The room needed left and right, above and below the frame.
    fn margins(&self, y_label_width: f64) -> (Margins, Margins) {
        let mut across = Margins { before: TICK + PAD + y_label_width, after: 1.0 };
        if !self.ylabel.is_empty() {
            across.before += 1.5 * PAD + self.ylabel.len() as f64 * TEXT * LINE_HEIGHT;
        }
        let mut down = Margins { before: TEXT / 2.0, after: TEXT / 2.0 };
        if !self.title.is_empty() {
            down.before = 2.0 * PAD + self.title.len() as f64 * TITLE * LINE_HEIGHT;
        }
        if self.x_labels {
            down.after = TICK + PAD + TEXT * LINE_HEIGHT;
            for tick in &self.x_ticks {
                let half = text::width(&tick.label, TEXT) / 2.0;
                let at = self.x.fraction(tick.value) * self.frame.width();
                across.before = across.before.max(half - at);
                across.after = across.after.max(half + at - self.frame.width());
            }
        }
        if !self.xlabel.is_empty() {
            down.after = down.after.max(TICK) + PAD + self.xlabel.len() as f64 * TEXT * LINE_HEIGHT;
        }
        (across, down)
    }

    fn x_px(&self, value: f64) -> f64 {
        // Far outside is far enough: larger numbers would only lose digits where lines are cut.
        self.frame.left + self.x.fraction(value).clamp(-1e6, 1e6) * self.frame.width()
    }

    fn y_px(&self, value: f64) -> f64 {
        self.frame.bottom - self.y.fraction(value).clamp(-1e6, 1e6) * self.frame.height()
    }

    fn points<'a>(&'a self, x: &'a [f64], y: &'a [f64]) -> impl Iterator<Item = (f64, f64)> + Clone + 'a {
        x.iter().zip(y).map(|(&x, &y)| {
            let shown = drawable(x) && drawable(y);
            if shown { (self.x_px(x), self.y_px(y)) } else { (f64::NAN, f64::NAN) }
        })
    }
}

fn draw_series(canvas: &mut Canvas, panel: &Panel, axes: &Axes, column: f64) {
    let frame = panel.frame;
    for series in &axes.series {
        match &series.kind {
            Kind::Line { x, y, markers } => {
                for line in trace::polylines(panel.points(x, y), &frame, column) {
                    match line[..] {
                        [alone] => canvas.disc(alone, LINE_WIDTH, series.colour),
                        _ => canvas.line(&line, series.colour, LINE_WIDTH),
                    }
                }
                if *markers {
                    for mark in trace::marks(panel.points(x, y), &frame, column) {
                        canvas.disc(mark, MARKER_RADIUS, series.colour);
                    }
                }
            }
            Kind::Vlines { x, low, high } => {
                let mut at: Vec<f64> = x.iter().filter(|x| drawable(**x)).map(|x| panel.x_px(*x)).collect();
                at.sort_by(f64::total_cmp);
                at.dedup_by_key(|x| (*x / column).floor());
                for x in at {
                    if let Some((from, to)) = frame.clip((x, panel.y_px(*low)), (x, panel.y_px(*high))) {
                        canvas.line(&[from, to], series.colour, LINE_WIDTH);
                    }
                }
            }
        }
    }
}

fn draw_ticks(canvas: &mut Canvas, panel: &Panel) {
    let Frame { left, bottom, .. } = panel.frame;
    let length = |tick: &Tick| if tick.label.is_empty() { MINOR_TICK } else { TICK };
    let sharp = |px: f64| (px - 0.5).round() + 0.5;
    for tick in &panel.x_ticks {
        let x = sharp(panel.x_px(tick.value));
        canvas.line(&[(x, bottom), (x, bottom + length(tick))], BLACK, AXIS_WIDTH);
        if panel.x_labels && !tick.label.is_empty() {
            canvas.text(&tick.label, TEXT, (x, bottom + TICK + PAD + 0.8 * TEXT), Anchor::Middle);
        }
    }
    for tick in &panel.y_ticks {
        let y = sharp(panel.y_px(tick.value));
        canvas.line(&[(left - length(tick), y), (left, y)], BLACK, AXIS_WIDTH);
        if !tick.label.is_empty() {
            // Digits are 0.73 of the font size high.
            canvas.text(&tick.label, TEXT, (left - TICK - PAD, y + 0.365 * TEXT), Anchor::End);
        }
    }
}

fn draw_texts(canvas: &mut Canvas, panel: &Panel) {
    let Frame { left, top, right, bottom } = panel.frame;
    let middle = ((left + right) / 2.0, (top + bottom) / 2.0);
    for (nth, line) in panel.title.iter().rev().enumerate() {
        let baseline = top - 2.0 * PAD - nth as f64 * TITLE * LINE_HEIGHT;
        canvas.text(line, TITLE, (middle.0, baseline), Anchor::Middle);
    }
    let labels = if panel.x_labels { PAD + TEXT * LINE_HEIGHT } else { 0.0 };
    for (nth, line) in panel.xlabel.iter().enumerate() {
        let baseline = bottom + TICK + labels + PAD + (nth as f64 * LINE_HEIGHT + 0.8) * TEXT;
        canvas.text(line, TEXT, (middle.0, baseline), Anchor::Middle);
    }
    for (nth, line) in panel.ylabel.iter().rev().enumerate() {
        let baseline = left - TICK - PAD - panel.y_label_width - 1.5 * PAD - (nth as f64 * LINE_HEIGHT + 0.25) * TEXT;
        canvas.text_upwards(line, TEXT, (baseline, middle.1));
    }
}

fn draw_legend(canvas: &mut Canvas, panel: &Panel, drawn: &[&Shape]) -> Result<()> {
    const HANDLE: f64 = 26.0;
    const INSIDE: f64 = 6.0;
    const GREY: RGBColor = RGBColor(0xcc, 0xcc, 0xcc);
    let entries: Vec<_> = panel
        .axes
        .series
        .iter()
        .map(|series| (series, text::wrap(&series.label, TEXT, 0.6 * panel.frame.width())))
        .filter(|(_, lines)| !lines.is_empty())
        .collect();
    if entries.is_empty() {
        return Ok(());
    }
    let lines = entries.iter().flat_map(|(_, lines)| lines);
    let widest = lines.clone().map(|line| text::width(line, TEXT)).fold(0.0, f64::max);
    let row = 1.45 * TEXT;
    let width = (INSIDE + HANDLE + INSIDE + widest + INSIDE).ceil();
    let height = (2.0 * INSIDE - 0.3 * TEXT + row * lines.count() as f64).ceil();
    let Some(area) = best_place(&panel.frame, width, height, drawn) else {
        return Err(problem(format!("a legend of {} entries does not fit; give a larger figsize", entries.len())));
    };
    canvas.fill(area, WHITE, 0.8);
    canvas.outline(area, GREY, AXIS_WIDTH);
    let mut middle = area.top + INSIDE - 0.15 * TEXT + row / 2.0;
    for (series, lines) in entries {
        let handle = (area.left + INSIDE, area.left + INSIDE + HANDLE);
        canvas.line(&[(handle.0, middle), (handle.1, middle)], series.colour, LINE_WIDTH);
        if matches!(series.kind, Kind::Line { markers: true, .. }) {
            canvas.disc(((handle.0 + handle.1) / 2.0, middle), MARKER_RADIUS, series.colour);
        }
        for line in lines {
            canvas.text(&line, TEXT, (handle.1 + INSIDE, middle + 0.365 * TEXT), Anchor::Start);
            middle += row;
        }
    }
    Ok(())
}

/// The place for a box, of some along the frame's sides, where it covers the fewest drawn pieces of line.
fn best_place(frame: &Frame, width: f64, height: f64, drawn: &[&Shape]) -> Option<Frame> {
    const GAP: f64 = 6.0;
    if width + 2.0 * GAP > frame.width() || height + 2.0 * GAP > frame.height() {
        return None;
    }
    let across = |part: f64| (frame.left + GAP + part * (frame.width() - 2.0 * GAP - width)).round() + 0.5;
    let down = |part: f64| (frame.top + GAP + part * (frame.height() - 2.0 * GAP - height)).round() + 0.5;
    // matplotlib's order, and four places more: of equally good ones the first is taken.
    let corners = [(1.0, 0.0), (0.0, 0.0), (0.0, 1.0), (1.0, 1.0)];
    let middles = [(0.0, 0.5), (1.0, 0.5), (0.5, 1.0), (0.5, 0.0), (0.5, 0.5)];
    let quarters = [(0.25, 1.0), (0.75, 1.0), (0.25, 0.0), (0.75, 0.0)];
    let places = corners.into_iter().chain(middles).chain(quarters);
    let areas = places.map(|(x, y)| {
        let (left, top) = (across(x), down(y));
        Frame { left, top, right: left + width, bottom: top + height }
    });
    let covered = |area: &Frame| -> usize {
        let near = Frame {
            left: area.left - MARKER_RADIUS,
            top: area.top - MARKER_RADIUS,
            right: area.right + MARKER_RADIUS,
            bottom: area.bottom + MARKER_RADIUS,
        };
        let covers = |shape: &&Shape| match shape {
            Shape::Line { points, .. } => points.windows(2).filter(|p| near.clip(p[0], p[1]).is_some()).count(),
            Shape::Disc { centre, .. } => usize::from(near.contains(*centre)),
            _ => 0,
        };
        drawn.iter().map(covers).sum()
    };
    areas.min_by_key(covered)
}
