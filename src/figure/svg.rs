//! A finished picture, and the canvas on which one is drawn.

use std::fmt;
use std::path::Path;

use plotters::backend::{DrawingBackend, SVGBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontDesc, FontFamily, FontStyle, FontTransform, RGBColor, ShapeStyle, TextStyle};

use super::png;
use super::trace::Frame;
use crate::files::write_whole;
use crate::{Error, Result};

/// A picture in the SVG format: text that browsers, notebooks and vector editors show.
///
/// It has a white, opaque background, so that it reads the same on a dark page, a `viewBox`, and neither scripts nor
/// links. As the last expression of a notebook cell it shows itself.
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
    shapes: Vec<Shape>,
}

impl Svg {
    /// The picture as SVG text, from `<svg` to `</svg>`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The picture as the bytes of a PNG file, with two of its pixels to each pixel (1/96 inch) of the SVG: 192 to the
    /// inch. Text is in DejaVu Sans, whatever fonts there are on the machine.
    ///
    /// # Errors
    /// [`Error::Figure`] where the pixels cannot be packed.
    ///
    /// ```
    /// use hhnet::figure::Figure;
    /// let bytes = Figure::new().to_svg()?.to_png()?;
    /// assert_eq!(&bytes[1..4], b"PNG");
    /// # Ok::<(), hhnet::Error>(())
    /// ```
    pub fn to_png(&self) -> Result<Vec<u8>> {
        png::png(self.width, self.height, &self.shapes)
    }

    /// Writes the picture to the file `path`, whose name must end in `.svg` or `.png`; for PNG see [`Svg::to_png`].
    ///
    /// # Errors
    /// [`Error::File`] for any other ending, or if the file exists and `overwrite` is not set; [`Error::Io`] where it
    /// cannot be written.
    pub fn save(&self, path: &str, overwrite: bool) -> Result<()> {
        let path = Path::new(path);
        if has_extension(path, "svg") {
            write_whole(path, overwrite, self.text.as_bytes())
        } else if has_extension(path, "png") {
            write_whole(path, overwrite, &self.to_png()?)
        } else {
            let remedy = "give a file name that ends in .svg or .png";
            Err(Error::file(path, "pictures are written as SVG or PNG", remedy))
        }
    }
}

impl fmt::Debug for Svg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SVG picture, {} x {} px", self.width, self.height)
    }
}

/// Whether a file name ends so, in small or capital letters.
pub(super) fn has_extension(path: &Path, name: &str) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case(name))
}

pub(super) const BLACK: RGBColor = RGBColor(0, 0, 0);
pub(super) const WHITE: RGBColor = RGBColor(255, 255, 255);

/// What pictures consist of. Lengths are in pixels, y downwards.
#[derive(Clone, Debug)]
pub(super) enum Shape {
    /// A line of one width through points.
    Line { points: Vec<(f64, f64)>, colour: RGBColor, width: f64 },
    /// A filled polygon.
    Polygon { corners: Vec<(f64, f64)>, colour: RGBColor },
    /// A filled rectangle.
    Fill { area: Frame, colour: RGBColor, opacity: f64 },
    /// A filled circle.
    Disc { centre: (f64, f64), radius: f64, colour: RGBColor },
    /// Black text on one line. `at`: where its anchor stands on its baseline. Upwards: turned left by a quarter.
    Text { text: String, size: f64, at: (f64, f64), anchor: Anchor, upwards: bool },
}

/// Which end of a text its x coordinate is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// Collects the shapes of a picture, from the back to the front.
#[derive(Default)]
pub(super) struct Canvas {
    pub(super) shapes: Vec<Shape>,
}

impl Canvas {
    pub(super) fn line(&mut self, points: &[(f64, f64)], colour: RGBColor, width: f64) {
        self.shapes.push(Shape::Line { points: points.to_vec(), colour, width });
    }

    pub(super) fn polygon(&mut self, corners: &[(f64, f64)], colour: RGBColor) {
        self.shapes.push(Shape::Polygon { corners: corners.to_vec(), colour });
    }

    pub(super) fn fill(&mut self, area: Frame, colour: RGBColor, opacity: f64) {
        self.shapes.push(Shape::Fill { area, colour, opacity });
    }

    pub(super) fn outline(&mut self, area: Frame, colour: RGBColor, width: f64) {
        let Frame { left, top, right, bottom } = area;
        // From the middle of a side, so that all four corners are joined.
        let middle = (left + right) / 2.0;
        let path = [(middle, top), (right, top), (right, bottom), (left, bottom), (left, top), (middle, top)];
        self.line(&path, colour, width);
    }

