//! Widths of text, for the layout: the viewer's fonts are unknown when a picture is made.

/// The width in pixels of one line of text at the font size `size` (pixels), an upper estimate for common fonts.
pub(super) fn width(text: &str, size: f64) -> f64 {
    text.chars().map(advance).sum::<f64>() * size
}

/// Breaks a text at spaces, and within words that are too long, into lines no wider than `limit` pixels.
///
/// Line breaks in the text are kept; other control characters, which XML forbids, become spaces. What does not fit on
/// four lines ends in an ellipsis.
pub(super) fn wrap(text: &str, size: f64, limit: f64) -> Vec<String> {
    const MAX_LINES: usize = 4;
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let mut line = String::new();
        for word in paragraph.split(|c: char| c == ' ' || c.is_control()).filter(|word| !word.is_empty()) {
            for (nth, piece) in pieces(word, size, limit).into_iter().enumerate() {
                if nth == 0
                    && !line.is_empty()
                    && width(&line, size) + width(&piece, size) + advance(' ') * size <= limit
                {
                    line.push(' ');
                } else if !line.is_empty() {
                    lines.push(std::mem::take(&mut line));
                }
                line.push_str(&piece);
            }
            if lines.len() > MAX_LINES {
                break;
            }
        }
        if !line.is_empty() {
            lines.push(line);
        }
        if lines.len() > MAX_LINES {
            break;
        }
    }
    if lines.len() > MAX_LINES {
        lines.truncate(MAX_LINES);
        if let Some(last) = lines.last_mut() {
            while width(last, size) + advance('…') * size > limit && last.pop().is_some() {}
            last.push('…');
        }
    }
    lines
}

/// A word in parts that each fit; almost always the whole word.
fn pieces(word: &str, size: f64, limit: f64) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut filled = 0.0;
    for c in word.chars() {
        let c = if matches!(c, '\u{fffe}' | '\u{ffff}') { '\u{fffd}' } else { c };
        let advance = advance(c) * size;
        if filled > 0.0 && filled + advance > limit {
            pieces.push(String::new());
            filled = 0.0;
        }
        filled += advance;
        if let Some(piece) = pieces.last_mut() {
            piece.push(c);
        }
    }
    pieces
}

/// A character's width as a part of the font size: that of DejaVu Sans for ASCII, a class estimate for the rest.
fn advance(c: char) -> f64 {
    match c {
        ' '..='~' => f64::from(ASCII[c as usize - ' ' as usize]) / 1000.0,
        '\u{300}'..='\u{36f}' => 0.0,
        '⁰'..='⁹' | '¹' | '²' | '³' => 0.401,
        '⁻' => 0.528,
        '\u{a0}'..='\u{24f}' => 0.70,
        '\u{250}'..='\u{10ff}' | '\u{2000}'..='\u{2bff}' => 0.86,
        _ => 1.05,
    }
}

/// Widths of DejaVu Sans, space to tilde, in thousandths of the font size.
#[rustfmt::skip]
const ASCII: [u16; 95] = [
    318, 401, 460, 838, 636, 950, 780, 275, 390, 390, 500, 838, 318, 361, 318, 337, 636, 636, 636, 636, 636, 636, 636,
    636, 636, 636, 337, 337, 838, 838, 838, 531, 1000, 684, 686, 698, 770, 632, 575, 775, 752, 295, 295, 656, 557, 863,
    748, 787, 603, 787, 695, 635, 611, 732, 684, 989, 685, 611, 685, 390, 337, 390, 838, 500, 500, 613, 635, 550, 635,
    615, 352, 635, 634, 278, 278, 579, 278, 974, 634, 612, 635, 635, 411, 521, 392, 634, 592, 818, 592, 592, 525, 636,
    337, 636, 838,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_fit_and_keep_their_words() {
        let text = "training and validation loss of a small convolutional network";
        let lines = wrap(text, 16.0, 200.0);
        assert!(lines.len() > 1 && lines.iter().all(|line| width(line, 16.0) <= 200.0), "{lines:?}");
        assert_eq!(lines.join(" "), text);
    }

    #[test]
    fn long_words_break_and_long_texts_end() {
        let lines = wrap(&"w".repeat(100_000), 16.0, 200.0);
        assert_eq!(lines.len(), 4);
        assert!(lines[3].ends_with('…') && lines.iter().all(|line| width(line, 16.0) <= 200.0), "{lines:?}");
        assert_eq!(wrap("a\u{1b}[31mb\0c\u{ffff}\n\nd", 16.0, 200.0), ["a [31mb c\u{fffd}", "d"]);
        assert!(wrap(" \n", 16.0, 200.0).is_empty());
    }
}
