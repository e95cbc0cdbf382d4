//! Pictures as pixels: shapes filled by tiny-skia, text from the outlines of DejaVu Sans.

use ab_glyph::{Font as _, OutlineCurve};
use plotters::style::text_anchor::HPos;
use plotters::style::{RGBAColor, ShapeStyle, TextStyle};
use plotters_backend::BackendCoord;
use tiny_skia::{
    Color, FillRule, LineJoin, Paint, Path, PathBuilder, Pixmap, PremultipliedColorU8, Rect, Stroke, Transform,
};

use super::recorder::{Outline, PX, Shape};
use super::text::{BASELINE, FONT, PLOTTERS_FONT_SCALE};
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
    shapes.iter().for_each(|shape| draw(&mut image, shape));
    pack(&image).map_err(|error| refused(error.to_string()))
}

/// Draws a shape, which is in units, in the pixels of an image.
fn draw(image: &mut Pixmap, shape: &Shape) {
    let scale = SCALE as f32 / PX as f32;
    let to_pixels = Transform::from_scale(scale, scale);
    let path = match &shape.outline {
        Outline::Path(points) => polyline(points),
        Outline::Rectangle((left, top), (right, bottom)) => {
            Rect::from_ltrb(*left as f32, *top as f32, *right as f32, *bottom as f32).map(PathBuilder::from_rect)
        }
        Outline::Circle((x, y), radius) => PathBuilder::from_circle(*x as f32, *y as f32, *radius as f32),
        Outline::Text(line, style, at) => letters(line, style, *at),
    };
    // Nothing is to be seen of a shape without extent.
    let Some(path) = path else { return };
    let ShapeStyle { color: RGBAColor(red, green, blue, alpha), filled, stroke_width } = shape.style;
    let mut paint = Paint::default();
    paint.set_color_rgba8(red, green, blue, (alpha * 255.0).round() as u8);
    if filled {
        image.fill_path(&path, &paint, FillRule::Winding, to_pixels, None);
    } else {
        let stroke = Stroke { width: stroke_width as f32, line_join: LineJoin::Round, ..Stroke::default() };
        image.stroke_path(&path, &paint, &stroke, to_pixels, None);
    }
}

fn polyline(points: &[BackendCoord]) -> Option<Path> {
    let mut path = PathBuilder::new();
    let (&(x, y), others) = points.split_first()?;
    path.move_to(x as f32, y as f32);
    others.iter().for_each(|&(x, y)| path.line_to(x as f32, y as f32));
    path.finish()
}

/// The outlines of a line of text at its place.
fn letters(line: &str, style: &TextStyle, at: BackendCoord) -> Option<Path> {
    let mut path = PathBuilder::new();
    let mut pen = 0.0;
    for c in line.chars() {
        // Glyph 0 is the font's box for what it does not have.
        let glyph = FONT.glyph_id(c);
        let curves = FONT.outline(glyph).map(|outline| outline.curves).unwrap_or_default();
        curves.into_iter().for_each(|curve| add_curve(&mut path, curve, pen));
        pen += FONT.h_advance_unscaled(glyph);
    }
    let start = match style.pos.h_pos {
        HPos::Left => 0.0,
        HPos::Center => -0.5 * pen,
        HPos::Right => -pen,
    };
    let (cos, sin) = style.font.get_transform().transform(1, 0);
    let size = style.font.get_size() / PLOTTERS_FONT_SCALE;
    let em = size as f32 / FONT.units_per_em()?;
    let turn = Transform::from_row(cos as f32, sin as f32, -sin as f32, cos as f32, at.0 as f32, at.1 as f32);
    // Outlines have y upwards.
    let place = turn.pre_translate(0.0, (BASELINE * size).round() as f32).pre_scale(em, -em).pre_translate(start, 0.0);
    path.finish()?.transform(place)
}

/// A contour of a letter begins where a curve does not continue the one before.
fn add_curve(path: &mut PathBuilder, curve: OutlineCurve, pen: f32) {
    let (OutlineCurve::Line(start, _) | OutlineCurve::Quad(start, ..) | OutlineCurve::Cubic(start, ..)) = curve;
    if path.last_point().is_none_or(|last| (last.x, last.y) != (pen + start.x, start.y)) {
        path.move_to(pen + start.x, start.y);
    }
    match curve {
        OutlineCurve::Line(_, end) => path.line_to(pen + end.x, end.y),
        OutlineCurve::Quad(_, a, end) => path.quad_to(pen + a.x, a.y, pen + end.x, end.y),
        OutlineCurve::Cubic(_, a, b, end) => path.cubic_to(pen + a.x, a.y, pen + b.x, b.y, pen + end.x, end.y),
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