    pub(super) fn disc(&mut self, centre: (f64, f64), radius: f64, colour: RGBColor) {
        self.shapes.push(Shape::Disc { centre, radius, colour });
    }

    pub(super) fn text(&mut self, text: &str, size: f64, at: (f64, f64), anchor: Anchor) {
        self.shapes.push(Shape::Text { text: text.to_owned(), size, at, anchor, upwards: false });
    }

    /// Text that reads upwards. `at`: the middle of its baseline.
    pub(super) fn text_upwards(&mut self, text: &str, size: f64, at: (f64, f64)) {
        self.shapes.push(Shape::Text { text: text.to_owned(), size, at, anchor: Anchor::Middle, upwards: true });
    }
}

/// A picture of `width` by `height` pixels: the shapes on a white background.
pub(super) fn picture(width: f64, height: f64, mut shapes: Vec<Shape>) -> Result<Svg> {
    let (width, height) = (width.ceil(), height.ceil());
    shapes.insert(0, background(width, height));
    let text = format!("{}{}</svg>\n", opening_tag(width, height, ""), markup(&shapes)?);
    Ok(Svg { text, width: width as u32, height: height as u32, shapes })
}

pub(super) fn background(width: f64, height: f64) -> Shape {
    Shape::Fill { area: Frame { left: 0.0, top: 0.0, right: width, bottom: height }, colour: WHITE, opacity: 1.0 }
}

/// The start of an SVG of this size in pixels, with further attributes.
pub(super) fn opening_tag(width: f64, height: f64, attributes: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {} {}\" \
         stroke-linejoin=\"round\"{attributes}>\n",
        unit(width),
        unit(height)
    )
}

/// plotters places everything on whole units: a unit is this part of a pixel, so that lines are smooth.
const UNITS_PER_PX: f64 = 10.0;

/// DejaVu Sans is the widest of these, and text is laid out by its widths.
const FONTS: &str = "DejaVu Sans, Arial, Helvetica, sans-serif";

/// The part of the font size by which plotters puts a baseline below the top it is given.
const RISE: f64 = 0.76;

/// The shapes as SVG elements, drawn by plotters.
pub(super) fn markup(shapes: &[Shape]) -> Result<String> {
    let mut drawn = String::new();
    let mut backend = SVGBackend::with_string(&mut drawn, (0, 0));
    shapes.iter().try_for_each(|shape| draw(&mut backend, shape))?;
    backend.present().map_err(refused)?;
    drop(backend);
    // Without plotters' own root element.
    let content = drawn.find('>').map_or("", |end| &drawn[end + 1..]).trim();
    Ok(format!("{}\n", content.strip_suffix("</svg>").unwrap_or(content).trim_end()))
}

fn draw(backend: &mut SVGBackend, shape: &Shape) -> Result<()> {
    let stroke = |colour: RGBColor, width: f64| ShapeStyle {
        color: colour.to_rgba(),
        filled: width == 0.0,
        stroke_width: unit(width) as u32,
    };
    match shape {
        Shape::Line { points, colour, width } => {
            let mut path: Vec<_> = points.iter().map(|&point| units(point)).collect();
            path.dedup();
            backend.draw_path(path, &stroke(*colour, *width))
        }
        Shape::Polygon { corners, colour } => {
            let path: Vec<_> = corners.iter().map(|&point| units(point)).collect();
            backend.fill_polygon(path, &stroke(*colour, 0.0))
        }
        Shape::Fill { area, colour, opacity } => {
            let style = ShapeStyle { color: colour.mix(*opacity), filled: true, stroke_width: 0 };
            backend.draw_rect(units((area.left, area.top)), units((area.right, area.bottom)), &style, true)
        }
        Shape::Disc { centre, radius, colour } => {
            backend.draw_circle(units(*centre), unit(*radius) as u32, &stroke(*colour, 0.0), true)
        }
        Shape::Text { text, size, at, anchor, upwards: false } => {
            backend.draw_text(text, &font(*size, *anchor), units((at.0, at.1 - RISE * size)))
        }
        Shape::Text { text, size, at, anchor, upwards: true } => {
            let style = font(*size, *anchor).transform(FontTransform::Rotate270);
            backend.draw_text(text, &style, units((at.0 - RISE * size, at.1)))
        }
    }
    .map_err(refused)
}

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

fn unit(px: f64) -> i32 {
    (px * UNITS_PER_PX).round() as i32
}

fn units((x, y): (f64, f64)) -> (i32, i32) {
    (unit(x), unit(y))
}

fn refused(error: impl fmt::Display) -> Error {
    Error::Figure(error.to_string())
}
