//! Finds what leads nowhere in texts: tasks of `cargo xtask` that do not exist, paths, functions and relative links to
//! what is not there.
//!
//! Texts are Markdown files, the notebooks' Markdown cells and comments in Rust code. rustdoc checks the links in
//! comments.

use std::path::{Path, PathBuf};

use anyhow::Result;
use fs_err as fs;
use pulldown_cmark::{Event, Options, Parser, Tag};
use walkdir::WalkDir;

use crate::bench;
use crate::check::report;
use crate::help::HELP;
use crate::notebook;
use crate::paths::Paths;

/// One text.
struct Text {
    /// The file, relative to the checkout.
    file: PathBuf,
    /// The number of the notebook's cell.
    cell: Option<usize>,
    markdown: String,
}

pub fn check(paths: &Paths) -> Result<()> {
    let faults: Vec<String> = texts(&paths.root)?.iter().flat_map(|text| faults(&paths.root, text)).collect();
    report(&faults, "correct the texts; `cargo xtask help` lists the tasks")
}

/// All texts of the checkout, without the folders that git ignores.
fn texts(root: &Path) -> Result<Vec<Text>> {
    let is_ours = |name: &str| !(name.starts_with('.') || ["target", "lab"].contains(&name));
    let entries = WalkDir::new(root).sort_by_file_name().into_iter();
    let mut texts = Vec::new();
    for entry in entries.filter_entry(|entry| entry.depth() == 0 || is_ours(&entry.file_name().to_string_lossy())) {
        let entry = entry?;
        let file = entry.path().strip_prefix(root)?.to_path_buf();
        let read = || fs::read_to_string(entry.path());
        match entry.path().extension().and_then(|extension| extension.to_str()) {
            Some("md") => texts.push(Text { markdown: read()?, file, cell: None }),
            Some("rs") => texts.push(Text { markdown: comments(&read()?), file, cell: None }),
            Some("ipynb") => {
                let notebook = notebook::read(entry.path())?;
                let cells = (1..).zip(notebook::list(&notebook["cells"]));
                texts.extend(cells.filter(|(_, cell)| cell["cell_type"] == "markdown").map(|(number, cell)| Text {
                    file: file.clone(),
                    cell: Some(number),
                    markdown: notebook::text(&cell["source"]),
                }));
            }
            _ => {}
        }
    }
    Ok(texts)
}

/// The comments of a source file, each in its line.
fn comments(source: &str) -> String {
    let comment = |line: &str| match line.trim_start().strip_prefix("//") {
        Some(text) => text.trim_start_matches(['/', '!']).to_string() + "\n",
        None => "\n".to_string(),
    };
    source.lines().map(comment).collect()
}

fn faults(root: &Path, text: &Text) -> Vec<String> {
    let mut faults = Vec::new();
    let mut note = |offset: usize, fault: String| {
        let place = match text.cell {
            Some(number) => format!(", cell {number}"),
            None => format!(":{}", text.markdown[..offset].matches('\n').count() + 1),
        };
        faults.push(format!("{}{place}: {fault}", text.file.display()));
    };
    for (offset, command) in text.markdown.match_indices("cargo xtask ") {
        if let Some(fault) = command_fault(&text.markdown[offset + command.len()..]) {
            note(offset, fault);
        }
    }
    let is_comment = text.file.extension().is_some_and(|extension| extension == "rs");
    let options = Options::ENABLE_TABLES | Options::ENABLE_MATH;
    for (event, range) in Parser::new_ext(&text.markdown, options).into_offset_iter() {
        match event {
            Event::Code(code) if is_path(root, &code) && !root.join(&*code).exists() => {
                note(range.start, format!("there is no `{code}`"));
            }
            Event::Code(code) if !is_comment && names_missing_function(root, &code) => {
                note(range.start, format!("there is no `{code}`"));
            }
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) if !is_comment => {
                if let Err(reason) = follow(root, &text.file, &dest_url) {
                    note(range.start, format!("the link `{dest_url}` leads nowhere: {reason}"));
                }
            }
            _ => {}
        }
    }
    faults
}

/// What is wrong with a command that continues `cargo xtask `.
fn command_fault(arguments: &str) -> Option<String> {
    let mut words = arguments.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
    let task = words.next().filter(|word| !word.is_empty())?;
    let mut tasks = HELP.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    let name = words.next().unwrap_or_default();
    // As in `cargo xtask bench NAME`.
    let is_pattern = name.chars().all(|c| c.is_ascii_uppercase());
    let is_bench = bench::BENCHES.iter().chain(&bench::OF_KERNELS).any(|bench| *bench == name);
    if !tasks.any(|known| known == task) {
        Some(format!("`cargo xtask {task}`: there is no such task"))
    } else if task == "bench" && !is_pattern && !is_bench {
        Some(format!("`cargo xtask bench {name}`: there is no such bench"))
    } else {
        None
    }
}

