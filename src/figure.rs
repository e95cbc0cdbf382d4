//! Figures: lines over a common axis, in one panel or several, as pictures in SVG or PNG.
//!
//! The words are matplotlib's: a [`Figure`] holds panels, each panel is an [`Axes`], and `plot`, `semilogy`, `vlines`,
//! `legend` and the labels are methods of the panel.
//! Nothing is drawn, and no mistake reported, before [`Figure::to_svg`], [`Figure::save`] or the display in a notebook,
//! so that calls can be chained. A [`Slider`] moves through several figures.
//!
//! Lines take up to six colours in turn that differ in lightness too: they are told apart with any colour vision, and
//! in print without colours. Pictures have a white background of their own and look the same on a dark page.
//!
//! ```
//! use hhnet::figure::Figure;
//! let t_ms: Vec<f64> = (0..1000).map(f64::from).collect();
//! let x: Vec<f64> = t_ms.iter().map(|t| 200.0 * (t / 100.0).sin()).collect();
//!
//! let mut figure = Figure::new();
//! figure.axes(0, 0).plot(&t_ms, &x, "x(t)").xlabel("t (ms)").ylabel("I (pA)").legend();
//! let svg = figure.to_svg()?;
//! assert!(svg.as_str().contains("I (pA)"));
//! # Ok::<(), hhnet::Error>(())
//! ```

mod draw;
mod graph;
mod png;
mod slider;
mod svg;
mod text;
mod ticks;
mod trace;

use std::fmt;

use plotters::style::RGBColor;

use crate::{Error, Result};

pub use graph::{LayerNode, layer_graph};
pub use slider::Slider;
pub use svg::Svg;

/// A picture of one or more panels in rows and columns.
///
/// As the last expression of a notebook cell it shows itself.
pub struct Figure {
    rows: usize,
    columns: usize,
    share: Share,
    /// Width and height in inches.
    size: (f64, f64),
    panels: Vec<Axes>,
    /// Takes what is plotted into panels that do not exist.
    nowhere: Axes,
    problem: Option<String>,
}

/// Which panels of a figure show the same range of values.
///
/// Tick labels that would repeat those of a panel below are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// Every panel has its own axes.
    None,
    /// All panels have the same x axis (matplotlib: `sharex=True`).
    XAll,
    /// All panels have the same x axis, the panels of a column the same y axis (`sharex=True, sharey='col'`).
    XAllYColumn,
}

/// A figure of `rows` by `columns` panels.
///
/// At most 100 panels are allowed; an error is reported when the figure is drawn.
///
/// ```
/// use hhnet::figure::{Share, subplots};
/// let t_ms = [0.0, 1.0, 2.0];
/// let mut figure = subplots(2, 1, Share::XAll);
/// figure.axes(0, 0).plot(&t_ms, &[0.0, 150.0, -80.0], "I").ylabel("I (pA)").legend();
/// figure.axes(1, 0).plot(&t_ms, &[-65.0, -63.5, -66.0], "Vm").vlines(&[1.2], -95.0, -80.0, "spikes").legend();
/// figure.axes(1, 0).xlabel("t (ms)").ylabel("Vm (mV)");
/// figure.to_svg()?;
/// # Ok::<(), hhnet::Error>(())
/// ```
pub fn subplots(rows: usize, columns: usize, share: Share) -> Figure {
    let allowed = (1..=100).contains(&rows) && (1..=100).contains(&columns) && rows * columns <= 100;
    let problem = (!allowed).then(|| format!("{rows} x {columns} panels: give 1 to 100 panels in all"));
    let (rows, columns) = if allowed { (rows, columns) } else { (1, 1) };
    let panels = (0..rows * columns).map(|_| Axes::default()).collect();
    Figure { rows, columns, share, size: (6.4, 4.8), panels, nowhere: Axes::default(), problem }
}

impl Figure {
    /// A figure of one panel, 6.4 by 4.8 inches.
    pub fn new() -> Self {
        subplots(1, 1, Share::None)
    }

    /// The size of the whole figure in inches of 96 pixels, each 1 to 40 (matplotlib: `figsize`).
    pub fn figsize(&mut self, width: f64, height: f64) -> &mut Self {
        if [width, height].iter().all(|inches| (1.0..=40.0).contains(inches)) {
            self.size = (width, height);
        } else {
            self.note(format!("figsize({width}, {height}): give a width and a height of 1 to 40 inches"));
        }
        self
    }

