//! How series look: colours and lines.

use plotters::element::DashedPathElement;
use plotters::style::{BLACK, Color, RGBColor, ShapeStyle};

use super::recorder::units;

/// Told apart with any colour vision, and, by their lightness, without colour; the first ones best. Chosen from the
/// colours of Okabe and Ito, Color Universal Design (2008), and of Paul Tol's notes on colour schemes (2021), some made
/// darker.
pub(super) const COLOURS: [RGBColor; 6] = [
    RGBColor(0x00, 0x4a, 0x8f),
    RGBColor(0xd5, 0x5e, 0x00),
    RGBColor(0x56, 0xb4, 0xe9),
    RGBColor(0x66, 0x11, 0x00),
    RGBColor(0x00, 0x78, 0x5a),
    RGBColor(0xcc, 0x79, 0xa7),
];

/// The radius of markers, in pixels.
pub(super) const MARKER_RADIUS: f64 = 4.0;

/// How a series looks.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Look {
    pub(super) colour: RGBColor,
    /// The width of its line, in pixels.
    pub(super) width: f64,
    /// The lengths of dashes and of the gaps between them, in parts of the width.
    pub(super) dash: (f64, f64),
    pub(super) markers: bool,
}

/// plotters draws a dash that does not end as one line.
pub(super) const SOLID: (f64, f64) = (f64::INFINITY, 0.0);

impl Look {
    /// The style of areas.
    pub(super) fn fill(&self) -> ShapeStyle {
        self.colour.mix(0.3).filled()
    }

    /// The style of lines.
    pub(super) fn stroke(&self) -> ShapeStyle {
        self.colour.stroke_width(units(self.width).max(1) as u32)
    }

    /// A line through the points.
    pub(super) fn line<T: Clone>(&self, points: Vec<T>) -> DashedPathElement<std::vec::IntoIter<T>, i32> {
        let (dash, gap) = (units(self.dash.0 * self.width), units(self.dash.1 * self.width));
        DashedPathElement::new(points, dash.max(1), gap, self.stroke())
    }
}

/// The colour of this name, as [`Axes::color`](super::Axes::color) takes it.
pub(super) fn color(name: &str) -> Option<RGBColor> {
    match (name, name.split_at_checked(1)?) {
        ("black", _) => Some(BLACK),
        ("gray", _) => Some(RGBColor(0x80, 0x80, 0x80)),
        (_, ("C", nth)) => COLOURS.get(nth.parse::<usize>().ok()?).copied(),
        (_, ("#", digits)) if digits.len() == 6 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()) => {
            let [_, red, green, blue] = u32::from_str_radix(digits, 16).ok()?.to_be_bytes();
            Some(RGBColor(red, green, blue))
        }
        _ => None,
    }
}

/// The dashes of this name, as [`Axes::linestyle`](super::Axes::linestyle) takes it; matplotlib's.
pub(super) fn dash(name: &str) -> Option<(f64, f64)> {
    match name {
        "-" => Some(SOLID),
        "--" => Some((3.7, 1.6)),
        ":" => Some((1.0, 1.65)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CIE 1976 L*, a*, b* of a linear RGB colour (sRGB primaries, white point D65).
    fn lab([r, g, b]: [f64; 3]) -> [f64; 3] {
        let f = |t: f64| if t > 216.0 / 24389.0 { t.cbrt() } else { (24389.0 / 27.0 * t + 16.0) / 116.0 };
        let x = f((0.4124564 * r + 0.3575761 * g + 0.1804375 * b) / 0.95047);
        let y = f(0.2126729 * r + 0.7151522 * g + 0.0721750 * b);
        let z = f((0.0193339 * r + 0.1191920 * g + 0.9503041 * b) / 1.08883);
        [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
    }

    #[test]
    fn colours_differ_for_every_eye_and_in_grey() {
        // Machado, Oliveira and Fernandes, IEEE Trans. Vis. Comput. Graph. 15, 1291 (2009): no, no red, no green, no
        // blue cones missing.
        let eyes = [
            [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
            [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
            [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
            [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
        ];
        let linear = |c: u8| match f64::from(c) / 255.0 {
            c if c <= 0.04045 => c / 12.92,
            c => ((c + 0.055) / 1.055_f64).powf(2.4),
        };
        let seen = |eye: &[[f64; 3]; 3], colour: RGBColor| {
            let rgb = [linear(colour.0), linear(colour.1), linear(colour.2)];
            lab(eye.map(|row| row.iter().zip(rgb).map(|(a, b)| a * b).sum::<f64>().clamp(0.0, 1.0)))
        };
        let colours: Vec<RGBColor> = COLOURS.into_iter().chain([BLACK]).collect();
        for (nth, &a) in colours.iter().enumerate() {
            for &b in &colours[..nth] {
                for eye in &eyes {
                    let (a, b) = (seen(eye, a), seen(eye, b));
                    let distance = a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
                    assert!(distance > 15.0, "{a:?} and {b:?}");
                }
                let grey = (seen(&eyes[0], a)[0] - seen(&eyes[0], b)[0]).abs();
                // Three lines are common, more are rare.
                assert!(grey > if nth < 3 { 15.0 } else { 6.0 }, "{a:?} and {b:?}");
            }
        }
    }

    #[test]
    fn colours_have_names() {
        assert_eq!(color("C1"), Some(COLOURS[1]));
        assert_eq!(color("#0a10FF"), Some(RGBColor(10, 16, 255)));
        for name in ["C6", "C", "#12345", "#+12345", "#1234567", "#ééé", "", "red"] {
            assert_eq!(color(name), None, "{name}");
        }
    }
}
