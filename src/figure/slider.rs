//! Figures behind a slider.

use std::fmt;
use std::mem::{Discriminant, discriminant};
use std::path::Path;

use super::axes::Axes;
use super::draw::{self, Picture};
use super::series::Kind;
use super::style::Look;
use super::svg::{has_extension, markup, opening_tag};
use super::text::{escape, printable};
use super::{Figure, Svg, problem};
use crate::files::write_whole;
use crate::{Error, Result};

/// Figures that a slider moves through: one for each value of something, such as the strength of a current.
///
/// All figures are drawn in advance, over the same axes. As the last expression of a notebook cell a slider shows
/// itself. It also works without a kernel and in an exported page: its HTML holds every figure and the few lines of
/// script that show one of them, and needs no network. The arrow keys move it, too. A viewer that runs no scripts shows
/// the figure in the middle.
///
/// ```
/// use hhnet::figure::{Figure, Slider};
/// let t_ms: Vec<f64> = (0..100).map(f64::from).collect();
/// let mut slider = Slider::new("time constant");
/// for tau_ms in [5.0, 10.0, 20.0] {
///     let v: Vec<f64> = t_ms.iter().map(|t| -65.0 + 5.0 * (1.0 - (-t / tau_ms).exp())).collect();
///     let mut figure = Figure::new();
///     figure.axes(0, 0).plot(&t_ms, &v, "").xlabel("t (ms)").ylabel("V (mV)");
///     slider.frame(&format!("{tau_ms} ms"), figure);
/// }
/// assert!(slider.to_html()?.contains("20 ms"));
/// # Ok::<(), hhnet::Error>(())
/// ```
pub struct Slider {
    label: String,
    frames: Vec<(String, Figure)>,
}

/// Starts every slider of the page that no other copy of the script has started: it needs no names for them.
const SCRIPT: &str = r#"for (const slider of document.querySelectorAll(".hhnet-slider")) {
  if (slider.started) continue;
  slider.started = true;
  const input = slider.querySelector("input"), output = slider.querySelector("output");
  const frames = [...slider.querySelectorAll("g[data-value]")];
  const show = () => {
    frames.forEach((frame, nth) => frame.setAttribute("display", nth == input.value ? "inline" : "none"));
    output.textContent = frames[input.value].dataset.value;
    input.setAttribute("aria-valuetext", output.textContent);
  };
  input.addEventListener("input", show);
  input.disabled = false;
  slider.querySelector("p").remove();
  show();
}"#;

impl Slider {
    /// A slider with the text that stands before it, such as `"I (pA)"`, and without figures.
    pub fn new(label: &str) -> Self {
        Slider { label: label.to_owned(), frames: Vec::new() }
    }

    /// Adds the figure for the next step of the slider, and the text that is then shown after the slider, such as
    /// `"640"`.
    ///
    /// All figures must have the same size, panels, titles, labels and legends as the first one; axes reach over the
    /// data of all.
    pub fn frame(&mut self, value: &str, figure: Figure) -> &mut Self {
        self.frames.push((value.to_owned(), figure));
        self
    }

    /// The slider as a piece of HTML of at most 500 kB, to be put into a page anywhere, also several times.
    ///
    /// # Errors
    /// [`Error::Figure`] if there is no figure, if one is not like the first (the message has its value and what
    /// differs), and for what [`Figure::to_svg`] refuses.
    pub fn to_html(&self) -> Result<String> {
        draw::draw(&self.figures()?, |picture| self.html(picture), String::as_str)
    }

    /// The figure in the middle as a picture, with the axes of all.
    ///
    /// # Errors
    /// As [`Slider::to_html`].
    pub fn to_svg(&self) -> Result<Svg> {
        draw::draw(&self.figures()?, |picture| picture.svg(self.frames.len() / 2), Svg::as_str)
    }

