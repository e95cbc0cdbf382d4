//! One panel of a figure: what is plotted into it, and its texts.

use std::error::Error;
use std::fmt;

use plotters::prelude::{BLACK, Cartesian2d, ChartContext};

use super::recorder::Recorder;
use super::scale::{Scale, drawable};
use super::series::{Kind, Series};
use super::style::{COLOURS, Look, SOLID, color, dash};

/// The chart of a panel, as [`Axes::draw`] gives it: plotters draws on it whatever it can draw.
pub type Chart = ChartContext<'static, Recorder, Cartesian2d<Scale, Scale>>;

/// One panel of a [`Figure`](super::Figure).
///
/// Every method returns the panel, so that calls can be chained. A label that is empty keeps a series out of the
/// legend. Long titles and labels are broken into lines. [`Axes::color`], [`Axes::linestyle`], [`Axes::linewidth`] and
/// [`Axes::markers`] change the series that was added last.
#[derive(Default)]
pub struct Axes {
    pub(super) series: Vec<Series>,
    pub(super) title: String,
    pub(super) xlabel: String,
    pub(super) ylabel: String,
    pub(super) legend: bool,
    pub(super) grid: bool,
    pub(super) log: (bool, bool),
    pub(super) xlim: Option<(f64, f64)>,
    pub(super) ylim: Option<(f64, f64)>,
    pub(super) problem: Option<String>,
}

/// The bins of a histogram: more would be narrower than a pixel.
const MAX_BINS: usize = 1000;

impl Axes {
    /// A line through the points (x, y), in their order: x may run back, as in a phase portrait.
    ///
    /// A value that is not finite leaves a gap.
    pub fn plot(&mut self, x: &[f64], y: &[f64], label: &str) -> &mut Self {
        self.points(label, Kind::Line, x, &[("y", y)])
    }

    /// A line through the values of y, over 0, 1, 2, ...
    ///
    /// ```
    /// use hhnet::figure::Figure;
    /// let mut figure = Figure::new();
    /// figure.axes(0, 0).plot_y(&[-65.0, -63.0, -64.0], "y(t)").xlabel("step").ylabel("Vm (mV)");
    /// figure.to_svg()?;
    /// # Ok::<(), hhnet::Error>(())
    /// ```
    pub fn plot_y(&mut self, y: &[f64], label: &str) -> &mut Self {
        let x: Vec<f64> = (0..y.len()).map(|nth| nth as f64).collect();
        self.plot(&x, y, label)
    }

    /// A line as by [`Axes::plot`], and a logarithmic y axis for the panel and those that share it.
    ///
    /// Values of 0 and below leave gaps.
    pub fn semilogy(&mut self, x: &[f64], y: &[f64], label: &str) -> &mut Self {
        self.log.1 = true;
        self.plot(x, y, label)
    }

    /// A line as by [`Axes::plot`], and a logarithmic x axis for the panel and those that share it.
    ///
    /// ```
    /// use hhnet::figure::Figure;
    /// let frequency_hz = [1.0, 10.0, 100.0, 1000.0];
    /// let mut figure = Figure::new();
    /// figure.axes(0, 0).semilogx(&frequency_hz, &[1.0, 0.9, 0.3, 0.05], "gain").xlabel("f (Hz)");
    /// figure.to_svg()?;
    /// # Ok::<(), hhnet::Error>(())
    /// ```
    pub fn semilogx(&mut self, x: &[f64], y: &[f64], label: &str) -> &mut Self {
        self.log.0 = true;
        self.plot(x, y, label)
    }

    /// A line as by [`Axes::plot`], and logarithmic axes for the panel and those that share them.
    ///
    /// ```
    /// use hhnet::figure::Figure;
    /// let mut figure = Figure::new();
    /// figure.axes(0, 0).loglog(&[1.0, 10.0, 100.0], &[1.0, 0.01, 0.0001], "power").grid();
    /// figure.to_svg()?;
    /// # Ok::<(), hhnet::Error>(())
    /// ```
    pub fn loglog(&mut self, x: &[f64], y: &[f64], label: &str) -> &mut Self {
        self.log = (true, true);
        self.plot(x, y, label)
    }

