//! Text: its one font, its width, and how it is broken into lines.

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
pub(super) struct Font(pub(super) FontRef<'static>);

impl Font {
    pub(super) fn new() -> Self {
        Font(FontRef::try_from_slice(dejavu::sans::regular()).expect("the crate dejavu holds fonts"))
    }

    /// The width in pixels of one line of text at the font size `size` (pixels).
    pub(super) fn width(&self, text: &str, size: f64) -> f64 {
        text.chars().map(|c| self.advance(c)).sum::<f64>() * size
    }

    /// A character's width as a part of the font size.
    fn advance(&self, c: char) -> f64 {
        let em = self.0.units_per_em().unwrap_or(1.0);
        f64::from(self.0.h_advance_unscaled(self.0.glyph_id(c)) / em)
    }

    /// Breaks a text at spaces, and within words that are too long, into lines no wider than `limit` pixels.
    ///
    /// Line breaks in the text are kept. What does not fit on four lines ends in an ellipsis.
    pub(super) fn wrap(&self, text: &str, size: f64, limit: f64) -> Vec<String> {
        const MAX_LINES: usize = 4;
        let mut lines: Vec<String> = Vec::new();
        for paragraph in text.split('\n').map(printable) {
            let mut line = String::new();
            for word in paragraph.split(' ').filter(|word| !word.is_empty()) {
                let longer = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
                if self.width(&longer, size) <= limit {
                    line = longer;
                    continue;
                }
                // On a line of its own, broken where it is still too long.
                lines.push(std::mem::take(&mut line));
                for c in word.chars() {
                    if self.width(&line, size) + self.advance(c) * size > limit {
                        lines.push(std::mem::take(&mut line));
                    }
                    line.push(c);
                }
            }
            lines.push(line);
        }
        lines.retain(|line| !line.is_empty());
        if lines.len() > MAX_LINES {
            lines.truncate(MAX_LINES);
            let last = &mut lines[MAX_LINES - 1];
            while self.width(last, size) + self.advance('…') * size > limit && last.pop().is_some() {}
            last.push('…');
        }
        lines
    }
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
        let font = Font::new();
        let text = "training and validation loss of a small convolutional network";
        let lines = font.wrap(text, 16.0, 200.0);
        assert!(lines.len() > 1 && lines.iter().all(|line| font.width(line, 16.0) <= 200.0), "{lines:?}");
        assert_eq!(lines.join(" "), text);
    }

    #[test]
    fn long_words_break_and_long_texts_end() {
        let font = Font::new();
        for text in ["w".repeat(100_000), "w ".repeat(100_000), "w\n".repeat(100_000)] {
            let lines = font.wrap(&text, 16.0, 200.0);
            assert_eq!(lines.len(), 4);
            assert!(lines[3].ends_with('…') && lines.iter().all(|line| font.width(line, 16.0) <= 200.0), "{lines:?}");
        }
        assert_eq!(font.wrap("a\u{1b}[31mb\0c\u{ffff}\n\nd", 16.0, 200.0), ["a [31mb c\u{fffd}", "d"]);
        assert_eq!(font.wrap(&format!("a {} b", "w".repeat(20)), 16.0, 200.0)[0], "a");
        assert!(font.wrap(" \n", 16.0, 200.0).is_empty());
    }

    #[test]
    fn widths_are_those_of_the_font() {
        let font = Font::new();
        // DejaVu Sans has 2048 units to the em: 1303 for a digit, 569 for an i.
        assert_eq!(font.width("00", 2048.0), 2606.0);
        assert_eq!(font.width("i", 2048.0), 569.0);
    }
}
