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
pub(super) const FAMILY: &str = "DejaVu Sans, Arial, Helvetica, sans-serif";

/// plotters divides font sizes by this on their way to letters.
pub(super) const PLOTTERS_FONT_SCALE: f64 = 1.24;

/// Makes DejaVu Sans known to plotters. Each notebook cell has its own copy of plotters' list of fonts.
pub(super) fn register() {
    for family in [FAMILY, "sans-serif"] {
        // Where plotters did not take it, every drawing would report a missing font.
        let _ = register_font(family, FontStyle::Normal, dejavu::sans::regular());
    }
}

/// Black text of this font size in pixels.
pub(super) fn style(size: f64) -> TextStyle<'static> {
    let size = size * f64::from(PX) * PLOTTERS_FONT_SCALE;
    FontDesc::new(FontFamily::Name(FAMILY), size, FontStyle::Normal).color(&BLACK)
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
        let paragraphs = text.split('\n').map(printable);
        let mut lines: Vec<String> = Vec::new();
        for paragraph in paragraphs {
            lines.extend(self.wrap_paragraph(&paragraph, size, limit, MAX_LINES + 1));
            if lines.len() > MAX_LINES {
                lines.truncate(MAX_LINES);
                let last = &mut lines[MAX_LINES - 1];
                while self.width(last, size) + self.advance('…') * size > limit && last.pop().is_some() {}
                last.push('…');
                break;
            }
        }
        lines
    }

    /// The first `most` lines of a text without line breaks.
    fn wrap_paragraph(&self, text: &str, size: f64, limit: f64, most: usize) -> Vec<String> {
        let mut lines = Vec::new();
        let mut line = String::new();
        let mut filled = 0.0;
        for word in text.split(' ').filter(|word| !word.is_empty()) {
            let space = if line.is_empty() { "" } else { " " };
            let width = self.width(space, size) + self.width(word, size);
            if filled + width <= limit {
                line = line + space + word;
                filled += width;
                continue;
            }
            // On a line of its own, broken where it is still too long.
            lines.extend((!line.is_empty()).then(|| std::mem::take(&mut line)));
            filled = 0.0;
            for c in word.chars() {
                let width = self.advance(c) * size;
                if !line.is_empty() && filled + width > limit {
                    lines.push(std::mem::take(&mut line));
                    filled = 0.0;
                }
                if lines.len() >= most {
                    return lines;
                }
                line.push(c);
                filled += width;
            }
        }
        lines.extend((!line.is_empty()).then_some(line));
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