    /// A round marker at each of the points (x, y).
    ///
    /// ```
    /// use hhnet::figure::Figure;
    /// let mut figure = Figure::new();
    /// figure.axes(0, 0).scatter(&[0.2, 0.9, 0.4], &[1.0, 3.1, 1.8], "cells").xlabel("C_m").ylabel("rate (Hz)");
    /// assert_eq!(figure.to_svg()?.as_str().matches("<circle").count(), 3);
    /// # Ok::<(), hhnet::Error>(())
    /// ```
    pub fn scatter(&mut self, x: &[f64], y: &[f64], label: &str) -> &mut Self {
        self.points(label, Kind::Points, x, &[("y", y)])
    }

    /// A marker at each of the points (x, y), with a bar from y - yerr to y + yerr.
    ///
    /// ```
    /// use hhnet::figure::Figure;
    /// let mut figure = Figure::new();
    /// figure.axes(0, 0).errorbar(&[1.0, 2.0], &[0.5, 0.7], &[0.1, 0.2], "mean and deviation").legend();
    /// figure.to_svg()?;
    /// # Ok::<(), hhnet::Error>(())
    /// ```
    pub fn errorbar(&mut self, x: &[f64], y: &[f64], yerr: &[f64], label: &str) -> &mut Self {
        let y_at = |nth: usize| y.get(nth).copied().unwrap_or(f64::NAN);
        let low: Vec<f64> = yerr.iter().enumerate().map(|(nth, error)| y_at(nth) - error.abs()).collect();
        let high: Vec<f64> = yerr.iter().enumerate().map(|(nth, error)| y_at(nth) + error.abs()).collect();
        self.points(label, Kind::ErrorBars, x, &[("y", y), ("yerr", &low), ("yerr", &high)])
    }

    /// A filled band between the curves (x, y1) and (x, y2). Plot it before the line that it surrounds.
    ///
    /// A value that is not finite leaves a gap.
    ///
    /// ```
    /// use hhnet::figure::Figure;
    /// let (t_ms, mean) = ([0.0, 1.0, 2.0], [-65.0, -63.0, -64.0]);
    /// let (low, high) = (mean.map(|v| v - 1.0), mean.map(|v| v + 1.0));
    /// let mut figure = Figure::new();
    /// figure.axes(0, 0).fill_between(&t_ms, &low, &high, "spread").color("C0").plot(&t_ms, &mean, "mean").color("C0");
    /// figure.to_svg()?;
    /// # Ok::<(), hhnet::Error>(())
    /// ```
    pub fn fill_between(&mut self, x: &[f64], y1: &[f64], y2: &[f64], label: &str) -> &mut Self {
        self.points(label, Kind::Band, x, &[("y1", y1), ("y2", y2)])
    }

    /// A histogram: how many of the values lie in each of `bins` bins of equal width between the lowest and the highest
    /// one.
    ///
    /// A bin holds its lower edge, the last one also its upper edge. Values that are not finite are not counted.
    ///
    /// ```
    /// use hhnet::figure::Figure;
    /// let rest_mv = [-65.1, -64.8, -65.0, -66.2, -64.9];
    /// let mut figure = Figure::new();
    /// figure.axes(0, 0).hist(&rest_mv, 4, "").xlabel("Vm (mV)").ylabel("cells");
    /// figure.to_svg()?;
    /// # Ok::<(), hhnet::Error>(())
    /// ```
    pub fn hist(&mut self, values: &[f64], bins: usize, label: &str) -> &mut Self {
        if !(1..=MAX_BINS).contains(&bins) {
            return self.note(format!("'{label}': {bins} bins; give 1 to {MAX_BINS}"));
        }
        let finite: Vec<f64> = values.iter().copied().filter(|value| drawable(*value)).collect();
        if finite.is_empty() {
            return self.note(format!("'{label}': no value is finite and within ±1e300"));
        }
        let (edges, counts) = histogram(&finite, bins);
        let before = [&[0.0][..], &counts].concat();
        self.add(label, Kind::Histogram, edges, vec![counts, before])
    }

    /// Vertical black lines from `low` to `high` (y values) at every value of `x`, which may be empty.
    pub fn vlines(&mut self, x: &[f64], low: f64, high: f64, label: &str) -> &mut Self {
        self.rules(label, true, x, low, high)
    }

    /// Horizontal black lines from `low` to `high` (x values) at every value of `y`, which may be empty.
    ///
    /// ```
    /// use hhnet::figure::Figure;
    /// let mut figure = Figure::new();
    /// figure.axes(0, 0).plot(&[0.0, 100.0], &[-65.0, -60.0], "Vm").hlines(&[-70.0], 20.0, 60.0, "stimulus").legend();
    /// figure.to_svg()?;
    /// # Ok::<(), hhnet::Error>(())
    /// ```
    pub fn hlines(&mut self, y: &[f64], low: f64, high: f64, label: &str) -> &mut Self {
        self.rules(label, false, y, low, high)
    }

