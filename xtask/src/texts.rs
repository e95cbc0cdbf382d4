//! Every text of the checkout that people read: Markdown files, the notebooks' Markdown cells, documentation comments.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use pulldown_cmark::{BrokenLink, CodeBlockKind, Event, LinkType, Options, Parser, Tag, TagEnd};
use serde_json::Value;

use crate::examine;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// A Markdown file.
    File,
    /// A Markdown cell.
    Cell,
    /// A documentation comment.
    Comment,
}

/// One text.
#[derive(Debug)]
pub struct Text {
    pub kind: Kind,
    /// The file, relative to the checkout.
    pub file: String,
    /// Where the text begins, for messages.
    pub place: String,
    pub parts: Parts,
}

/// What is in a text.
#[derive(Debug, Default)]
pub struct Parts {
    /// Where links and images lead.
    pub links: Vec<String>,
    /// Names of link definitions that are not there.
    pub undefined: Vec<String>,
    /// `Code` within a line.
    pub spans: Vec<String>,
    /// Blocks of code, each with what stands behind its opening fence.
    pub blocks: Vec<(String, String)>,
    pub headings: Vec<String>,
    /// Identifiers of HTML elements.
    pub identifiers: Vec<String>,
}

/// All texts below a directory, in the order of their files' names.
pub fn all(root: &Path) -> Result<Vec<Text>> {
    let mut texts = Vec::new();
    for file in files(root, "")? {
        let read = || fs::read_to_string(root.join(&file)).with_context(|| format!("cannot read {file}"));
        if file.ends_with(".md") {
            texts.push(Text { kind: Kind::File, place: file.clone(), parts: parts(&read()?), file });
        } else if file.ends_with(".ipynb") {
            let notebook = serde_json::from_str(&read()?).with_context(|| format!("{file} is no JSON"))?;
            texts.extend(cells(&file, &notebook));
        } else if file.ends_with(".rs") {
            texts.extend(comments(&file, &read()?));
        }
    }
    Ok(texts)
}

/// The files below a folder of the checkout, without those that git ignores.
pub fn files(root: &Path, folder: &str) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let directory = root.join(folder);
    let entries = fs::read_dir(&directory).with_context(|| format!("cannot read {}", directory.display()))?;
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') || name == "target" {
            continue;
        }
        let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
        if entry.path().is_dir() {
            found.extend(files(root, &path)?);
        } else {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// A notebook's Markdown cells.
fn cells(file: &str, notebook: &Value) -> Vec<Text> {
    let cells = notebook["cells"].as_array().into_iter().flatten().enumerate();
    let markdown = cells.filter(|(_, cell)| cell["cell_type"] == "markdown");
    let text = |(index, cell): (usize, &Value)| Text {
        kind: Kind::Cell,
        file: file.to_string(),
        place: format!("{file}, cell {}", index + 1),
        parts: parts(&examine::text(&cell["source"])),
    };
    markdown.map(text).collect()
}

/// A source file's documentation comments: lines one below the other make one.
fn comments(file: &str, source: &str) -> Vec<Text> {
    let mut texts = Vec::new();
    let mut comment = String::new();
    let mut first = 0;
    for (index, line) in source.lines().chain([""]).enumerate() {
        let line = line.trim_start();
        let text = line.strip_prefix("//!").or_else(|| line.strip_prefix("///").filter(|rest| !rest.starts_with('/')));
        if let Some(text) = text {
            if comment.is_empty() {
                first = index + 1;
            }
            comment += text.strip_prefix(' ').unwrap_or(text);
            comment.push('\n');
        } else if !comment.is_empty() {
            let place = format!("{file}:{first}");
            texts.push(Text { kind: Kind::Comment, file: file.to_string(), place, parts: parts(&comment) });
            comment.clear();
        }
    }
    texts
}

/// Takes a Markdown text apart.
pub fn parts(markdown: &str) -> Parts {
    let mut parts = Parts::default();
    let mut undefined = Vec::new();
    let mut note = |link: BrokenLink| {
        // `[x]` alone may be no link at all.
        if matches!(link.link_type, LinkType::Reference | LinkType::Collapsed) {
            undefined.push(link.reference.to_string());
        }
        None
    };
    let mut heading: Option<String> = None;
    let mut block: Option<(String, String)> = None;
    let options = Options::ENABLE_TABLES | Options::ENABLE_MATH;
    for event in Parser::new_with_broken_link_callback(markdown, options, Some(&mut note)) {
        match event {
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                parts.links.push(dest_url.to_string());
            }
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => parts.headings.extend(heading.take()),
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) => {
                block = Some((info.to_string(), String::new()))
            }
            Event::Start(Tag::CodeBlock(CodeBlockKind::Indented)) => block = Some(Default::default()),
            Event::End(TagEnd::CodeBlock) => parts.blocks.extend(block.take()),
            Event::Html(html) | Event::InlineHtml(html) => {
                parts.links.extend(["href", "src"].iter().flat_map(|name| attributes(&html, name)));
                parts.identifiers.extend(["id", "name"].iter().flat_map(|name| attributes(&html, name)));
            }
            Event::Code(code) => {
                if let Some(heading) = &mut heading {
                    *heading += &code;
                }
                parts.spans.push(code.to_string());
            }
            Event::Text(text) | Event::InlineMath(text) => {
                if let Some((_, content)) = &mut block {
                    *content += &text;
                } else if let Some(heading) = &mut heading {
                    *heading += &text;
                }
            }
            _ => {}
        }
    }
    parts.undefined = undefined;
    parts
}

