//! Series: what they reach over, and how plotters draws them.

use std::error::Error as StdError;

use plotters::prelude::{Circle, Color, EmptyElement, PathElement, Polygon, Rectangle};
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::axes::Chart;
use super::layout::{PAD, Panel};
use super::recorder::{Area, PX, units};
use super::scale::Span;
use super::style::{Look, MARKER_RADIUS};
use super::text::{TEXT, style, width, wrap};

/// What [`Axes::draw`](super::Axes::draw) calls.
pub(super) type DrawChart = dyn Fn(&mut Chart) -> Drawn;

/// What drawing on a chart returns.
pub(super) type Drawn = Result<(), Box<dyn StdError>>;

/// What one call of `plot`, `scatter`, ... adds to a panel: one or more values of y for each value of x. A text, and what
/// plotters draws itself, have none.
pub(super) struct Series {
    pub(super) label: String,
    pub(super) look: Look,
    pub(super) kind: Kind,
    pub(super) x: Vec<f64>,
    pub(super) y: Vec<Vec<f64>>,
}

pub(super) enum Kind {
    Line,
    Points,
    /// Points, then the lower and the upper ends of their bars.
    ErrorBars,
    /// Over the edges of the bins: the counts of the bins that begin there, then of those that end there.
    Histogram,
    Band,
    /// Straight lines across one axis at x, along the other one between two values. Infinite ones are the panel's edges.
    Rules {
        vertical: bool,
    },
    Text((f64, f64), String),
    Custom(Box<DrawChart>),
}

impl Series {
    /// Widens the ranges of the axes to the series, and returns whether anything of it can be shown.
    pub(super) fn widen(&self, x: &mut Span, y: &mut Span) -> bool {
        let across = matches!(self.kind, Kind::Rules { .. });
        let (x, y) = if matches!(self.kind, Kind::Rules { vertical: false }) { (y, x) } else { (x, y) };
        let mut found = self.x.is_empty();
        for curve in &self.y {
            for (&at, &value) in self.x.iter().zip(curve) {
                if x.shows(at) && (across || y.shows(value)) {
                    found = true;
                    x.add(at);
                    y.add(value);
                }
            }
        }
        y.on_zero |= matches!(self.kind, Kind::Histogram);
        found
    }

    pub(super) fn draw(&self, chart: &mut Chart, panel: &Panel) -> Drawn {
        let area = chart.plotting_area().strip_coord_spec();
        match &self.kind {
            Kind::Line => self.draw_lines(&area, panel, &self.x, &self.y[0])?,
            Kind::Points => {}
            Kind::ErrorBars => self.draw_error_bars(&area, panel)?,
            Kind::Histogram => self.draw_bars(&area, panel)?,
            Kind::Band => {
                for part in panel.band(&self.x, &self.y[0], &self.y[1]) {
                    area.draw(&Polygon::new(panel.units(part), self.look.fill()))?;
                }
            }
            Kind::Rules { vertical } => self.draw_rules(&area, panel, *vertical)?,
            Kind::Text(at, text) => self.draw_text(&area, panel, *at, text)?,
            Kind::Custom(draw) => draw(chart).map_err(|error| format!("draw(): {error}"))?,
        }
        if self.look.markers {
            for nth in panel.markers(&self.x, &self.y[0]) {
                let place = panel.unit(panel.place((self.x[nth], self.y[0][nth])));
                area.draw(&Circle::new(place, units(MARKER_RADIUS), self.look.colour.filled()))?;
            }
        }
        Ok(())
    }

    fn draw_lines(&self, area: &Area, panel: &Panel, x: &[f64], y: &[f64]) -> Drawn {
        let look = &self.look;
        for line in panel.lines(x, y, matches!(self.kind, Kind::Rules { .. })) {
            match &line[..] {
                [dot] => area.draw(&Circle::new(panel.unit(*dot), units(look.width), look.colour.filled()))?,
                _ => area.draw(&look.line(panel.units(line)))?,
            }
        }
        Ok(())
    }

    fn draw_error_bars(&self, area: &Area, panel: &Panel) -> Drawn {
        let (cap, style) = (units(MARKER_RADIUS), self.look.stroke());
        for nth in panel.markers(&self.x, &self.y[0]).into_iter().filter(|&nth| self.y[1][nth].is_finite()) {
            let ends = [self.y[1][nth], self.y[2][nth]];
            // A logarithmic axis has no place for 0 and below.
            let place = |end: f64| panel.unit(panel.place((self.x[nth], end.max(panel.y.low))));
            area.draw(&PathElement::new(ends.map(place), style))?;
            for end in ends.into_iter().filter(|end| panel.y.contains(*end)) {
                area.draw(&(EmptyElement::at(place(end)) + PathElement::new([(-cap, 0), (cap, 0)], style)))?;
            }
        }
        Ok(())
    }

    fn draw_bars(&self, area: &Area, panel: &Panel) -> Drawn {
        let base = if panel.y.log { panel.y.low } else { 0.0 };
        for (&count, edges) in self.y[0].iter().zip(self.x.windows(2)) {
            let beside = edges[1] <= panel.x.low || edges[0] >= panel.x.high;
            if count > panel.y.low.max(0.0) && !beside {
                let corners = [(edges[0], base), (edges[1], count)].map(|corner| panel.unit(panel.place(corner)));
                area.draw(&Rectangle::new(corners, self.look.fill()))?;
                area.draw(&Rectangle::new(corners, self.look.colour.stroke_width(PX)))?;
            }
        }
        Ok(())
    }

    fn draw_rules(&self, area: &Area, panel: &Panel, vertical: bool) -> Drawn {
        let along = if vertical { &panel.y } else { &panel.x };
        let ends = self.y[0].iter().zip(&self.y[1]).map(|(low, high)| [*low, *high, f64::NAN]);
        let places =
            self.x.iter().zip(ends).flat_map(|(&at, ends)| ends.map(|end| (at, end.clamp(along.low, along.high))));
        let (at, ends): (Vec<f64>, Vec<f64>) = places.unzip();
        let (x, y) = if vertical { (at, ends) } else { (ends, at) };
        self.draw_lines(area, panel, &x, &y)
    }

    fn draw_text(&self, area: &Area, panel: &Panel, at: (f64, f64), text: &str) -> Drawn {
        let (x, y) = panel.place(at);
        if !panel.shows((x, y)) {
            return Ok(());
        }
        let text = wrap(text, TEXT, panel.size.0 - 2.0 * PAD);
        let place = panel.unit((x.min(panel.size.0 - width(&text, TEXT) - PAD), y));
        let style = style(TEXT).color(&self.look.colour).pos(Pos::new(HPos::Left, VPos::Bottom));
        Ok(area.draw_text(&text, &style, place)?)
    }
}
