//! The backend on which plotters draws every picture: it keeps what is drawn, to be shown as SVG or as pixels.

use std::convert::Infallible;

use plotters::style::text_anchor::{HPos, VPos};
use plotters::style::{RGBAColor, ShapeStyle};
use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind, FontTransform,
};

use super::text::{LINE_HEIGHT, PLOTTERS_FONT_SCALE, printable, register};
use super::visible::clip;

/// plotters' units to a pixel (1/96 inch).
///
/// plotters places everything on whole units. With ten of them to a pixel, lines are smooth. What you draw with
/// [`Axes::draw`](super::Axes::draw) takes its sizes in these units: a line of 2 pixels has the width `2 * PX`.
pub const PX: u32 = 10;

/// A length in pixels as plotters' units.
pub(super) fn units(px: f64) -> i32 {
    (px * f64::from(PX)).round() as i32
}

/// plotters' backend for figures. It records what is drawn; see [`Chart`](super::Chart).
pub struct Recorder {
    size: (u32, u32),
    pub(super) shapes: Vec<Shape>,
}

/// What pictures consist of. Lengths are in units, y downwards.
#[derive(Clone)]
pub(super) enum Shape {
    /// A line through points.
    Path(Vec<BackendCoord>, ShapeStyle),
    /// A filled polygon.
    Polygon(Vec<BackendCoord>, ShapeStyle),
    /// A filled rectangle.
    Rectangle(BackendCoord, BackendCoord, ShapeStyle),
    /// A circle, filled or not.
    Circle(BackendCoord, u32, ShapeStyle),
    /// One line of text.
    Text(Text),
}

impl Shape {
    /// The length of lines that a rectangle covers of the shape.
    pub(super) fn length_in(&self, from: BackendCoord, to: BackendCoord) -> f64 {
        let size = (f64::from(to.0 - from.0), f64::from(to.1 - from.1));
        let place = |at: BackendCoord| (f64::from(at.0 - from.0), f64::from(at.1 - from.1));
        let covered = |a: BackendCoord, b: BackendCoord| {
            clip(size, place(a), place(b)).map_or(0.0, |(a, b)| (b.0 - a.0).hypot(b.1 - a.1))
        };
        let around = |&(x, y): &BackendCoord, half: i32| covered((x - half, y), (x + half, y));
        match self {
            Shape::Path(points, _) | Shape::Polygon(points, _) => {
                points.windows(2).map(|pair| covered(pair[0], pair[1])).sum()
            }
            Shape::Rectangle(a, b, _) => covered(*a, *b),
            Shape::Circle(centre, radius, _) => around(centre, *radius as i32),
            Shape::Text(Text { at, size, .. }) => around(at, *size as i32),
        }
    }
}

/// One line of text in the picture's font.
#[derive(Clone)]
pub(super) struct Text {
    pub(super) text: String,
    /// The font size.
    pub(super) size: f64,
    pub(super) colour: RGBAColor,
    /// Where the anchor stands on the baseline.
    pub(super) at: BackendCoord,
    pub(super) anchor: HPos,
    pub(super) turn: FontTransform,
}

type Drawn = Result<(), DrawingErrorKind<Infallible>>;

impl Recorder {
    /// A picture without shapes, of this width and height in pixels.
    pub(super) fn new((width, height): (f64, f64)) -> Self {
        register();
        Recorder { size: (units(width) as u32, units(height) as u32), shapes: Vec::new() }
    }

    fn add(&mut self, shape: Shape, colour: BackendColor) -> Drawn {
        if colour.alpha > 0.0 {
            self.shapes.push(shape);
        }
        Ok(())
    }
}