    /// The panel in a row and a column, both counted from 0 at the top left.
    ///
    /// What is plotted into a panel that does not exist goes nowhere; an error is reported when the figure is drawn.
    pub fn axes(&mut self, row: usize, column: usize) -> &mut Axes {
        if row < self.rows && column < self.columns {
            &mut self.panels[row * self.columns + column]
        } else {
            let (rows, columns) = (self.rows, self.columns);
            self.note(format!(
                "axes({row}, {column}): the figure has rows 0 to {} and columns 0 to {}",
                rows - 1,
                columns - 1
            ));
            &mut self.nowhere
        }
    }

    /// Draws the figure.
    ///
    /// Series that are too dense to see are thinned, without loss of their highest and lowest values; the picture has
    /// at most 500 kB.
    ///
    /// # Errors
    /// [`Error::Figure`] with the first mistake in what was plotted: x and y of different lengths (the message has the
    /// label and both lengths), a series without a value that can be drawn, limits in the wrong order, a panel
    /// that does not exist, text that does not fit.
    ///
    /// ```
    /// use hhnet::figure::Figure;
    /// let mut figure = Figure::new();
    /// figure.axes(0, 0).plot(&[0.0, 1.0, 2.0], &[0.0, 1.0], "I");
    /// let error = figure.to_svg().unwrap_err();
    /// assert_eq!(error.to_string(), "figure: 'I': x has 3 values, y has 2; give as many of both");
    /// ```
    pub fn to_svg(&self) -> Result<Svg> {
        draw::draw(self)
    }

    /// Draws the figure into the file `path`, whose name must end in `.svg` or `.png`.
    ///
    /// # Errors
    /// Those of [`Figure::to_svg`] and [`Svg::save`].
    ///
    /// ```
    /// use hhnet::figure::Figure;
    /// # let folder = tempfile::tempdir().unwrap();
    /// # std::env::set_current_dir(&folder).unwrap();
    /// let mut figure = Figure::new();
    /// figure.axes(0, 0).plot(&[0.0, 1.0, 2.0], &[0.0, 150.0, -80.0], "I").xlabel("t (ms)").ylabel("I (pA)");
    /// figure.save("current.svg", false)?;
    /// figure.save("current.png", false)?;
    /// # Ok::<(), hhnet::Error>(())
    /// ```
    pub fn save(&self, path: &str, overwrite: bool) -> Result<()> {
        self.to_svg()?.save(path, overwrite)
    }

    fn note(&mut self, problem: String) {
        self.problem.get_or_insert(problem);
    }
}

impl Default for Figure {
    fn default() -> Self {
        Figure::new()
    }
}

impl fmt::Debug for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "figure of {} x {} panels", self.rows, self.columns)
    }
}

/// One panel of a [`Figure`].
///
/// Every method returns the panel, so that calls can be chained. A label that is empty keeps a series out of the
/// legend. Long titles and labels are broken into lines.
#[derive(Default)]
pub struct Axes {
    series: Vec<Series>,
    title: String,
    xlabel: String,
    ylabel: String,
    legend: bool,
    log: bool,
    xlim: Option<(f64, f64)>,
    ylim: Option<(f64, f64)>,
    problem: Option<String>,
}

struct Series {
    label: String,
    colour: RGBColor,
    kind: Kind,
}

enum Kind {
    Line { x: Vec<f64>, y: Vec<f64>, markers: bool },
    Vlines { x: Vec<f64>, low: f64, high: f64 },
}

/// Told apart with any colour vision, and, by their lightness, without colour; the first ones best. Chosen from the
/// colours of Okabe and Ito, Color Universal Design (2008), and of Paul Tol's notes on colour schemes (2021), some made
/// darker.
const COLOURS: [RGBColor; 6] = [
    RGBColor(0x00, 0x4a, 0x8f),
    RGBColor(0xd5, 0x5e, 0x00),
    RGBColor(0x56, 0xb4, 0xe9),
    RGBColor(0x66, 0x11, 0x00),
    RGBColor(0x00, 0x78, 0x5a),
    RGBColor(0xcc, 0x79, 0xa7),
];

