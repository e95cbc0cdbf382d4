//! The backend on which plotters draws every picture: it keeps what is drawn, to be shown as SVG or as pixels.

use std::convert::Infallible;

use plotters::coord::Shift;
use plotters::prelude::{DrawingArea, DrawingBackend, RGBAColor, ShapeStyle, TextStyle};
use plotters::style::text_anchor::{Pos, VPos};
use plotters_backend::{BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingErrorKind};

use super::text::{BASELINE, LINE_HEIGHT, PLOTTERS_FONT_SCALE, font, printable, register};
use super::visible::cut;

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

/// What pictures consist of.
#[derive(Clone)]
pub(super) struct Shape {
    pub(super) outline: Outline,
    pub(super) style: ShapeStyle,
}

/// Lengths are in units, y downwards.
#[derive(Clone)]
pub(super) enum Outline {
    /// A line through points, or what it surrounds.
    Path(Vec<BackendCoord>),
    Rectangle(BackendCoord, BackendCoord),
    Circle(BackendCoord, u32),
    /// One line of text in the picture's font, below its place.
    Text(String, Box<TextStyle<'static>>, BackendCoord),
}

impl Shape {
    /// The length of lines that a rectangle covers of the shape.
    pub(super) fn length_in(&self, from: BackendCoord, to: BackendCoord) -> f64 {
        let across = |(x, y): BackendCoord, half: i32| [(x - half, y), (x + half, y)];
        let line: &[BackendCoord] = match &self.outline {
            Outline::Path(points) => points,
            Outline::Rectangle(a, b) => &[*a, *b],
            Outline::Circle(centre, radius) => &across(*centre, *radius as i32),
            Outline::Text(_, style, at) => &across(*at, (style.font.get_size() / PLOTTERS_FONT_SCALE) as i32),
        };
        let size = (f64::from(to.0 - from.0), f64::from(to.1 - from.1));
        let places = line.iter().map(|at| (f64::from(at.0 - from.0), f64::from(at.1 - from.1)));
        let inside = cut(size, places.collect(), false);
        let lengths = inside.windows(2).map(|ends| (ends[1].0 - ends[0].0).hypot(ends[1].1 - ends[0].1));
        lengths.filter(|length| length.is_finite()).sum()
    }

    /// Has another backend of plotters draw the shape.
    pub(super) fn draw<B: DrawingBackend>(&self, backend: &mut B) -> Result<(), DrawingErrorKind<B::ErrorType>> {
        let style = &self.style;
        match &self.outline {
            Outline::Path(points) if style.filled => backend.fill_polygon(points.iter().copied(), style),
            Outline::Path(points) => backend.draw_path(points.iter().copied(), style),
            Outline::Rectangle(from, to) => backend.draw_rect(*from, *to, style, style.filled),
            Outline::Circle(centre, radius) => backend.draw_circle(*centre, *radius, style, style.filled),
            Outline::Text(line, style, at) => backend.draw_text(line, &**style, *at),
        }
    }
}

/// What draws on a recorder.
pub(super) type Area = DrawingArea<Recorder, Shift>;

type Drawn = Result<(), DrawingErrorKind<Infallible>>;

impl Recorder {
    /// A picture without shapes, of this width and height in pixels.
    pub(super) fn new((width, height): (u32, u32)) -> Self {
        register();
        Recorder { size: (width * PX, height * PX), shapes: Vec::new() }
    }