    /// Writes a page with the slider to the file `path`, whose name must end in `.html`.
    ///
    /// # Errors
    /// As [`Slider::to_html`]; [`Error::File`] for any other ending, or if the file exists and `overwrite` is not set;
    /// [`Error::Io`] where it cannot be written.
    pub fn save(&self, path: &str, overwrite: bool) -> Result<()> {
        let path = Path::new(path);
        if !has_extension(path, "html") {
            return Err(Error::file(path, "a slider is written as HTML", "give a file name that ends in .html"));
        }
        let title = line(&self.label);
        let page = format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\"/>\n<title>{title}</title>\n{}</html>\n",
            self.to_html()?
        );
        write_whole(path, overwrite, page.as_bytes())
    }

    /// The figures with their names in messages, once it is sure that they differ in their data only.
    fn figures(&self) -> Result<Vec<(String, &Figure)>> {
        let Some((_, first)) = self.frames.first() else {
            return Err(problem("the slider has no figures; add some with frame()"));
        };
        let named = self.frames.iter().map(|(value, figure)| match difference(first, figure) {
            Some(what) => Err(problem(format!("slider at '{value}': {what} not like those of the first figure"))),
            None => Ok((format!("slider at '{value}': "), figure)),
        });
        named.collect()
    }

    fn html(&self, picture: &Picture) -> String {
        let middle = self.frames.len() / 2;
        let mut html = format!("<div class=\"hhnet-slider\" style=\"max-width: {}px\">\n", picture.size.0);
        html += &opening_tag(picture.size, " role=\"img\" style=\"max-width: 100%; height: auto\"");
        html += &markup(&picture.below);
        for (nth, ((value, _), frame)) in self.frames.iter().zip(&picture.frames).enumerate() {
            let display = if nth == middle { "inline" } else { "none" };
            html += &format!("<g data-value=\"{}\" display=\"{display}\">\n", line(value));
            html += &markup(frame);
            html += "</g>\n";
        }
        html += &markup(&picture.above);
        let (last, value) = (self.frames.len() - 1, line(&self.frames[middle].0));
        html += &format!(
            "</svg>\n\
             <label style=\"display: flex; gap: 1em; align-items: center\">{}\n\
             <input type=\"range\" min=\"0\" max=\"{last}\" value=\"{middle}\" step=\"1\" style=\"flex: 1\" \
             autocomplete=\"off\" disabled=\"\" data-lm-suppress-shortcuts=\"true\"/>\n\
             <output style=\"min-width: 6em\">{value}</output></label>\n\
             <p>This figure needs scripts: in JupyterLab, trust the notebook or run the cell.</p>\n\
             <script>\n{SCRIPT}\n</script>\n</div>\n",
            line(&self.label),
        );
        html
    }
}

impl fmt::Debug for Slider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "slider '{}' over {} figures", self.label, self.frames.len())?;
        if let (Some((first, _)), Some((last, _))) = (self.frames.first(), self.frames.last()) {
            write!(f, ", from '{first}' to '{last}'")?;
        }
        Ok(())
    }
}

/// What stands around the data and is not the same in two figures.
fn difference(a: &Figure, b: &Figure) -> Option<&'static str> {
    if (a.rows, a.columns, a.share, a.size) != (b.rows, b.columns, b.share, b.size) {
        return Some("its panels or its size are");
    }
    let texts = |axes: &Axes| [axes.title.clone(), axes.xlabel.clone(), axes.ylabel.clone()];
    let entries = |axes: &Axes| -> Vec<(String, Look, Discriminant<Kind>)> {
        let labelled = axes.series.iter().filter(|series| axes.legend && !series.label.is_empty());
        labelled.map(|series| (series.label.clone(), series.look, discriminant(&series.kind))).collect()
    };
    let mut pairs = a.panels.iter().zip(&b.panels);
    pairs.find_map(|(a, b)| match () {
        () if texts(a) != texts(b) => Some("its titles and labels are"),
        () if a.grid != b.grid => Some("its grids are"),
        () if entries(a) != entries(b) => Some("its legends are"),
        () => None,
    })
}

/// A text as HTML, on one line.
fn line(label: &str) -> String {
    escape(printable(label).trim())
}
