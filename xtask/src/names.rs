//! Finds names in texts that are not there: tasks of `cargo xtask`, files, items of the crate; and Rust code in Markdown files that
//! no documentation test compiles.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::texts::{self, Kind, Text};
use crate::{bench, examine};

/// Names that belong to Rust.
const RUST: [&str; 9] = ["Err", "None", "Ok", "Option", "Result", "Some", "String", "Vec", "default"];
/// Names that belong to other programs.
const FOREIGN: [&str; 8] =
    ["CSVLogger", "True", "control_y", "gsl_error_tol", "odeiv_evolve", "randn", "train_on_batch", "val_"];

/// What there is to be named.
#[derive(Default)]
struct Names {
    /// Tasks of `cargo xtask`.
    tasks: HashSet<String>,
    /// Names of files and folders directly in the checkout.
    folders: HashSet<String>,
    /// Markdown files whose code is compiled by documentation tests.
    doctests: HashSet<String>,
    /// Public items, fields and variants of the crate.
    public: HashSet<String>,
    /// Every word of Rust code, comments aside.
    code: HashSet<String>,
    /// The words of each notebook's code cells.
    cells: HashMap<String, HashSet<String>>,
}

/// One message for each name that is not there.
pub fn faults(root: &Path, texts: &[Text], help: &str) -> Result<Vec<String>> {
    let names = Names::collect(root, help)?;
    let mut faults = Vec::new();
    for text in texts {
        let found = names.faults(root, text);
        faults.extend(found.into_iter().map(|fault| format!("{}: {fault}", text.place)));
    }
    Ok(faults)
}

impl Names {
    fn collect(root: &Path, help: &str) -> Result<Self> {
        let mut names = Self { tasks: tasks(help), ..Self::default() };
        for file in texts::files(root, "")? {
            names.folders.extend(file.split_once('/').map(|(folder, _)| folder.to_string()));
            let read = || fs::read_to_string(root.join(&file)).with_context(|| format!("cannot read {file}"));
            if file.ends_with(".rs") {
                let code = without_comments(&read()?);
                if file.starts_with("src/") {
                    names.public.extend(public_items(&code));
                    names.doctests.extend(included(&code));
                }
                names.code.extend(words(&code).map(str::to_string));
            } else if file.ends_with(".ipynb") {
                let notebook: Value = serde_json::from_str(&read()?).with_context(|| format!("{file} is no JSON"))?;
                names.cells.insert(file, cell_words(&notebook));
            }
        }
        Ok(names)
    }

    fn faults(&self, root: &Path, text: &Text) -> Vec<String> {
        let mut faults = Vec::new();
        let blocks = text.parts.blocks.iter().map(|(_, code)| code);
        for code in text.parts.spans.iter().chain(blocks) {
            faults.extend(self.commands(code));
        }
        for span in &text.parts.spans {
            if self.is_path(span) && !root.join(span).exists() {
                faults.push(format!("`{span}` is not there"));
            }
            faults.extend(self.items(text, span));
        }
        if text.kind == Kind::File {
            for (info, _) in &text.parts.blocks {
                let mut words = info.split([',', ' ']);
                if words.next() == Some("rust") && words.any(|word| word == "ignore") {
                    faults.push("Rust code marked `ignore` is not compiled".to_string());
                } else if info.starts_with("rust") && !self.doctests.contains(&text.file) {
                    faults.push(format!(
                        "its Rust code is not compiled: include {} in src/lib.rs, as README.md",
                        text.file
                    ));
                }
            }
        }
        faults
    }

    /// Commands `cargo xtask` with a task that it does not have.
    fn commands(&self, code: &str) -> Vec<String> {
        let mut faults = Vec::new();
        for rest in code.split("cargo xtask ").skip(1) {
            let mut words = rest.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
            let task = words.next().unwrap_or_default();
            if !task.is_empty() && !self.tasks.contains(task) {
                faults.push(format!("`cargo xtask {task}`: there is no such task, see `cargo xtask help`"));
            }
            let name = words.next().unwrap_or_default();
            if task == "bench" && !name.is_empty() && name != "notebooks" && !bench::BENCHES.contains(&name) {
                faults.push(format!("`cargo xtask bench {name}`: there is no such bench, see `cargo xtask help`"));
            }
        }
        faults
    }