impl Axes {
    /// A line through the points (x, y), in their order: x may run back, as in a phase portrait.
    ///
    /// A value that is not finite leaves a gap.
    pub fn plot(&mut self, x: &[f64], y: &[f64], label: &str) -> &mut Self {
        if x.len() != y.len() {
            let (x, y) = (x.len(), y.len());
            return self.note(format!("'{label}': x has {x} values, y has {y}; give as many of both"));
        }
        if x.is_empty() {
            return self.note(format!("'{label}': there are no values to plot"));
        }
        let lines = self.series.iter().filter(|series| matches!(series.kind, Kind::Line { .. })).count();
        let kind = Kind::Line { x: x.to_vec(), y: y.to_vec(), markers: false };
        self.series.push(Series { label: label.to_owned(), colour: COLOURS[lines % COLOURS.len()], kind });
        self
    }

    /// A line as by [`Axes::plot`], and a logarithmic y axis for the panel and those that share it.
    ///
    /// Values of 0 and below leave gaps.
    pub fn semilogy(&mut self, x: &[f64], y: &[f64], label: &str) -> &mut Self {
        self.log = true;
        self.plot(x, y, label)
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
        if let Some(Series { kind: Kind::Line { markers, .. }, .. }) = self.series.last_mut() {
            *markers = true;
            self
        } else {
            self.note("markers(): call it after the plot or semilogy that is to have them".to_owned())
        }
    }

    /// Vertical black lines from `low` to `high` (y values) at every value of `x`, which may be empty.
    pub fn vlines(&mut self, x: &[f64], low: f64, high: f64, label: &str) -> &mut Self {
        if !(low.is_finite() && high.is_finite()) {
            return self.note(format!("'{label}': vertical lines from {low} to {high}; give finite ends"));
        }
        let kind = Kind::Vlines { x: x.to_vec(), low: low.min(high), high: low.max(high) };
        self.series.push(Series { label: label.to_owned(), colour: svg::BLACK, kind });
        self
    }

    /// A legend of all labelled series, where it covers least of them.
    pub fn legend(&mut self) -> &mut Self {
        self.legend = true;
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
        if draw::drawable(low) && draw::drawable(high) && high - low > (low.abs().max(high.abs()) * 1e-12).max(1e-290) {
            return Some((low, high));
        }
        self.note(format!("{name}({low}, {high}): give two finite values, the lower one first"));
        None
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

/// For the errors of everything that draws.
fn problem(message: impl Into<String>) -> Error {
    Error::Figure(message.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CIE 1976 L*, a*, b* of a linear RGB colour (sRGB primaries, white point D65).
    fn lab([r, g, b]: [f64; 3]) -> [f64; 3] {
        let f = |t: f64| if t > 216.0 / 24389.0 { t.cbrt() } else { (24389.0 / 27.0 * t + 16.0) / 116.0 };
        let x = f((0.4124564 * r + 0.3575761 * g + 0.1804375 * b) / 0.95047);
        let y = f(0.2126729 * r + 0.7151522 * g + 0.0721750 * b);
        let z = f((0.0193339 * r + 0.1191920 * g + 0.9503041 * b) / 1.08883);
        [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
    }

    #[test]
    fn colours_differ_for_every_eye_and_in_grey() {
        // Machado, Oliveira and Fernandes, IEEE Trans. Vis. Comput. Graph. 15, 1291 (2009): no, no red, no green, no
        // blue cones missing.
        let eyes = [
            [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
            [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
            [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
            [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
        ];
        let linear = |c: u8| match f64::from(c) / 255.0 {
            c if c <= 0.04045 => c / 12.92,
            c => ((c + 0.055) / 1.055_f64).powf(2.4),
        };
        let seen = |eye: &[[f64; 3]; 3], colour: RGBColor| {
            let rgb = [linear(colour.0), linear(colour.1), linear(colour.2)];
            lab(eye.map(|row| row.iter().zip(rgb).map(|(a, b)| a * b).sum::<f64>().clamp(0.0, 1.0)))
        };
        let colours: Vec<RGBColor> = COLOURS.into_iter().chain([svg::BLACK]).collect();
        for (nth, &a) in colours.iter().enumerate() {
            for &b in &colours[..nth] {
                for eye in &eyes {
                    let (a, b) = (seen(eye, a), seen(eye, b));
                    let distance = a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
                    assert!(distance > 15.0, "{a:?} and {b:?}");
                }
                let grey = (seen(&eyes[0], a)[0] - seen(&eyes[0], b)[0]).abs();
                // Three lines are common, more are rare.
                assert!(grey > if nth < 3 { 15.0 } else { 6.0 }, "{a:?} and {b:?}");
            }
        }
    }
}