/// The values of an attribute in a piece of HTML.
fn attributes(html: &str, name: &str) -> Vec<String> {
    let mut values = Vec::new();
    for quote in ['"', '\''] {
        let opening = format!(" {name}={quote}");
        values.extend(html.split(&opening).skip(1).filter_map(|rest| Some(rest.split_once(quote)?.0.to_string())));
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_text_is_taken_apart() {
        let found = parts(
            "# A `b` c\n[x](y.md) ![p](p.svg) [q][r] [s]: `code`, $[a](b)$ <a href='h' id=\"i\">\n\n\
             | `t` |\n|---|\n| `u` |\n\n```rust,no_run\n[in](code)\n```\n\n    indented\n",
        );
        assert_eq!(found.links, ["y.md", "p.svg", "h"]);
        assert_eq!(found.undefined, ["r"]);
        assert_eq!(found.spans, ["b", "code", "t", "u"]);
        assert_eq!(found.headings, ["A b c"]);
        assert_eq!(found.identifiers, ["i"]);
        let blocks = [("rust,no_run", "[in](code)\n"), ("", "indented\n")];
        assert_eq!(found.blocks, blocks.map(|(info, text)| (info.to_string(), text.to_string())));
    }

    #[test]
    fn texts_know_where_they_are() {
        let source =
            "//! Of the `module`.\n//! And on.\n\n//// no\n// no `comment`\n    /// Of an `item`.\n    fn f() {}\n";
        let places: Vec<_> = comments("a.rs", source).into_iter().map(|text| (text.place, text.parts.spans)).collect();
        let expected = [("a.rs:1", "module"), ("a.rs:6", "item")];
        assert_eq!(places, expected.map(|(place, span)| (place.to_string(), vec![span.to_string()])));
        let notebook = json!({"cells": [{"cell_type": "code"}, {"cell_type": "markdown", "source": ["# T\n", "`s`"]}]});
        let found = cells("n.ipynb", &notebook);
        assert_eq!(
            (found[0].place.as_str(), found[0].parts.spans.as_slice()),
            ("n.ipynb, cell 2", &["s".to_string()][..])
        );
    }

    #[test]
    fn ignored_folders_are_left_out() {
        let directory = tempfile::tempdir().unwrap();
        for file in ["a.md", "docs/b.md", "target/c.md", ".hidden/d.md"] {
            let path = directory.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "# T").unwrap();
        }
        assert_eq!(files(directory.path(), "").unwrap(), ["a.md", "docs/b.md"]);
        assert_eq!(all(directory.path()).unwrap().len(), 2);
    }
}