    /// A horizontal black line at `y`, across the whole panel.
    ///
    /// ```
    /// use hhnet::figure::Figure;
    /// let mut figure = Figure::new();
    /// figure.axes(0, 0).plot(&[0.0, 1.0], &[-70.0, -50.0], "Vm").axhline(-55.0, "threshold").linestyle("--").legend();
    /// figure.to_svg()?;
    /// # Ok::<(), hhnet::Error>(())
    /// ```
    pub fn axhline(&mut self, y: f64, label: &str) -> &mut Self {
        self.add(label, Kind::Rules { vertical: false }, vec![y], vec![vec![f64::NEG_INFINITY], vec![f64::INFINITY]])
    }

    /// A vertical black line at `x`, across the whole panel.
    ///
    /// ```
    /// use hhnet::figure::Figure;
    /// let mut figure = Figure::new();
    /// figure.axes(0, 0).plot(&[0.0, 100.0], &[-65.0, -60.0], "Vm").axvline(20.0, "onset").color("gray");
    /// figure.to_svg()?;
    /// # Ok::<(), hhnet::Error>(())
    /// ```
    pub fn axvline(&mut self, x: f64, label: &str) -> &mut Self {
        self.add(label, Kind::Rules { vertical: true }, vec![x], vec![vec![f64::NEG_INFINITY], vec![f64::INFINITY]])
    }

    /// A text in the panel whose lower left corner is the point (x, y), or further left where it would leave the panel.
    ///
    /// It does not widen the axes: a text outside of them is not drawn.
    ///
    /// ```
    /// use hhnet::figure::Figure;
    /// let mut figure = Figure::new();
    /// figure.axes(0, 0).plot(&[0.0, 1.0, 2.0], &[-65.0, 30.0, -70.0], "Vm").text(1.0, 30.0, "spike");
    /// assert!(figure.to_svg()?.as_str().contains("spike"));
    /// # Ok::<(), hhnet::Error>(())
    /// ```
    pub fn text(&mut self, x: f64, y: f64, text: &str) -> &mut Self {
        self.add("", Kind::Text((x, y), text.to_owned()), vec![], vec![])
    }

    /// Whatever plotters can draw, by a function that is given the panel's chart when the figure is drawn.
    ///
    /// Coordinates are values of x and y. The axes do not follow what is drawn: they are those of the panel's other
    /// series, or of [`Axes::xlim`] and [`Axes::ylim`], and plotters moves points outside of them to the panel's edge.
    /// Sizes are in tenths of a pixel: multiply pixels by [`PX`](super::PX). Text is in the figure's font, as
    /// `"sans-serif"`. A series that is given a label appears in the legend.
    ///
    /// ```
    /// use hhnet::figure::plotters::prelude::{Color, RED, TriangleMarker};
    /// use hhnet::figure::{Figure, PX};
    /// let mut figure = Figure::new();
    /// figure.axes(0, 0).plot(&[0.0, 1.0, 2.0], &[-65.0, 30.0, -70.0], "Vm").draw(|chart| {
    ///     chart.draw_series([TriangleMarker::new((1.0, 30.0), 6 * PX, RED.filled())])?;
    ///     Ok(())
    /// });
    /// assert!(figure.to_svg()?.as_str().contains("<polygon"));
    /// # Ok::<(), hhnet::Error>(())
    /// ```
    pub fn draw<F>(&mut self, draw: F) -> &mut Self
    where
        F: Fn(&mut Chart) -> Result<(), Box<dyn Error>> + 'static,
    {
        self.add("", Kind::Custom(Box::new(draw)), vec![], vec![])
    }

    /// Round markers at the points of the line that was plotted last (matplotlib: `'-o'`).
    ///
    /// ```
    /// use hhnet::figure::Figure;
    /// let mut figure = Figure::new();
    /// figure.axes(0, 0).semilogy(&[1.0, 2.0, 3.0], &[2807.0, 432.6, 0.9], "loss").markers();
    /// assert_eq!(figure.to_svg()?.as_str().matches("<circle").count(), 3);
    /// # Ok::<(), hhnet::Error>(())
    /// ```
    pub fn markers(&mut self) -> &mut Self {
        match self.series.last_mut() {
            Some(Series { kind: Kind::Line, look, .. }) => look.markers = true,
            _ => _ = self.note("markers(): call it after the plot or semilogy that is to have them".to_owned()),
        }
        self
    }

