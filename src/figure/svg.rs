//! A finished picture, and the canvas on which one is drawn.

use std::fmt;
use std::path::Path;

use plotters::backend::{DrawingBackend, SVGBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontDesc, FontFamily, FontStyle, FontTransform, RGBColor, ShapeStyle, TextStyle};

use super::trace::Frame;
use crate::files::write_whole;
use crate::{Error, Result};

/// A picture in the SVG format: text that browsers, notebooks and vector editors show.
///
/// It has a white, opaque background, a `viewBox`, and neither scripts nor links.
/// As the last expression of a notebook cell it shows itself.
///
/// ```
/// use hhnet::figure::{LayerNode, layer_graph};
/// let picture = layer_graph(&[LayerNode::new("conv1d: Conv1D", "(?, ?, 1)", "(?, ?, 2)")]);
/// assert!(picture.as_str().starts_with("<svg "));
/// ```
#[derive(Clone)]
pub struct Svg {
    text: String,
    width: u32,
    height: u32,
}

impl Svg {
    /// The picture as SVG text, from `<svg` to `</svg>`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Writes the picture to the file `path`, whose name must end in `.svg`.
    ///
    /// # Errors
    /// [`Error::File`] for any other ending, or if the file exists and `overwrite` is not set; [`Error::Io`] where it cannot
    /// be written.
    pub fn save(&self, path: &str, overwrite: bool) -> Result<()> {
        let path = Path::new(path);
        if !path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("svg")) {
            return Err(Error::file(path, "pictures are written as SVG only", "give a file name that ends in .svg"));
        }
        write_whole(path, overwrite, self.text.as_bytes())
    }
}

impl fmt::Debug for Svg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SVG picture, {} x {} px", self.width, self.height)
    }
}

/// plotters places everything on whole units: a unit is this part of a pixel, so that lines are smooth.
const UNITS_PER_PX: f64 = 10.0;

/// DejaVu Sans is the widest of these, and text is laid out by its widths.
const FONTS: &str = "DejaVu Sans, Arial, Helvetica, sans-serif";

/// Which end of a text its x coordinate is.
#[derive(Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// Draws in pixels, y downwards, onto an SVG picture.
pub(super) struct Canvas<'a> {
    backend: SVGBackend<'a>,
}

/// A picture of `width` by `height` pixels with what `draw` puts on its white background.
pub(super) fn picture(width: f64, height: f64, draw: impl FnOnce(&mut Canvas) -> Result<()>) -> Result<Svg> {
    let (width, height) = (width.ceil(), height.ceil());
    let mut drawn = String::new();
    let mut canvas = Canvas { backend: SVGBackend::with_string(&mut drawn, (unit(width) as u32, unit(height) as u32)) };
    canvas.fill(Frame { left: 0.0, top: 0.0, right: width, bottom: height }, WHITE, 1.0)?;
    draw(&mut canvas)?;
    canvas.backend.present().map_err(refused)?;
    drop(canvas);
    // The root element as plotters writes it would show the units as pixels.
    let content = drawn.find('>').map_or("", |end| &drawn[end + 1..]);
    let text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {} {}\" \
         stroke-linejoin=\"round\">{content}",
        unit(width),
        unit(height)
    );
    Ok(Svg { text, width: width as u32, height: height as u32 })
}

pub(super) const BLACK: RGBColor = RGBColor(0, 0, 0);
pub(super) const WHITE: RGBColor = RGBColor(255, 255, 255);

impl Canvas<'_> {
    pub(super) fn line(&mut self, points: &[(f64, f64)], colour: RGBColor, width: f64) -> Result<()> {
        let mut path: Vec<_> = points.iter().map(|&point| units(point)).collect();
        path.dedup();
        self.backend.draw_path(path, &stroke(colour, width)).map_err(refused)
    }

    pub(super) fn polygon(&mut self, points: &[(f64, f64)], colour: RGBColor) -> Result<()> {
        let path: Vec<_> = points.iter().map(|&point| units(point)).collect();
        self.backend.fill_polygon(path, &stroke(colour, 0.0)).map_err(refused)
    }

    pub(super) fn fill(&mut self, area: Frame, colour: RGBColor, opacity: f64) -> Result<()> {
        let style = ShapeStyle { color: colour.mix(opacity), filled: true, stroke_width: 0 };
        let corners = (units((area.left, area.top)), units((area.right, area.bottom)));
        self.backend.draw_rect(corners.0, corners.1, &style, true).map_err(refused)
    }

    pub(super) fn outline(&mut self, area: Frame, colour: RGBColor, width: f64) -> Result<()> {
        let Frame { left, top, right, bottom } = area;
        // From the middle of a side, so that all four corners are joined.
        let middle = (left + right) / 2.0;
        let path = [(middle, top), (right, top), (right, bottom), (left, bottom), (left, top), (middle, top)];
        self.line(&path, colour, width)
    }

    pub(super) fn disc(&mut self, centre: (f64, f64), radius: f64, colour: RGBColor) -> Result<()> {
        let radius = unit(radius) as u32;
        self.backend.draw_circle(units(centre), radius, &stroke(colour, 0.0), true).map_err(refused)
    }

    /// `at`: where the text's anchor stands on its baseline.
    pub(super) fn text(&mut self, text: &str, size: f64, at: (f64, f64), anchor: Anchor) -> Result<()> {
        self.backend.draw_text(text, &font(size, anchor), units((at.0, at.1 - RISE * size))).map_err(refused)
    }

    /// Text that reads upwards. `at`: the middle of its baseline.
    pub(super) fn text_upwards(&mut self, text: &str, size: f64, at: (f64, f64)) -> Result<()> {
        let style = font(size, Anchor::Middle).transform(FontTransform::Rotate270);
        self.backend.draw_text(text, &style, units((at.0 - RISE * size, at.1))).map_err(refused)
    }
}

/// The part of the font size by which plotters puts a baseline below the top it is given.
const RISE: f64 = 0.76;

fn font(size: f64, anchor: Anchor) -> TextStyle<'static> {
    let horizontal = match anchor {
        Anchor::Start => HPos::Left,
        Anchor::Middle => HPos::Center,
        Anchor::End => HPos::Right,
    };
    // plotters divides sizes by 1.24 on their way into an SVG.
    let font = FontDesc::new(FontFamily::Name(FONTS), size * UNITS_PER_PX * 1.24, FontStyle::Normal);
    TextStyle { font, color: BLACK.to_backend_color(), pos: Pos::new(horizontal, VPos::Top) }
}

fn stroke(colour: RGBColor, width: f64) -> ShapeStyle {
    ShapeStyle { color: colour.to_rgba(), filled: width == 0.0, stroke_width: unit(width) as u32 }
}

fn unit(px: f64) -> i32 {
    (px * UNITS_PER_PX).round() as i32
}

fn units((x, y): (f64, f64)) -> (i32, i32) {
    (unit(x), unit(y))
}

fn refused(error: impl fmt::Display) -> Error {
    Error::Figure(error.to_string())
}
