//! Pictures as pixels: shapes filled by tiny-skia, text from the outlines of DejaVu Sans.

use ab_glyph::{Font as _, OutlineCurve};
use plotters::style::RGBAColor;
use plotters::style::text_anchor::HPos;
use plotters_backend::{BackendCoord, FontTransform};
use tiny_skia::{
    Color, FillRule, LineJoin, Paint, Path, PathBuilder, Pixmap, PremultipliedColorU8, Rect, Stroke, Transform,
};

use super::recorder::{PX, Shape, Text};
use super::text::Font;
use crate::{Error, Result};

/// Pixels of the picture to one of the SVG: what is 96 to the inch there is 192 here, sharp on a screen and good to
/// print.
const SCALE: u32 = 2;

/// A PNG file with the shapes of a picture of `width` by `height` pixels.
pub(super) fn png((width, height): (u32, u32), shapes: &[Shape]) -> Result<Vec<u8>> {
    let refused = |reason: String| Error::Figure(format!("the picture cannot be packed as PNG: {reason}"));
    let (width, height) = (width * SCALE, height * SCALE);
    let mut image = Pixmap::new(width, height).ok_or_else(|| refused(format!("{width} x {height} pixels")))?;
    image.fill(Color::WHITE);
    let font = Font::new();
    for shape in shapes {
        draw(&mut image, shape, &font);
    }
    pack(&image).map_err(|error| refused(error.to_string()))
}

/// Draws a shape, which is in units, in the pixels of an image.
fn draw(image: &mut Pixmap, shape: &Shape, font: &Font) {
    let scale = SCALE as f32 / PX as f32;
    let to_pixels = Transform::from_scale(scale, scale);
    let (path, colour, width) = match shape {
        Shape::Path(points, style) => (polyline(points, false), style.color, Some(style.stroke_width)),
        Shape::Polygon(points, style) => (polyline(points, true), style.color, None),
        Shape::Rectangle(from, to, style) => {
            let rect = Rect::from_ltrb(from.0 as f32, from.1 as f32, to.0 as f32, to.1 as f32);
            (rect.map(PathBuilder::from_rect), style.color, None)
        }
        Shape::Circle((x, y), radius, style) => {
            let path = PathBuilder::from_circle(*x as f32, *y as f32, *radius as f32);
            (path, style.color, (!style.filled).then_some(style.stroke_width))
        }
        Shape::Text(line) => (letters(line, font), line.colour, None),
    };
    // Nothing is to be seen of a shape without extent.
    let Some(path) = path else { return };
    let paint = paint(colour);
    match width {
        None => image.fill_path(&path, &paint, FillRule::Winding, to_pixels, None),
        Some(width) => {
            let stroke = Stroke { width: width as f32, line_join: LineJoin::Round, ..Stroke::default() };
            image.stroke_path(&path, &paint, &stroke, to_pixels, None);
        }
    }
}

fn paint(RGBAColor(red, green, blue, alpha): RGBAColor) -> Paint<'static> {
    let mut paint = Paint { anti_alias: true, ..Paint::default() };
    paint.set_color_rgba8(red, green, blue, (alpha * 255.0).round() as u8);
    paint
}

fn polyline(points: &[BackendCoord], close: bool) -> Option<Path> {
    let mut path = PathBuilder::new();
    for (nth, &(x, y)) in points.iter().enumerate() {
        if nth == 0 {
            path.move_to(x as f32, y as f32);
        } else {
            path.line_to(x as f32, y as f32);
        }
    }
    if close {
        path.close();
    }
    path.finish()
}

/// The outlines of a line of text at its place.
fn letters(line: &Text, font: &Font) -> Option<Path> {
    let mut path = PathBuilder::new();
    let em = line.size as f32 / font.0.units_per_em()?;
    let width = font.width(&line.text, line.size) as f32;
    let mut pen = match line.anchor {
        HPos::Left => 0.0,
        HPos::Center => -0.5 * width,
        HPos::Right => -width,
    };
    for c in line.text.chars() {
        // Glyph 0 is the font's box for what it does not have.
        let glyph = font.0.glyph_id(c);
        let mut letter = PathBuilder::new();
        let curves = font.0.outline(glyph).map(|outline| outline.curves).unwrap_or_default();
        curves.into_iter().for_each(|curve| add_curve(&mut letter, curve));
        // Outlines have y upwards.
        let place = Transform::from_row(em, 0.0, 0.0, -em, pen, 0.0);
        if let Some(letter) = letter.finish().and_then(|letter| letter.transform(place)) {
            path.push_path(&letter);
        }
        pen += em * font.0.h_advance_unscaled(glyph);
    }
    let (sin, cos) = match line.turn {
        FontTransform::None => (0.0, 1.0),
        FontTransform::Rotate90 => (1.0, 0.0),
        FontTransform::Rotate180 => (0.0, -1.0),
        FontTransform::Rotate270 => (-1.0, 0.0),
    };
    path.finish()?.transform(Transform::from_row(cos, sin, -sin, cos, line.at.0 as f32, line.at.1 as f32))
}

/// A contour of a letter begins where a curve does not continue the one before.
fn add_curve(letter: &mut PathBuilder, curve: OutlineCurve) {
    let (OutlineCurve::Line(start, _) | OutlineCurve::Quad(start, ..) | OutlineCurve::Cubic(start, ..)) = curve;
    if letter.last_point().is_none_or(|last| (last.x, last.y) != (start.x, start.y)) {
        letter.move_to(start.x, start.y);
    }
    match curve {
        OutlineCurve::Line(_, end) => letter.line_to(end.x, end.y),
        OutlineCurve::Quad(_, a, end) => letter.quad_to(a.x, a.y, end.x, end.y),
        OutlineCurve::Cubic(_, a, b, end) => letter.cubic_to(a.x, a.y, b.x, b.y, end.x, end.y),
    }
}

/// The file, with its resolution. Pictures are opaque.
fn pack(image: &Pixmap) -> Result<Vec<u8>, png::EncodingError> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, image.width(), image.height());
    encoder.set_color(png::ColorType::Rgb);
    let per_metre = (f64::from(96 * SCALE) / 0.0254).round() as u32;
    let unit = png::Unit::Meter;
    encoder.set_pixel_dims(Some(png::PixelDimensions { xppu: per_metre, yppu: per_metre, unit }));
    let rgb = |pixel: &PremultipliedColorU8| [pixel.red(), pixel.green(), pixel.blue()];
    let pixels: Vec<u8> = image.pixels().iter().flat_map(rgb).collect();
    encoder.write_header()?.write_image_data(&pixels)?;
    Ok(file)
}