    fn add<S: BackendStyle>(&mut self, outline: Outline, style: &S, filled: bool) -> Drawn {
        let BackendColor { alpha, rgb: (red, green, blue) } = style.color();
        let color = RGBAColor(red, green, blue, alpha);
        let style = ShapeStyle { color, filled, stroke_width: style.stroke_width() };
        if alpha > 0.0 {
            self.shapes.push(Shape { outline, style });
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
        self.add(Outline::Path(points), style, false)
    }

    fn draw_rect<S: BackendStyle>(&mut self, a: BackendCoord, b: BackendCoord, style: &S, fill: bool) -> Drawn {
        if fill {
            return self.add(
                Outline::Rectangle((a.0.min(b.0), a.1.min(b.1)), (a.0.max(b.0), a.1.max(b.1))),
                style,
                true,
            );
        }
        let place = |v: i32| if style.stroke_width() == PX { middle_of_pixel(v) } else { v };
        let (left, top) = (place(a.0.min(b.0)), place(a.1.min(b.1)));
        let (right, bottom) = (place(a.0.max(b.0)), place(a.1.max(b.1)));
        // From the middle of a side, so that all four corners are joined.
        let middle = (left + right) / 2;
        let path = [(middle, top), (right, top), (right, bottom), (left, bottom), (left, top), (middle, top)];
        self.add(Outline::Path(path.to_vec()), style, false)
    }

    fn draw_circle<S: BackendStyle>(&mut self, centre: BackendCoord, radius: u32, style: &S, fill: bool) -> Drawn {
        self.add(Outline::Circle(centre, radius), style, fill)
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(&mut self, path: I, style: &S) -> Drawn {
        self.add(Outline::Path(path.into_iter().collect()), style, true)
    }

    /// Text may have several lines. The font is the figure's, whatever the style names.
    fn draw_text<S: BackendTextStyle>(&mut self, text: &str, style: &S, pos: BackendCoord) -> Drawn {
        let size = style.size() / PLOTTERS_FONT_SCALE;
        let further = text.matches('\n').count() as f64 * LINE_HEIGHT;
        // Digits and capitals are 0.73 of the font size high; what hangs below the baseline, a quarter.
        let first = match style.anchor().v_pos {
            VPos::Top => BASELINE,
            VPos::Center => 0.365 - further / 2.0,
            VPos::Bottom => -0.24 - further,
        };
        let look = Box::new(TextStyle {
            font: font(style.size()).transform(style.transform()),
            color: style.color(),
            pos: Pos::new(style.anchor().h_pos, VPos::Top),
        });
        for (nth, line) in text.split('\n').map(printable).enumerate() {
            let down = ((first + nth as f64 * LINE_HEIGHT) * size).round() - (BASELINE * size).round();
            let (dx, dy) = style.transform().transform(0, down as i32);
            if !line.trim().is_empty() {
                self.add(Outline::Text(line, look.clone(), (pos.0 + dx, pos.1 + dy)), &style.color(), true)?;
            }
        }
        Ok(())
    }
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
    use plotters::style::text_anchor::HPos;
    use plotters_backend::FontTransform;

    #[test]
    fn covered_lengths_are_those_inside() {
        let style = ShapeStyle::from(BLACK).stroke_width(PX);
        let path = Shape { outline: Outline::Path(vec![(0, 50), (100, 50), (100, 500)]), style };
        assert_eq!(path.length_in((20, 0), (150, 100)), 80.0 + 50.0);
        assert_eq!(path.length_in((20, 60), (90, 100)), 0.0);
        let circle = Shape { outline: Outline::Circle((10, 10), 40), style };
        assert_eq!(circle.length_in((0, 0), (100, 100)), 50.0);
    }

    #[test]
    fn thin_straight_lines_are_sharp() {
        let mut recorder = Recorder::new((10, 10));
        let style = ShapeStyle::from(BLACK).stroke_width(PX);
        recorder.draw_line((13, 7), (13, 58), &style).unwrap();
        recorder.draw_line((13, 7), (14, 58), &style).unwrap();
        recorder.draw_rect((31, 9), (2, 58), &style, false).unwrap();
        let paths = recorder.shapes.iter().map(|shape| match &shape.outline {
            Outline::Path(points) => points.clone(),
            _ => panic!("another shape"),
        });
        assert_eq!(paths.clone().next(), Some(vec![(15, 7), (15, 58)]));
        assert_eq!(paths.clone().nth(1), Some(vec![(13, 7), (14, 58)]));
        assert_eq!(paths.clone().nth(2).unwrap()[1..5], [(35, 5), (35, 55), (5, 55), (5, 5)]);
    }

    #[test]
    fn lines_of_text_stand_below_each_other_in_their_direction() {
        let mut recorder = Recorder::new((100, 100));
        let style = super::super::text::style(10.0).pos(Pos::new(HPos::Center, VPos::Bottom));
        recorder.draw_text("a\u{1b}\nb", &style, (500, 500)).unwrap();
        recorder.draw_text("a\nb", &style.transform(FontTransform::Rotate270), (500, 500)).unwrap();
        let places = recorder.shapes.iter().map(|shape| match &shape.outline {
            Outline::Text(text, _, at) => (text.as_str(), *at),
            _ => panic!("another shape"),
        });
        assert_eq!(
            places.collect::<Vec<_>>(),
            [("a ", (500, 275)), ("b", (500, 400)), ("a", (275, 500)), ("b", (400, 500))]
        );
    }
}
