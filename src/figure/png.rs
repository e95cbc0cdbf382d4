//! Pictures as pixels: the shapes of a picture filled with zeno, text from the outlines of DejaVu Sans, packed as PNG.

use std::io::Write;

use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};
use plotters::style::RGBColor;
use ttf_parser::{Face, OutlineBuilder};
use zeno::{Cap, Command, Join, Mask, PathBuilder, Stroke, Style, Transform};

use super::svg::{Anchor, BLACK, Shape};
use crate::{Error, Result};

/// Pixels of the picture to one of the SVG: what is 96 to the inch there is 192 here, sharp on a screen and good to
/// print.
const SCALE: u32 = 2;

/// A PNG file with the shapes of a picture of `width` by `height` pixels.
pub(super) fn png(width: u32, height: u32, shapes: &[Shape]) -> Result<Vec<u8>> {
    let face = Face::parse(dejavu::sans::regular(), 0).map_err(|error| Error::Figure(error.to_string()))?;
    let mut image = Image::new(width * SCALE, height * SCALE);
    shapes.iter().for_each(|shape| image.draw(shape, &face));
    pack(&image).map_err(|error| Error::Figure(format!("the picture cannot be packed as PNG: {error}")))
}

/// Red, green and blue of each pixel, row by row.
struct Image {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl Image {
    fn new(width: u32, height: u32) -> Self {
        let (width, height) = (width as usize, height as usize);
        Image { width, height, pixels: vec![255; width * height * 3] }
    }

    fn draw(&mut self, shape: &Shape, face: &Face) {
        let mut path: Vec<Command> = Vec::new();
        match shape {
            Shape::Line { points, colour, width } => {
                polyline(&mut path, points);
                let mut stroke = Stroke::new(*width as f32);
                stroke.join(Join::Round).cap(Cap::Butt);
                self.paint(&path, stroke.into(), *colour, 1.0);
            }
            Shape::Polygon { corners, colour } => {
                polyline(&mut path, corners);
                path.close();
                self.paint(&path, Style::default(), *colour, 1.0);
            }
            Shape::Fill { area, colour, opacity } => {
                path.add_rect(
                    [area.left as f32, area.top as f32],
                    (area.right - area.left) as f32,
                    (area.bottom - area.top) as f32,
                );
                self.paint(&path, Style::default(), *colour, *opacity);
            }
            Shape::Disc { centre, radius, colour } => {
                path.add_circle([centre.0 as f32, centre.1 as f32], *radius as f32);
                self.paint(&path, Style::default(), *colour, 1.0);
            }
            Shape::Text { text, size, at, anchor, upwards } => {
                let em = *size as f32 / f32::from(face.units_per_em());
                let width = outline(&mut path, face, text) * em;
                let start = match anchor {
                    Anchor::Start => 0.0,
                    Anchor::Middle => -width / 2.0,
                    Anchor::End => -width,
                };
                let (x, y) = (at.0 as f32, at.1 as f32);
                // Outlines have y upwards. A quarter turn to the left takes (x, y) on the page to (y, -x).
                let place = if *upwards {
                    Transform::new(0.0, -em, -em, 0.0, x, y - start)
                } else {
                    Transform::new(em, 0.0, 0.0, -em, x + start, y)
                };
                path.iter_mut().for_each(|command| *command = command.transform(&place));
                self.paint(&path, Style::default(), BLACK, 1.0);
            }
        }
    }

    /// Fills or strokes a path that is in pixels of the SVG.
    fn paint(&mut self, path: &[Command], style: Style, colour: RGBColor, opacity: f64) {
        let scale = Transform::scale(SCALE as f32, SCALE as f32);
        let (mask, place) = Mask::new(path).style(style).transform(Some(scale)).render();
        let colour = [colour.0, colour.1, colour.2];
        for (row, coverage) in mask.chunks_exact((place.width as usize).max(1)).enumerate() {
            let Some(y) = usize::try_from(place.top as i64 + row as i64).ok().filter(|y| *y < self.height) else {
                continue;
            };
            for (column, coverage) in coverage.iter().enumerate() {
                let x = usize::try_from(i64::from(place.left) + column as i64).ok().filter(|x| *x < self.width);
                if let (Some(x), 1..) = (x, *coverage) {
                    let part = f64::from(*coverage) / 255.0 * opacity;
                    let start = (y * self.width + x) * 3;
                    for (value, target) in self.pixels[start..start + 3].iter_mut().zip(colour) {
                        *value = (f64::from(*value) + part * (f64::from(target) - f64::from(*value))).round() as u8;
                    }
                }
            }
        }
    }
}

fn polyline(path: &mut Vec<Command>, points: &[(f64, f64)]) {
    for (nth, point) in points.iter().enumerate() {
        let point = [point.0 as f32, point.1 as f32];
        if nth == 0 {
            path.move_to(point)
        } else {
            path.line_to(point)
        };
    }
}

/// Adds the outlines of a line of text, from the origin on, in the font's units, and returns its width.
fn outline(path: &mut Vec<Command>, face: &Face, text: &str) -> f32 {
    let mut pen = Pen { path, x: 0.0 };
    for c in text.chars() {
        // Glyph 0 is the font's box for what it does not have.
        let glyph = face.glyph_index(c).unwrap_or_default();
        face.outline_glyph(glyph, &mut pen);
        pen.x += f32::from(face.glyph_hor_advance(glyph).unwrap_or_default());
    }
    pen.x
}

struct Pen<'a> {
    path: &'a mut Vec<Command>,
    x: f32,
}

impl OutlineBuilder for Pen<'_> {
    fn move_to(&mut self, x: f32, y: f32) {
        self.path.move_to([self.x + x, y]);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        self.path.line_to([self.x + x, y]);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        self.path.quad_to([self.x + x1, y1], [self.x + x, y]);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        self.path.curve_to([self.x + x1, y1], [self.x + x2, y2], [self.x + x, y]);
    }

    fn close(&mut self) {
        self.path.close();
    }
}

/// The file (ISO/IEC 15948): signature, header, resolution, pixels, end.
fn pack(image: &Image) -> std::io::Result<Vec<u8>> {
    let mut header = Vec::new();
    header.extend((image.width as u32).to_be_bytes());
    header.extend((image.height as u32).to_be_bytes());
    // 8 bits to each of red, green and blue; the one compression, the one set of filters, not interlaced.
    header.extend([8, 2, 0, 0, 0]);
    let per_metre = (f64::from(96 * SCALE) / 0.0254).round() as u32;
    let mut resolution = [per_metre.to_be_bytes(), per_metre.to_be_bytes()].concat();
    resolution.push(1);
    let mut pixels = ZlibEncoder::new(Vec::new(), Compression::default());
    for row in image.pixels.chunks_exact(image.width * 3) {
        // Rows are not filtered: large plain areas pack best as they are.
        pixels.write_all(&[0])?;
        pixels.write_all(row)?;
    }

    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, content) in
        [(b"IHDR", header), (b"pHYs", resolution), (b"IDAT", pixels.finish()?), (b"IEND", Vec::new())]
    {
        let mut crc = Crc::new();
        crc.update(kind);
        crc.update(&content);
        file.extend((content.len() as u32).to_be_bytes());
        file.extend(kind);
        file.extend(content);
        file.extend(crc.sum().to_be_bytes());
    }
    Ok(file)
}