/// Whether a piece of code is the path of something that is in git.
fn is_path(root: &Path, code: &str) -> bool {
    let is_sound = code.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c)) && !code.contains("NAME");
    let folder = code.split_once('/').map(|(folder, _)| folder).unwrap_or_default();
    is_sound && !["", ".", "..", ".hhnet", "target"].contains(&folder) && root.join(folder).is_dir()
}

/// Whether a piece of code such as `tests/model.rs::the_seed_alone_decides` names a function that is not there.
fn names_missing_function(root: &Path, code: &str) -> bool {
    let Some((file, function)) = code.split_once(".rs::") else { return false };
    let source = fs::read_to_string(root.join(format!("{file}.rs"))).unwrap_or_default();
    !source.contains(&format!("fn {function}("))
}

/// Follows a link from a file of the checkout.
fn follow(root: &Path, file: &Path, link: &str) -> Result<(), String> {
    if ["https://", "http://", "mailto:", "attachment:"].iter().any(|start| link.starts_with(start)) {
        return Ok(());
    }
    let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
    let file = root.join(file);
    let target = if path.is_empty() { file } else { file.with_file_name(path) };
    let target = target.canonicalize().map_err(|_| "there is no such file".to_string())?;
    let in_checkout = target.strip_prefix(root).map_err(|_| "it leads out of the checkout".to_string())?;
    if in_checkout.starts_with("target") || in_checkout.starts_with(".hhnet") {
        return Err("the file is not in git".to_string());
    }
    if !anchor.is_empty() && !has_heading(&target, anchor) {
        return Err(format!("{} has no such heading", in_checkout.display()));
    }
    Ok(())
}

/// Whether a Markdown file or a notebook has a heading with this anchor, as GitHub or JupyterLab makes it.
fn has_heading(file: &Path, anchor: &str) -> bool {
    let cells = notebook::read(file).map(|notebook| {
        notebook::list(&notebook["cells"]).iter().map(|cell| notebook::text(&cell["source"]) + "\n").collect::<String>()
    });
    let text = cells.or_else(|_| fs::read_to_string(file)).unwrap_or_default();
    let headings = text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let mut anchors = headings.map(|heading| heading.replace('`', "").replace(' ', "-"));
    let is_kept = |c: &char| c.is_alphanumeric() || "-_".contains(*c);
    anchors.any(|found| found == anchor || found.to_lowercase().chars().filter(is_kept).collect::<String>() == anchor)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The faults of a Markdown file in a small checkout.
    fn faults_of(markdown: &str) -> Vec<String> {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        let notebook = r###"{"cells": [{"cell_type": "markdown", "source": ["## The `data`: X"]}]}"###;
        let files = [
            ("README.md", "# Title\n## How it's used, `x_y`\n"),
            ("docs/n.ipynb", notebook),
            ("src/lib.rs", ""),
            ("target/built.html", ""),
            ("lab/mine.md", "`cargo xtask nothing`"),
        ];
        for (file, content) in files {
            let path = root.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        fs::write(root.join("docs/guide.md"), markdown).unwrap();
        texts(&root).unwrap().iter().flat_map(|text| faults(&root, text)).collect()
    }

    #[test]
    fn sound_texts_have_no_faults() {
        let text = "# Here\n`cargo xtask`, `cargo xtask setup`, `cargo xtask bench NAME`, `cargo xtask bench generator`\n\
            `src/lib.rs` `src/NAME.rs` `target/x` `.hhnet/x` `other/x` `a / b` [a](../README.md) [b](#here) \
            [c](../README.md#how-its-used-x_y) [d](n.ipynb#The-data:-X) [e](../src) <https://example.org> `[f](gone)`\n";
        assert_eq!(faults_of(text), Vec::<String>::new());
    }

    #[test]
    fn each_planted_fault_is_found_in_its_place() {
        for (text, words) in [
            ("a\n\n`cargo xtask notebook`\n", ["guide.md:3", "cargo xtask notebook`"]),
            ("    cargo xtask bench speed\n", ["guide.md:1", "bench speed"]),
            ("| a |\n|---|\n| `src/gone.rs` |\n", ["guide.md:3", "`src/gone.rs`"]),
            ("[a](gone.md)", ["`gone.md`", "no such file"]),
            ("![a](gone.svg)", ["`gone.svg`", "no such file"]),
            ("[a][b]\n\n[b]: gone.md", ["guide.md:1", "`gone.md`"]),
            ("[a](../../..)", ["`../../..`", "out of the checkout"]),
            ("[a](../target/built.html)", ["target/built.html", "not in git"]),
            ("[a](#gone)", ["docs/guide.md", "heading"]),
            ("[a](n.ipynb#the-end)", ["docs/n.ipynb", "heading"]),
        ] {
            let found = faults_of(text);
            assert!(found.len() == 1 && words.iter().all(|word| found[0].contains(word)), "{words:?}: {found:?}");
        }
    }

    #[test]
    fn comments_keep_their_lines() {
        let source = "//! One `src/a.rs`.\nlet x = 1; // no\n    /// Two.\n// Three.\n";
        assert_eq!(comments(source), " One `src/a.rs`.\n\n Two.\n Three.\n");
    }
}
