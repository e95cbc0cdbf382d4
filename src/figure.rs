//! Figures: charts in one panel or several, as pictures in SVG or PNG.
//!
//! The words are matplotlib's: a [`Figure`] holds panels, each panel is an [`Axes`], and `plot`, `scatter`, `hist`,
//! `legend` and the labels are methods of the panel. Each panel is a chart of the crate [`plotters`]; with
//! [`Axes::draw`] it shows whatever plotters can draw. A [`Slider`] moves through several figures.
//!
//! Nothing is drawn, and no mistake reported, before [`Figure::to_svg`], [`Figure::save`] or the display in a notebook,
//! so that calls can be chained.
//!
//! Series take six colours in turn that differ in lightness, too: they are told apart with any colour vision, and in
//! print without colours. Pictures have a white background of their own and look the same on a dark page.
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

mod axes;
mod draw;
mod graph;
mod layout;
mod legend;
#[cfg(feature = "model")]
mod model;
mod png;
mod recorder;
mod scale;
mod series;
mod slider;
mod style;
mod svg;
mod text;
mod ticks;
mod visible;

use std::convert::Infallible;
use std::fmt;

use plotters::drawing::DrawingAreaErrorKind;

use crate::{Error, Result};

pub use axes::{Axes, Chart};
pub use graph::{LayerNode, layer_graph};
pub use plotters;
pub use recorder::{PX, Recorder};
pub use scale::Scale;
pub use slider::Slider;
pub use svg::Svg;
pub(crate) use text::escape;

/// A picture of one or more panels in rows and columns.
///
/// As the last expression of a notebook cell it shows itself.
pub struct Figure {
    rows: usize,
    columns: usize,
    share: Share,
    /// Width and height in pixels.
    size: (u32, u32),
    panels: Vec<Axes>,
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
    Figure { rows, columns, share, size: (615, 461), panels, problem }
}

impl Figure {
    /// A figure of one panel, 6.4 by 4.8 inches.
    pub fn new() -> Self {
        subplots(1, 1, Share::None)
    }

    /// The size of the whole figure in inches of 96 pixels, each 1 to 40 (matplotlib: `figsize`).
    pub fn figsize(&mut self, width: f64, height: f64) -> &mut Self {
        if [width, height].iter().all(|inches| (1.0..=40.0).contains(inches)) {
            self.size = ((width * 96.0).ceil() as u32, (height * 96.0).ceil() as u32);
        } else {
            self.note(format!("figsize({width}, {height}): give a width and a height of 1 to 40 inches"));
        }
        self
    }

    /// The panel in a row and a column, both counted from 0 at the top left.
    ///
    /// For one that does not exist, an error is reported when the figure is drawn.
    pub fn axes(&mut self, row: usize, column: usize) -> &mut Axes {
        let (last_row, last_column) = (self.rows - 1, self.columns - 1);
        if row > last_row || column > last_column {
            let there = format!("rows 0 to {last_row} and columns 0 to {last_column}");
            self.note(format!("axes({row}, {column}): the figure has {there}"));
        }
        &mut self.panels[row.min(last_row) * self.columns + column.min(last_column)]
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
        draw::draw(&[(String::new(), self)], |picture| picture.svg(0), Svg::as_str)
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

impl From<DrawingAreaErrorKind<Infallible>> for Error {
    fn from(error: DrawingAreaErrorKind<Infallible>) -> Self {
        problem(error.to_string())
    }
}

/// For the errors of everything that draws.
fn problem(message: impl Into<String>) -> Error {
    Error::Figure(message.into())
}
