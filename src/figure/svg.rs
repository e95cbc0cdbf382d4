//! A finished picture, and its text as SVG.

use std::fmt;
use std::path::Path;

use plotters::backend::{DrawingBackend, SVGBackend};

use super::png;
use super::recorder::{PX, Shape};
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
    size: (u32, u32),
    shapes: Vec<Shape>,
}

impl Svg {
    /// A picture of this width and height in pixels.
    pub(super) fn new(size: (u32, u32), shapes: Vec<Shape>) -> Self {
        let text = format!("{}{}</svg>\n", opening_tag(size, ""), markup(&shapes));
        Svg { text, size, shapes }
    }

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
        png::png(self.size, &self.shapes)
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
        write!(f, "SVG picture, {} x {} px", self.size.0, self.size.1)
    }
}

/// Whether a file name ends so, in small or capital letters.
pub(super) fn has_extension(path: &Path, name: &str) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case(name))
}

/// The start of an SVG of this size in pixels, with further attributes.
pub(super) fn opening_tag((width, height): (u32, u32), attributes: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {} {}\" \
         stroke-linejoin=\"round\"{attributes}>\n",
        width * PX,
        height * PX
    )
}

/// The shapes as SVG elements, written by plotters.
pub(super) fn markup(shapes: &[Shape]) -> String {
    let mut written = String::new();
    let mut backend = SVGBackend::with_string(&mut written, (0, 0));
    let drawn = shapes.iter().try_for_each(|shape| shape.draw(&mut backend)).and_then(|()| backend.present());
    drawn.expect("a string takes whatever is written");
    drop(backend);
    // Without plotters' own root element.
    let content = written.find('>').map_or("", |end| &written[end + 1..]).trim();
    format!("{}\n", content.strip_suffix("</svg>").unwrap_or(content).trim_end())
}