impl DrawingBackend for Recorder {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        self.size
    }

    fn ensure_prepared(&mut self) -> Drawn {
        Ok(())
    }

    fn present(&mut self) -> Drawn {
        Ok(())
    }

    fn draw_pixel(&mut self, (x, y): BackendCoord, colour: BackendColor) -> Drawn {
        self.draw_rect((x, y), (x + PX as i32, y + PX as i32), &colour, true)
    }

    fn draw_line<S: BackendStyle>(&mut self, from: BackendCoord, to: BackendCoord, style: &S) -> Drawn {
        self.draw_path([from, to], style)
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(&mut self, path: I, style: &S) -> Drawn {
        let mut points: Vec<BackendCoord> = path.into_iter().collect();
        points.dedup();
        if let [a, b] = &mut points[..]
            && style.stroke_width() == PX
        {
            sharpen(&mut a.0, &mut b.0);
            sharpen(&mut a.1, &mut b.1);
        }
        self.add(Shape::Path(points, shape_style(style)), style.color())
    }

    fn draw_rect<S: BackendStyle>(&mut self, a: BackendCoord, b: BackendCoord, style: &S, fill: bool) -> Drawn {
        let (left, top) = (a.0.min(b.0), a.1.min(b.1));
        let (right, bottom) = (a.0.max(b.0), a.1.max(b.1));
        if fill {
            return self.add(Shape::Rectangle((left, top), (right, bottom), shape_style(style)), style.color());
        }
        let place = |v: i32| if style.stroke_width() == PX { middle_of_pixel(v) } else { v };
        let (left, top, right, bottom) = (place(left), place(top), place(right), place(bottom));
        // From the middle of a side, so that all four corners are joined.
        let middle = (left + right) / 2;
        let path = [(middle, top), (right, top), (right, bottom), (left, bottom), (left, top), (middle, top)];
        self.add(Shape::Path(path.to_vec(), shape_style(style)), style.color())
    }

    fn draw_circle<S: BackendStyle>(&mut self, centre: BackendCoord, radius: u32, style: &S, fill: bool) -> Drawn {
        let look = ShapeStyle { filled: fill, ..shape_style(style) };
        self.add(Shape::Circle(centre, radius, look), style.color())
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(&mut self, path: I, style: &S) -> Drawn {
        self.add(Shape::Polygon(path.into_iter().collect(), shape_style(style)), style.color())
    }

    /// Text may have several lines. The font is the figure's, whatever the style names.
    fn draw_text<S: BackendTextStyle>(&mut self, text: &str, style: &S, pos: BackendCoord) -> Drawn {
        let size = style.size() / PLOTTERS_FONT_SCALE;
        let lines: Vec<&str> = text.split('\n').collect();
        let further = (lines.len() - 1) as f64 * LINE_HEIGHT;
        // Digits and capitals are 0.73 of the font size high; what hangs below the baseline, a quarter.
        let first = match style.anchor().v_pos {
            VPos::Top => 0.76,
            VPos::Center => 0.365 - further / 2.0,
            VPos::Bottom => -0.24 - further,
        };
        for (nth, line) in lines.into_iter().enumerate() {
            let down = ((first + nth as f64 * LINE_HEIGHT) * size).round() as i32;
            let (dx, dy) = style.transform().transform(0, down);
            let line = Text {
                text: printable(line),
                size,
                colour: rgba(style.color()),
                at: (pos.0 + dx, pos.1 + dy),
                anchor: style.anchor().h_pos,
                turn: style.transform(),
            };
            if !line.text.trim().is_empty() {
                self.add(Shape::Text(line), style.color())?;
            }
        }
        Ok(())
    }
}

fn shape_style<S: BackendStyle>(style: &S) -> ShapeStyle {
    ShapeStyle { color: rgba(style.color()), filled: false, stroke_width: style.stroke_width() }
}

fn rgba(colour: BackendColor) -> RGBAColor {
    let (red, green, blue) = colour.rgb;
    RGBAColor(red, green, blue, colour.alpha)
}

/// Puts a line of one pixel that runs along an axis on the middle of a pixel, where it is sharp.
fn sharpen(a: &mut i32, b: &mut i32) {
    if a == b {
        *a = middle_of_pixel(*a);
        *b = *a;
    }
}

fn middle_of_pixel(place: i32) -> i32 {
    let px = PX as i32;
    place.div_euclid(px) * px + px / 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use plotters::style::BLACK;
    use plotters::style::text_anchor::Pos;

    #[test]
    fn covered_lengths_are_those_inside() {
        let style = ShapeStyle::from(BLACK).stroke_width(PX);
        let path = Shape::Path(vec![(0, 50), (100, 50), (100, 500)], style);
        assert_eq!(path.length_in((20, 0), (150, 100)), 80.0 + 50.0);
        assert_eq!(path.length_in((20, 60), (90, 100)), 0.0);
        assert_eq!(Shape::Circle((10, 10), 40, style).length_in((0, 0), (100, 100)), 50.0);
    }

    #[test]
    fn thin_straight_lines_are_sharp() {
        let mut recorder = Recorder::new((10.0, 10.0));
        let style = ShapeStyle::from(BLACK).stroke_width(PX);
        recorder.draw_line((13, 7), (13, 58), &style).unwrap();
        recorder.draw_line((13, 7), (14, 58), &style).unwrap();
        recorder.draw_rect((31, 9), (2, 58), &style, false).unwrap();
        let paths = recorder.shapes.iter().map(|shape| match shape {
            Shape::Path(points, _) => points.clone(),
            _ => panic!("another shape"),
        });
        assert_eq!(paths.clone().next(), Some(vec![(15, 7), (15, 58)]));
        assert_eq!(paths.clone().nth(1), Some(vec![(13, 7), (14, 58)]));
        assert_eq!(paths.clone().nth(2).unwrap()[1..5], [(35, 5), (35, 55), (5, 55), (5, 5)]);
    }

    #[test]
    fn lines_of_text_stand_below_each_other_in_their_direction() {
        let mut recorder = Recorder::new((100.0, 100.0));
        let style = super::super::text::style(10.0).pos(Pos::new(HPos::Center, VPos::Bottom));
        recorder.draw_text("a\u{1b}\nb", &style, (500, 500)).unwrap();
        recorder.draw_text("a\nb", &style.transform(FontTransform::Rotate270), (500, 500)).unwrap();
        let places = recorder.shapes.iter().map(|shape| match shape {
            Shape::Text(text) => (text.text.as_str(), text.at),
            _ => panic!("another shape"),
        });
        assert_eq!(
            places.collect::<Vec<_>>(),
            [("a ", (500, 351)), ("b", (500, 476)), ("a", (351, 500)), ("b", (476, 500))]
        );
    }
}