    /// The colour of the series that was added last: `"C0"` to `"C5"`, the colours that series take in turn, `"black"`,
    /// `"gray"`, or red, green and blue as `"#d55e00"`.
    ///
    /// ```
    /// use hhnet::figure::Figure;
    /// let mut figure = Figure::new();
    /// figure.axes(0, 0).plot(&[0.0, 1.0], &[0.0, 1.0], "I").color("#228833");
    /// assert!(figure.to_svg()?.as_str().contains("#228833"));
    /// # Ok::<(), hhnet::Error>(())
    /// ```
    pub fn color(&mut self, name: &str) -> &mut Self {
        match (color(name), self.series.last_mut()) {
            (Some(colour), Some(series)) if !matches!(series.kind, Kind::Custom(_)) => series.look.colour = colour,
            (None, _) => _ = self.note(format!("color(\"{name}\"): give C0 to C5, black, gray or #rrggbb")),
            _ => _ = self.note(format!("color(\"{name}\"): call it after the series that is to have it")),
        }
        self
    }

    /// How the line that was added last is drawn: `"-"` (solid), `"--"` (dashed) or `":"` (dotted).
    ///
    /// ```
    /// use hhnet::figure::Figure;
    /// let mut figure = Figure::new();
    /// figure.axes(0, 0).plot(&[0.0, 1.0], &[0.0, 1.0], "expected").linestyle("--").legend();
    /// figure.to_svg()?;
    /// # Ok::<(), hhnet::Error>(())
    /// ```
    pub fn linestyle(&mut self, name: &str) -> &mut Self {
        match (dash(name), self.last_line()) {
            (Some(dash), Some(look)) => look.dash = dash,
            (None, _) => _ = self.note(format!("linestyle(\"{name}\"): give \"-\", \"--\" or \":\"")),
            _ => _ = self.note(format!("linestyle(\"{name}\"): call it after the line that is to have it")),
        }
        self
    }

    /// The width in pixels, 0.1 to 20, of the line that was added last; lines are 2 pixels wide.
    ///
    /// ```
    /// use hhnet::figure::Figure;
    /// let mut figure = Figure::new();
    /// figure.axes(0, 0).plot(&[0.0, 1.0], &[0.0, 1.0], "I").linewidth(0.8);
    /// figure.to_svg()?;
    /// # Ok::<(), hhnet::Error>(())
    /// ```
    pub fn linewidth(&mut self, pixels: f64) -> &mut Self {
        match ((0.1..=20.0).contains(&pixels), self.last_line()) {
            (true, Some(look)) => look.width = pixels,
            (false, _) => _ = self.note(format!("linewidth({pixels}): give a width of 0.1 to 20 pixels")),
            _ => _ = self.note(format!("linewidth({pixels}): call it after the line that is to have it")),
        }
        self
    }

    /// A legend of all labelled series, where it covers least of them.
    pub fn legend(&mut self) -> &mut Self {
        self.legend = true;
        self
    }

    /// Thin grey lines through the panel at the labels of its axes.
    ///
    /// ```
    /// use hhnet::figure::Figure;
    /// let mut figure = Figure::new();
    /// figure.axes(0, 0).plot(&[0.0, 1.0], &[0.0, 1.0], "I").grid();
    /// figure.to_svg()?;
    /// # Ok::<(), hhnet::Error>(())
    /// ```
    pub fn grid(&mut self) -> &mut Self {
        self.grid = true;
        self
    }

    /// The text above the panel.
    pub fn title(&mut self, text: &str) -> &mut Self {
        self.title = text.to_owned();
        self
    }

    /// The text below the x axis: quantity and unit.
    pub fn xlabel(&mut self, text: &str) -> &mut Self {
        self.xlabel = text.to_owned();
        self
    }

    /// The text beside the y axis: quantity and unit.
    pub fn ylabel(&mut self, text: &str) -> &mut Self {
        self.ylabel = text.to_owned();
        self
    }

    /// The ends of the x axis, instead of those of the data; axes that are shared follow.
    pub fn xlim(&mut self, low: f64, high: f64) -> &mut Self {
        self.xlim = self.limits("xlim", low, high);
        self
    }

