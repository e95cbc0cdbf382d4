//! Text: its one font, its width, and how it is broken into lines.

use std::sync::LazyLock;

use ab_glyph::{Font as _, FontRef};
use plotters::style::{BLACK, FontDesc, FontFamily, FontStyle, TextStyle, register_font};

use super::recorder::PX;

/// The font sizes of labels and of titles, in pixels.
pub(super) const TEXT: f64 = 13.0;
pub(super) const TITLE: f64 = 16.0;

/// The distance of two lines of text, as a part of the font size.
pub(super) const LINE_HEIGHT: f64 = 1.25;

/// What an SVG names. DejaVu Sans is the widest of these, and text is laid out by its widths.
const FAMILY: &str = "DejaVu Sans, Arial, Helvetica, sans-serif";

/// plotters divides font sizes by this on their way to letters.
pub(super) const PLOTTERS_FONT_SCALE: f64 = 1.24;

/// plotters puts the baseline of a line of text this part of the font size below its top.
pub(super) const BASELINE: f64 = 0.76;

/// Makes DejaVu Sans known to plotters. Each notebook cell may have its own copy of plotters' list of fonts.
pub(super) fn register() {
    for family in [FAMILY, "sans-serif"] {
        // Where plotters did not take it, every drawing would report a missing font.
        let _ = register_font(family, FontStyle::Normal, dejavu::sans::regular());
    }
}

/// Black text of this font size in pixels.
pub(super) fn style(size: f64) -> TextStyle<'static> {
    font(size * f64::from(PX) * PLOTTERS_FONT_SCALE).color(&BLACK)
}

/// The font in plotters' size.
pub(super) fn font(size: f64) -> FontDesc<'static> {
    FontDesc::new(FontFamily::Name(FAMILY), size, FontStyle::Normal)
}

/// DejaVu Sans, to measure text and for its outlines.
pub(super) static FONT: LazyLock<FontRef> =
    LazyLock::new(|| FontRef::try_from_slice(dejavu::sans::regular()).expect("the crate dejavu holds fonts"));

/// The width in pixels of the widest line of a text at the font size `size` (pixels).
pub(super) fn width(text: &str, size: f64) -> f64 {
    text.lines().map(|line| line.chars().map(advance).sum::<f64>() * size).fold(0.0, f64::max)
}

/// A character's width as a part of the font size.
fn advance(c: char) -> f64 {
    f64::from(FONT.h_advance_unscaled(FONT.glyph_id(c)) / FONT.units_per_em().unwrap_or(1.0))
}

/// Breaks a text at spaces, and within words that are too long, into lines no wider than `limit` pixels.
///
/// Line breaks in the text are kept. What does not fit on four lines ends in an ellipsis.
pub(super) fn wrap(text: &str, size: f64, limit: f64) -> String {
    const MAX_LINES: usize = 4;
    let too_wide = |line: &str, c: char| width(line, size) + advance(c) * size > limit;
    let mut lines: Vec<String> = Vec::new();
    for paragraph in text.split('\n').map(printable) {
        let mut line = String::new();
        for c in paragraph.split_ascii_whitespace().collect::<Vec<_>>().join(" ").chars() {
            if c != ' ' && too_wide(&line, c) {
                // The word goes on in the next line, from its start if that is in this one.
                let word = line.rfind(' ').map(|space| line.split_off(space + 1)).unwrap_or_default();
                lines.push(std::mem::replace(&mut line, word).trim_end().to_owned());
            }
            line.push(c);
        }
        lines.push(line);
    }
    lines.retain(|line| !line.is_empty());
    if lines.len() > MAX_LINES {
        lines.truncate(MAX_LINES);
        let last = &mut lines[MAX_LINES - 1];
        while too_wide(last, '…') && last.pop().is_some() {}
        last.push('…');
    }
    lines.join("\n")
}

/// A text as HTML.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A text in which spaces stand for control characters, which XML forbids.
pub(super) fn printable(text: &str) -> String {
    let printable = |c: char| match c {
        '\u{fffe}' | '\u{ffff}' => '\u{fffd}',
        c if c.is_control() => ' ',
        c => c,
    };
    text.chars().map(printable).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_fit_and_keep_their_words() {
        let text = "training and validation loss of a small convolutional network";
        let lines = wrap(text, 16.0, 200.0);
        assert!(lines.lines().count() > 1 && width(&lines, 16.0) <= 200.0, "{lines}");
        assert_eq!(lines.replace('\n', " "), text);
    }

    #[test]
    fn long_words_break_and_long_texts_end() {
        for text in ["w".repeat(100_000), "w ".repeat(100_000), "w\n".repeat(100_000)] {
            let lines = wrap(&text, 16.0, 200.0);
            assert_eq!(lines.lines().count(), 4);
            assert!(lines.ends_with('…') && width(&lines, 16.0) <= 200.0, "{lines}");
        }
        assert_eq!(wrap("a\u{1b}[31mb\0c\u{ffff}\n\nd", 16.0, 200.0), "a [31mb c\u{fffd}\nd");
        assert_eq!(wrap(&format!("a {} b", "w".repeat(20)), 16.0, 200.0).lines().next(), Some("a"));
        assert_eq!(wrap(" \n", 16.0, 200.0), "");
    }

    #[test]
    fn widths_are_those_of_the_font() {
        // DejaVu Sans has 2048 units to the em: 1303 for a digit, 569 for an i.
        assert_eq!(width("00", 2048.0), 2606.0);
        assert_eq!(width("i\n00\ni", 2048.0), 2606.0);
    }
}
