//! Series: what they reach over, and how plotters draws them.

use std::collections::HashSet;
use std::error::Error as StdError;

use plotters::element::{Circle, EmptyElement, PathElement, Polygon, Rectangle};
use plotters::style::Color;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::axes::Chart;
use super::layout::PAD;
use super::recorder::{Area, PX, units};
use super::scale::Span;
use super::style::{Look, MARKER_RADIUS};
use super::text::{Font, TEXT, style};
use super::visible::{Values, View, clip};

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
        let area = chart.plotting_area().strip_coord_spec();
        let look = &self.look;
        match &self.kind {
            Kind::Line { x, y } => draw_line(&area, view, look, x, y),
            Kind::Points { x, y } => draw_markers(&area, view, look, x, y),
            Kind::ErrorBars { x, y, error } => draw_error_bars(&area, view, look, (x, y), error),
            Kind::Histogram { edges, counts } => draw_bars(&area, view, look, edges, counts),
            Kind::Band { x, low, high } => {
                for part in view.band(x, low, high) {
                    area.draw(&Polygon::new(view.units(part), look.fill()))?;
                }
                Ok(())
            }
            Kind::Rules { vertical, at, ends } => draw_rules(&area, view, look, (*vertical, at, *ends)),
            Kind::Text { x, y, text } => draw_text(&area, view, look, (*x, *y), text),
            Kind::Custom(draw) => draw(chart).map_err(|error| format!("draw(): {error}").into()),
        }
    }
}

/// Lines across one axis and, between their ends, along another one.
fn add_rules(at: &[f64], ends: Option<(f64, f64)>, across: &mut Span, along: &mut Span) -> bool {
    if ends.is_some_and(|(low, high)| !along.shows(low) || !along.shows(high)) {
        return at.is_empty();
    }
    let mut found = at.is_empty();
    for &at in at {
        if across.shows(at) {
            found = true;
            across.add(at);
            ends.into_iter().flat_map(|(low, high)| [low, high]).for_each(|end| along.add(end));
        }
    }
    found
}

fn draw_line(area: &Area, view: &View, look: &Look, x: &[f64], y: &[f64]) -> Drawn {
    for line in view.lines(x, y) {
        match &line[..] {
            [dot] => area.draw(&Circle::new(view.unit(*dot), units(look.width), look.colour.filled()))?,
            _ => area.draw(&look.line(view.units(line)))?,
        }
    }
    if look.markers { draw_markers(area, view, look, x, y) } else { Ok(()) }
}

fn draw_markers(area: &Area, view: &View, look: &Look, x: &[f64], y: &[f64]) -> Drawn {
    for nth in view.markers(x, y) {
        let place = view.unit(view.place((x[nth], y[nth])));
        area.draw(&Circle::new(place, units(MARKER_RADIUS), look.colour.filled()))?;
    }
    Ok(())
}

fn draw_error_bars(area: &Area, view: &View, look: &Look, (x, y): (&[f64], &[f64]), error: &[f64]) -> Drawn {
    let (cap, style) = (units(MARKER_RADIUS), look.stroke());
    // A logarithmic axis has no place for 0 and below.
    let bottom = if view.y.log { view.y.low } else { f64::NEG_INFINITY };
    for nth in view.markers(x, y).into_iter().filter(|&nth| error[nth].is_finite()) {
        let ends = [(y[nth] - error[nth].abs()).max(bottom), y[nth] + error[nth].abs()];
        let places = ends.map(|end| view.place((x[nth], end)));
        area.draw(&PathElement::new(places.map(|place| view.unit(place)), style))?;
        for place in places.into_iter().filter(|place| view.shows(*place)) {
            let across = PathElement::new([(-cap, 0), (cap, 0)], style);
            area.draw(&(EmptyElement::at(view.unit(place)) + across))?;
        }
    }
    draw_markers(area, view, look, x, y)
}

fn draw_bars(area: &Area, view: &View, look: &Look, edges: &[f64], counts: &[f64]) -> Drawn {
    let base = if view.y.log { view.y.low } else { 0.0 };
    for (&count, edges) in counts.iter().zip(edges.windows(2)) {
        let beside = edges[1] <= view.x.low || edges[0] >= view.x.high;
        if count > view.y.low.max(0.0) && !beside {
            let corners = [(edges[0], base), (edges[1], count)].map(|corner| view.unit(view.place(corner)));
            area.draw(&Rectangle::new(corners, look.fill()))?;
            area.draw(&Rectangle::new(corners, look.colour.stroke_width(PX)))?;
        }
    }
    Ok(())
}

fn draw_rules(area: &Area, view: &View, look: &Look, rules: (bool, &[f64], Option<(f64, f64)>)) -> Drawn {
    let (vertical, at, ends) = rules;
    let (across, along) = if vertical { (view.x, view.y) } else { (view.y, view.x) };
    let (low, high) = ends.unwrap_or((along.low, along.high));
    let mut drawn = HashSet::new();
    for &at in at.iter().filter(|at| across.contains(**at)) {
        let place = |along: f64| view.place(if vertical { (at, along) } else { (along, at) });
        if let Some((from, to)) = clip(view.size, place(low), place(high))
            && drawn.insert(view.square(from))
        {
            area.draw(&look.line(vec![view.unit(from), view.unit(to)]))?;
        }
    }
    Ok(())
}

fn draw_text(area: &Area, view: &View, look: &Look, at: Values, text: &str) -> Drawn {
    let (x, y) = view.place(at);
    if !view.shows((x, y)) {
        return Ok(());
    }
    let font = Font::new();
    let text = font.wrap(text, TEXT, view.size.0 - 2.0 * PAD).join("\n");
    let width = text.split('\n').map(|line| font.width(line, TEXT)).fold(0.0, f64::max);
    let place = view.unit((x.min(view.size.0 - width - PAD), y));
    let style = style(TEXT).color(&look.colour).pos(Pos::new(HPos::Left, VPos::Bottom));
    Ok(area.draw_text(&text, &style, place)?)
}