    /// The ends of the y axis, instead of those of the data; axes that are shared follow.
    pub fn ylim(&mut self, low: f64, high: f64) -> &mut Self {
        self.ylim = self.limits("ylim", low, high);
        self
    }

    fn limits(&mut self, name: &str, low: f64, high: f64) -> Option<(f64, f64)> {
        // Values so close that ticks between them would be rounding noise are as good as equal.
        if drawable(low) && drawable(high) && high - low > (low.abs().max(high.abs()) * 1e-12).max(1e-290) {
            return Some((low, high));
        }
        self.note(format!("{name}({low}, {high}): give two finite values, the lower one first"));
        None
    }

    /// Adds a series of points: as many values of each name as of x.
    fn points(&mut self, label: &str, kind: Kind, x: &[f64], others: &[(&str, &[f64])]) -> &mut Self {
        if let Some((name, other)) = others.iter().find(|(_, other)| other.len() != x.len()) {
            let (x, other) = (x.len(), other.len());
            return self.note(format!("'{label}': x has {x} values, {name} has {other}; give as many of both"));
        }
        if x.is_empty() {
            return self.note(format!("'{label}': there are no values to plot"));
        }
        self.add(label, kind, x.to_vec(), others.iter().map(|(_, other)| other.to_vec()).collect())
    }

    fn rules(&mut self, label: &str, vertical: bool, at: &[f64], low: f64, high: f64) -> &mut Self {
        if !(low.is_finite() && high.is_finite()) {
            let direction = if vertical { "vertical" } else { "horizontal" };
            return self.note(format!("'{label}': {direction} lines from {low} to {high}; give finite ends"));
        }
        let ends = vec![vec![low; at.len()], vec![high; at.len()]];
        self.add(label, Kind::Rules { vertical }, at.to_vec(), ends)
    }

    fn add(&mut self, label: &str, kind: Kind, x: Vec<f64>, y: Vec<Vec<f64>>) -> &mut Self {
        let black = |kind: &Kind| matches!(kind, Kind::Rules { .. } | Kind::Text(..) | Kind::Custom(_));
        let coloured = self.series.iter().filter(|series| !black(&series.kind)).count();
        let colour = if black(&kind) { BLACK } else { COLOURS[coloured % COLOURS.len()] };
        let markers = matches!(kind, Kind::Points | Kind::ErrorBars);
        let look = Look { colour, width: 2.0, dash: SOLID, markers };
        self.series.push(Series { label: label.to_owned(), look, kind, x, y });
        self
    }

    /// The look of the last series if it consists of lines.
    fn last_line(&mut self) -> Option<&mut Look> {
        let last = self.series.last_mut()?;
        matches!(last.kind, Kind::Line | Kind::Rules { .. }).then_some(&mut last.look)
    }

    fn note(&mut self, problem: String) -> &mut Self {
        self.problem.get_or_insert(problem);
        self
    }
}

impl fmt::Debug for Axes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "axes with {} series", self.series.len())
    }
}

/// The edges of the bins, and how many values lie in each.
fn histogram(values: &[f64], bins: usize) -> (Vec<f64>, Vec<f64>) {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    // All but equal values lie in the middle, as in NumPy.
    let narrow = high - low <= low.abs().max(high.abs()) * 1e-12;
    let (low, high) = if narrow { (low - 0.5, high + 0.5) } else { (low, high) };
    let edges: Vec<f64> = (0..=bins).map(|nth| low + (high - low) * (nth as f64 / bins as f64)).collect();
    let mut counts = vec![0.0; bins];
    for value in values {
        let bin = edges.partition_point(|edge| edge <= value).clamp(1, bins) - 1;
        counts[bin] += 1.0;
    }
    (edges, counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_hold_their_lower_edge_and_the_last_one_both() {
        assert_eq!(
            histogram(&[0.0, 1.0, 1.0, 2.5, 4.0, 3.0], 4),
            (vec![0.0, 1.0, 2.0, 3.0, 4.0], vec![1.0, 2.0, 1.0, 2.0])
        );
        assert_eq!(histogram(&[5.0; 3], 2), (vec![4.5, 5.0, 5.5], vec![0.0, 3.0]));
        let (_, counts) = histogram(&(0..1000).map(f64::from).collect::<Vec<_>>(), 10);
        assert_eq!(counts, [100.0; 10]);
    }
}