    /// Whether it is meant as the path of a file that is in git.
    fn is_path(&self, span: &str) -> bool {
        let sound = span.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
        // As in `benches/NAME.rs`.
        let is_pattern = words(span).any(|word| word == "NAME");
        sound && !is_pattern && span.split_once('/').is_some_and(|(folder, _)| self.folders.contains(folder))
    }

    /// Items that neither the crate nor the notebook has.
    fn items(&self, text: &Text, span: &str) -> Vec<String> {
        let cells = self.cells.get(&text.file);
        let is_own = |word: &str| {
            cells.is_some_and(|cells| cells.contains(word)) || RUST.contains(&word) || FOREIGN.contains(&word)
        };
        // Who reads a notebook can only use what is public.
        let is_item =
            |word: &str| is_own(word) || if text.kind == Kind::Cell { &self.public } else { &self.code }.contains(word);
        let is_word = |word: &str| {
            is_own(word) || self.code.contains(word) || self.cells.values().any(|cells| cells.contains(word))
        };
        let uses = uses(span);
        // Of another program, such as `numpy.random.seed(1234)`.
        if uses.iter().any(|(word, role)| *role == Role::Owner && word != "hhnet" && !is_word(word)) {
            return Vec::new();
        }
        let mut faults = Vec::new();
        for (word, role) in uses {
            let known = match role {
                Role::Owner => true,
                Role::Item => is_item(&word),
                Role::Name => is_word(&word),
            };
            if !known {
                faults.push(format!("`{word}` in `{span}` is no name of the crate or of the notebook's cells"));
            }
        }
        faults
    }
}

/// How a word in a piece of code is used.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Role {
    /// In front of a dot or of `::`.
    Owner,
    /// A type, or something that is called.
    Item,
    /// Another name: a variable, a field, a dataset.
    Name,
}

/// The words in a piece of code that name something; those without a sign of that are left out.
fn uses(span: &str) -> Vec<(String, Role)> {
    let is_alone = !span.is_empty() && span.chars().all(is_word_char);
    if span.contains("import ") || span.starts_with('-') || (!is_alone && span.contains(['/', '\'', '$', '<'])) {
        return Vec::new();
    }
    let code: String = span.split('"').step_by(2).collect::<Vec<_>>().join("\"\"");
    let mut uses = Vec::new();
    let mut begin = 0;
    for word in words(&code) {
        begin += code[begin..].find(word).unwrap_or(0);
        let (before, after) = (&code[..begin], &code[begin + word.len()..]);
        begin += word.len();
        let is_first = !before.ends_with(['.', ':']) || before.ends_with("..");
        let has = |test: fn(&char) -> bool| word.chars().any(|c| test(&c));
        let is_type =
            word.starts_with(|c: char| c.is_ascii_uppercase()) && has(char::is_ascii_lowercase) && !word.contains('_');
        if is_first && (after.starts_with("::") || (after.starts_with('.') && !after.starts_with(".."))) && !is_type {
            uses.push((word.to_string(), Role::Owner));
        } else if after.starts_with('(') || after.starts_with("::") || is_type {
            uses.push((word.to_string(), Role::Item));
        } else if is_alone || after.starts_with(": ") || after.starts_with(" = ") {
            uses.push((word.to_string(), Role::Name));
        }
    }
    uses
}

