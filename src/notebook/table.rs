//! Tables, as HTML and as plain text.

use crate::figure::escape;

/// A table: headings of the columns, and rows of cells.
pub(super) struct Table {
    pub(super) caption: String,
    pub(super) head: Vec<&'static str>,
    pub(super) rows: Vec<Vec<String>>,
}

impl Table {
    /// Has no colours of its own, so that those of the page apply. Without the style, JupyterLab aligns text at the
    /// right.
    pub(super) fn html(&self) -> String {
        let row = |cells: &mut dyn Iterator<Item = &str>, tag: &str| {
            let cells: String =
                cells.map(|cell| format!("<{tag} style=\"text-align: left\">{}</{tag}>", escape(cell))).collect();
            format!("<tr>{cells}</tr>\n")
        };
        let mut html = format!("<table>\n<caption>{}</caption>\n", escape(&self.caption));
        html += &format!("<thead>\n{}</thead>\n<tbody>\n", row(&mut self.head.iter().copied(), "th"));
        html.extend(self.rows.iter().map(|cells| row(&mut cells.iter().map(String::as_str), "td")));
        html + "</tbody>\n</table>\n"
    }

    /// Aligned columns with two spaces between them.
    pub(super) fn text(&self) -> String {
        let head: Vec<String> = self.head.iter().map(|cell| (*cell).to_owned()).collect();
        let lines: Vec<&Vec<String>> = std::iter::once(&head).chain(&self.rows).collect();
        let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default();
        let widths: Vec<usize> = (0..head.len()).map(width).collect();
        let mut text = self.caption.clone();
        for line in lines {
            let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
            text += &format!("\n{}", cells.collect::<Vec<_>>().join("  ").trim_end());
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_text_in_both_forms() {
        let table = Table {
            caption: "a < b".to_owned(),
            head: vec!["name", "µ"],
            rows: vec![vec!["<b>".to_owned(), "1 & 2".to_owned()], vec!["longer".to_owned(), String::new()]],
        };
        assert_eq!(table.text(), "a < b\nname    µ\n<b>     1 & 2\nlonger");
        let html = table.html();
        let document = roxmltree::Document::parse(&html).unwrap();
        let texts = |tag: &str| -> Vec<String> {
            let found = document.descendants().filter(|node| node.has_tag_name(tag));
            found.map(|node| node.text().unwrap_or_default().to_owned()).collect()
        };
        assert_eq!(
            (texts("caption"), texts("th")),
            (vec!["a < b".to_owned()], vec!["name".to_owned(), "µ".to_owned()])
        );
        assert_eq!(texts("td"), ["<b>", "1 & 2", "longer", ""]);
    }
}
