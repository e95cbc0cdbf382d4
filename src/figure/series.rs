//! Series: what they reach over, and how plotters draws them.

use std::collections::HashSet;
use std::error::Error as StdError;

use plotters::element::{Circle, EmptyElement, PathElement, Polygon, Rectangle, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, ShapeStyle};

use super::axes::Chart;
use super::layout::PAD;
use super::recorder::{PX, units};
use super::scale::Span;
use super::style::{Look, MARKER_RADIUS};
use super::text::{Font, TEXT, style};
use super::visible::{Values, View};

/// What [`Axes::draw`](super::Axes::draw) calls.
pub(super) type DrawChart = dyn Fn(&mut Chart) -> Drawn;

/// What drawing on a chart returns.
pub(super) type Drawn = Result<(), Box<dyn StdError>>;

/// What one call of `plot`, `scatter`, ... adds to a panel.
pub(super) struct Series {
    pub(super) label: String,
    pub(super) look: Look,
    pub(super) kind: Kind,
}

/// A histogram has one edge more than counts. Rules are straight lines across one axis at `at`, and along the other one
/// between `ends` or over the whole panel.
pub(super) enum Kind {
    Line { x: Vec<f64>, y: Vec<f64> },
    Points { x: Vec<f64>, y: Vec<f64> },
    ErrorBars { x: Vec<f64>, y: Vec<f64>, error: Vec<f64> },
    Histogram { edges: Vec<f64>, counts: Vec<f64> },
    Band { x: Vec<f64>, low: Vec<f64>, high: Vec<f64> },
    Rules { vertical: bool, at: Vec<f64>, ends: Option<(f64, f64)> },
    Text { x: f64, y: f64, text: String },
    Custom(Box<DrawChart>),
}

impl Series {
    /// Widens the ranges of the axes to the series, and returns whether anything of it can be shown.
    pub(super) fn widen(&self, x: &mut Span, y: &mut Span) -> bool {
        if let Kind::Rules { vertical, at, ends } = &self.kind {
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
        match &self.kind {
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

    pub(super) fn draw(&self, chart: &mut Chart, view: &View) -> Drawn {
        let look = &self.look;
        match &self.kind {
            Kind::Line { x, y } => draw_line(chart, view, look, x, y),
            Kind::Points { x, y } => draw_marks(chart, view, look, x, y),
            Kind::ErrorBars { x, y, error } => draw_error_bars(chart, view, look, (x, y), error),
            Kind::Histogram { edges, counts } => draw_bars(chart, view, look, edges, counts),
            Kind::Band { x, low, high } => {
                let parts = view.band(x, low, high).into_iter();
                chart.draw_series(parts.map(|part| Polygon::new(part, fill(look))))?;
                Ok(())
            }
            Kind::Rules { vertical, at, ends } => draw_rules(chart, view, look, (*vertical, at, *ends)),
            Kind::Text { x, y, text } => draw_text(chart, view, look, (*x, *y), text),
            Kind::Custom(draw) => draw(chart).map_err(|error| format!("draw(): {error}").into()),
        }
    }
}

/// Lines across one axis and, between their ends, along another one.
fn add_rules(at: &[f64], ends: Option<(f64, f64)>, across: &mut Span, along: &mut Span) -> bool {
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

/// The look of areas.
pub(super) fn fill(look: &Look) -> ShapeStyle {
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
    let (cap, style) = (units(MARKER_RADIUS), look.stroke());
    // A logarithmic axis has no place for 0 and below.
    let bottom = if view.y.log { view.y.low } else { f64::NEG_INFINITY };
    for nth in view.marks(x, y).into_iter().filter(|&nth| error[nth].is_finite()) {
        let (low, high) = ((y[nth] - error[nth].abs()).max(bottom), y[nth] + error[nth].abs());
        chart.draw_series([PathElement::new([(x[nth], low), (x[nth], high)], style)])?;
        for end in [low, high].into_iter().filter(|end| view.y.contains(*end)) {
            let across = PathElement::new([(-cap, 0), (cap, 0)], style);
            chart.draw_series([EmptyElement::at((x[nth], end)) + across])?;
        }
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