fn is_word_char(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn words(code: &str) -> impl Iterator<Item = &str> {
    let words = code.split(|c: char| !is_word_char(c));
    words.filter(|word| word.starts_with(|c: char| c.is_alphabetic() || c == '_'))
}

fn tasks(help: &str) -> HashSet<String> {
    let lines = help.lines().filter_map(|line| line.strip_prefix("  "));
    lines.filter(|line| !line.starts_with(' ')).filter_map(|line| words(line).next()).map(str::to_string).collect()
}

fn cell_words(notebook: &Value) -> HashSet<String> {
    let cells = notebook["cells"].as_array().into_iter().flatten().filter(|cell| cell["cell_type"] == "code");
    let sources: Vec<String> = cells.map(|cell| examine::text(&cell["source"])).collect();
    sources.iter().flat_map(|source| words(source)).map(str::to_string).collect()
}

fn without_comments(source: &str) -> String {
    let code = |line: &str| match line.find("//") {
        Some(at) if !line[..at].ends_with(':') => line[..at].to_string() + "\n",
        _ => line.to_string() + "\n",
    };
    source.lines().map(code).collect()
}

/// The Markdown files that a source file includes as its documentation.
fn included(code: &str) -> Vec<String> {
    let files = code.split("include_str!(\"../").skip(1).filter_map(|rest| Some(rest.split_once('"')?.0.to_string()));
    files.filter(|file| file.ends_with(".md")).collect()
}

/// What a formatted source file has that is public, with the variants of enumerations and the methods of traits.
fn public_items(code: &str) -> Vec<String> {
    let mut items = Vec::new();
    // The closing line of the enumeration or trait that is being read.
    let mut end: Option<String> = None;
    for line in code.lines() {
        let indent = &line[..line.len() - line.trim_start().len()];
        if let Some(declaration) = line.trim_start().strip_prefix("pub ") {
            let qualifiers = ["unsafe", "async", "extern", "C"];
            let mut words = words(declaration).filter(|word| !qualifiers.contains(word));
            match words.next() {
                Some("use") => items.extend(words.map(str::to_string)),
                Some(kind @ ("struct" | "enum" | "trait" | "type" | "mod" | "static" | "fn")) => {
                    items.extend(words.next().map(str::to_string));
                    if ["enum", "trait"].contains(&kind) && line.ends_with('{') {
                        end = Some(format!("{indent}}}"));
                    }
                }
                Some("const") => items.extend(words.find(|word| *word != "fn").map(str::to_string)),
                field => items.extend(field.map(str::to_string)),
            }
        } else if end.as_deref() == Some(line) {
            end = None;
        } else if end.is_some() {
            let mut words = words(line);
            match words.next() {
                Some("fn") => items.extend(words.next().map(str::to_string)),
                Some(word) if word.starts_with(|c: char| c.is_ascii_uppercase()) => items.push(word.to_string()),
                _ => {}
            }
        }
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::texts::parts;
    use serde_json::json;

    const HELP: &str = "tasks:\n\n  setup       Does.\n              More.\n  bench NAME  Measures.\n";
    const SOURCE: &str = "\
pub mod room;
#[doc = include_str!(\"../README.md\")]
pub use other::{Second, third};
/// Of `Comment`.
pub struct Neuron {
    pub field_ms: f64,
    hidden: f64, // comment_word
}
pub enum Choice {
    First,
    Pair(f64),
}
pub trait Shows {
    fn show(&self);
}
impl Neuron {
    pub const fn new() -> Self {
        private(\"X_test\")
    }
}
";

    fn text(kind: Kind, markdown: &str) -> Text {
        let file = match kind {
            Kind::File => "README.md",
            Kind::Cell => "notebooks/n.ipynb",
            Kind::Comment => "src/lib.rs",
        };
        Text { kind, file: file.to_string(), place: file.to_string(), parts: parts(markdown) }
    }

    /// The faults of a text, in a small checkout.
    fn faults_of(text: Text) -> Vec<String> {
        let directory = tempfile::tempdir().unwrap();
        let notebook = json!({"cells": [
            {"cell_type": "code", "source": ["fn own(x: f64) {}\n", "let model = Local {};"]},
            {"cell_type": "markdown", "source": "`MarkdownWord`"},
        ]});
        for (file, content) in [("src/lib.rs", SOURCE), ("notebooks/n.ipynb", &notebook.to_string()), ("README.md", "")]
        {
            let path = directory.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        faults(directory.path(), &[text], HELP).unwrap()
    }

    #[test]
    fn public_items_are_read() {
        let expected = [
            "room", "other", "Second", "third", "Neuron", "field_ms", "Choice", "First", "Pair", "Shows", "show", "new",
        ];
        assert_eq!(public_items(&without_comments(SOURCE)), expected);
    }

    #[test]
    fn words_are_read_by_their_use() {
        let found = |span: &str| -> Vec<String> {
            let letter = |role| match role {
                Role::Owner => 'o',
                Role::Item => 'i',
                Role::Name => 'n',
            };
            uses(span).into_iter().map(|(word, role)| format!("{word}:{}", letter(role))).collect()
        };
        assert_eq!(found("field_ms"), ["field_ms:n"]);
        assert_eq!(found("X_test"), ["X_test:n"]);
        assert_eq!(found("..Neuron::default()"), ["Neuron:i", "default:i"]);
        assert_eq!(found("model.fit(&x, \"Name\")"), ["model:o", "fit:i"]);
        assert_eq!(found("room::third(0.5)"), ["room:o", "third:i"]);
        assert_eq!(found("epochs: 20"), ["epochs:n"]);
        for nothing in ["..-n_val", "from hhnet import X", "--out", "Shift + Enter / x"] {
            assert_eq!(found(nothing), Vec::<String>::new());
        }
    }

    #[test]
    fn sound_texts_have_no_faults() {
        let cell = "`Neuron` `Neuron::new()` `Local` `own(1.0)` `model.show()` `X_test` `First` `numpy.random.seed(1)` \
                    `src/lib.rs` `.hhnet/x` `target/y` `other/z` `field_ms: 2.0` `hhnet::room` `cargo xtask setup`";
        assert_eq!(faults_of(text(Kind::Cell, cell)), Vec::<String>::new());
        let file = "`private()` `cargo xtask`, `cargo xtask bench generator`\n\n    cargo xtask setup\n\n\
                    ```rust\nlet x = 1;\n```\n```toml\nx = 1\n```";
        assert_eq!(faults_of(text(Kind::File, file)), Vec::<String>::new());
        assert_eq!(faults_of(text(Kind::Comment, "`private()`\n\n```\nlet x = 1;\n```")), Vec::<String>::new());
    }

    /// Plants a name and expects one message that holds all of `words`.
    fn planted(kind: Kind, markdown: &str, words: &[&str]) {
        let found = faults_of(text(kind, markdown));
        assert!(found.len() == 1 && words.iter().all(|word| found[0].contains(word)), "{words:?} not in {found:?}");
    }

    #[test]
    fn each_planted_fault_is_found() {
        planted(Kind::File, "`cargo xtask notebook`", &["README.md", "cargo xtask notebook`", "no such task"]);
        planted(Kind::File, "```sh\ncd x\ncargo xtask lab --x\n```", &["cargo xtask lab`"]);
        planted(Kind::Comment, "`cargo xtask bench speed`", &["src/lib.rs", "bench speed"]);
        planted(Kind::File, "`src/gone.rs`", &["`src/gone.rs`", "not there"]);
        planted(Kind::Cell, "`private()`", &["notebooks/n.ipynb", "`private`"]);
        planted(Kind::Cell, "`Neurone`", &["`Neurone`"]);
        planted(Kind::Cell, "`MarkdownWord`", &["`MarkdownWord`"]);
        planted(Kind::Cell, "`model.shows()`", &["`shows`", "`model.shows()`"]);
        planted(Kind::Cell, "`..Neuron::defaults()`", &["`defaults`"]);
        planted(Kind::Cell, "`field_pa`", &["`field_pa`"]);
        planted(Kind::Cell, "`durations: 2`", &["`durations`"]);
        planted(Kind::File, "`Comment`", &["`Comment`"]);
        planted(Kind::File, "`comment_word`", &["`comment_word`"]);
        planted(Kind::File, "```rust,ignore\nlet x = 1;\n```", &["README.md", "ignore"]);
        let mut other = text(Kind::File, "```rust\nlet x = 1;\n```");
        other.file = "docs/guide.md".to_string();
        let found = faults_of(other);
        assert!(found.len() == 1 && found[0].contains("include docs/guide.md"), "{found:?}");
    }
}
