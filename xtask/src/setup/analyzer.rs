//! What the rust-analyzer inside evcxr reads.
//!
//! evcxr asks rust-analyzer for the type of every variable of a cell. Before its first answer rust-analyzer reads all
//! crates that cargo lists, and the standard library. With everything on which this crate depends that takes 15
//! seconds. Types need little of it, so:
//!
//! - The standard library's sources are an abridged copy of `core`, `alloc` and `std`. It lacks what says nothing about
//!   types: functions' bodies, most attributes, and all of a comment but its first paragraph, which a kernel shows as help.
//! - The kernel's [`cargo`](crate::kernel::cargo) leaves out of its answers those packages that no cell can name.
//!
//! ```text
//! .hhnet/analyzer/library/{core,alloc,std}/src
//! .hhnet/analyzer/toolchain/bin/cargo          this program
//! .hhnet/analyzer/toolchain/bin/rustc          the real one
//! .hhnet/analyzer/toolchain/real/cargo         the real one
//! .hhnet/analyzer/toolchain/std                the folder of the compiled standard library
//! ```

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use fs_err as fs;
use fs_err::os::unix::fs::symlink;
use proc_macro2::{Delimiter, TokenStream, TokenTree};
use walkdir::WalkDir;

use crate::files::{remove, replace};
use crate::paths::{Paths, which};
use crate::process::{run_logged, rustc_print};
use crate::setup::step::Step;

const CRATES: [&str; 3] = ["core", "alloc", "std"];
/// Attributes that say nothing about types.
const IDLE_ATTRIBUTES: [&str; 7] =
    ["allow(", "doc(alias", "inline", "must_use", "rustc_const_stable(", "stable(", "track_caller"];

pub fn step<'a>(paths: &'a Paths, rustc: &str) -> Step<'a> {
    Step {
        paths,
        name: "analyzer",
        title: "what the kernel needs to tell types: sources of the standard library, the kernel's cargo".into(),
        product: paths.kernel_toolchain.clone(),
        inputs: vec![
            rustc.to_string(),
            format!("{CRATES:?} {IDLE_ATTRIBUTES:?} first paragraphs with macros, whole lines, no bodies"),
            paths.standard_library().display().to_string(),
        ],
    }
}

pub fn install(paths: &Paths) -> Result<()> {
    let home = paths.home.join("analyzer");
    let part = paths.home.join("analyzer.part");
    remove(&part)?;
    let sysroot = PathBuf::from(rustc_print(paths, "sysroot")?);
    let sources = standard_library(paths, &sysroot)?;
    for name in CRATES {
        copy_sources(&sources.join(name).join("src"), &part.join("library").join(name).join("src"))?;
    }
    let toolchain = part.join("toolchain");
    for folder in ["bin", "real"] {
        fs::create_dir_all(toolchain.join(folder))?;
    }
    let real = |name: &str| {
        let program = Some(sysroot.join("bin").join(name)).filter(|path| path.exists()).or_else(|| which(name));
        program.with_context(|| format!("{name} is not on the search path"))
    };
    symlink(real("rustc")?, toolchain.join("bin/rustc"))?;
    symlink(real("cargo")?, toolchain.join("real/cargo"))?;
    symlink(&paths.launcher, toolchain.join("bin/cargo"))?;
    // rustc writes a relative path to it into a cell's library, which leads nowhere once evcxr has moved that to the folder
    // above.
    symlink(rustc_print(paths, "target-libdir")?, toolchain.join("std"))?;
    replace(&home, &part)
}

/// The standard library's sources, which rustup installs as a component of the toolchain.
fn standard_library(paths: &Paths, sysroot: &Path) -> Result<PathBuf> {
    let sources = sysroot.join("lib/rustlib/src/rust/library");
    if !sources.join("core/src/lib.rs").exists() {
        if which("rustup").is_none() {
            bail!(
                "the standard library's sources are not in {}: install your distribution's package of them (Debian, \
                 Ubuntu: rust-src), or Rust with rustup",
                sources.display()
            );
        }
        let mut rustup = Command::new("rustup");
        rustup.args(["component", "add", "rust-src"]).current_dir(&paths.root);
        run_logged(paths, "rust-src", &mut rustup, None)?;
    }
    Ok(sources)
}

/// Copies a folder's Rust sources, abridged.
fn copy_sources(from: &Path, to: &Path) -> Result<()> {
    for entry in WalkDir::new(from) {
        let entry = entry?;
        let (path, target) = (entry.path(), to.join(entry.path().strip_prefix(from)?));
        if entry.file_type().is_dir() {
            fs::create_dir_all(&target)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            fs::write(&target, abridged(&without_bodies(&fs::read_to_string(path)?)))?;
        }
    }
    Ok(())
}

/// Leaves out functions' bodies, which say nothing about types. A source that is not understood stays as it is.
fn without_bodies(source: &str) -> String {
    let mut bodies = Vec::new();
    if let Ok(tokens) = source.parse() {
        find_bodies(tokens, &mut bodies);
    }
    let mut text = String::with_capacity(source.len());
    let mut end = 0;
    for body in bodies {
        text.push_str(&source[end..body.start]);
        end = body.end;
    }
    text + &source[end..]
}

/// Finds the bodies that can go. A `const fn` keeps its own, because lengths of arrays may depend on it, a function that returns
/// `impl Trait`, because its body says which type that is, and one with a macro's variables, because it may be a pattern.
fn find_bodies(tokens: TokenStream, bodies: &mut Vec<Range<usize>>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let is = |token: &TokenTree, text: &str| token.to_string() == text;
    let is_group = |token: &TokenTree| matches!(token, TokenTree::Group(_));
    let is_angle = |token: &TokenTree| matches!(token, TokenTree::Punct(mark) if mark.as_char() == '<');
    // Of the function whose body comes next.
    let mut is_needed = None;
    for (place, token) in tokens.iter().enumerate() {
        match token {
            // Without a name it is a type.
            TokenTree::Ident(word) if word == "fn" && tokens.get(place + 1).is_some_and(|next| !is_group(next)) => {
                let before = tokens[..place].iter().rev().take_while(|token| !is_group(token) && !is(token, ";"));
                is_needed = Some(before.take(5).any(|token| is(token, "const")));
            }
            TokenTree::Ident(word) if word == "impl" => is_needed = is_needed.map(|_| true),
            TokenTree::Punct(mark) if mark.as_char() == ';' => is_needed = None,
            TokenTree::Group(group) => {
                let is_block = group.delimiter() == Delimiter::Brace && !tokens[..place].last().is_some_and(is_angle);
                match is_needed.filter(|_| is_block) {
                    Some(false) if !group.stream().to_string().contains('$') => {
                        bodies.push(group.span_open().byte_range().end..group.span_close().byte_range().start);
                    }
                    _ => find_bodies(group.stream(), bodies),
                }
                if is_block {
                    is_needed = None;
                }
            }
            _ => {}
        }
    }
}

/// Leaves out comments and attributes that say nothing about types.
fn abridged(source: &str) -> String {
    // A macro that takes attributes may insist on them.
    let keeps_attributes = source.contains("#[$");
    let mut text = String::with_capacity(source.len());
    let mut is_later_paragraph = false;
    for line in source.lines() {
        let code = line.trim();
        let is_documentation = ["///", "//!", "#[doc = concat!("].iter().any(|start| code.starts_with(start));
        is_later_paragraph = is_documentation && (is_later_paragraph || code.len() == 3);
        let is_comment = code.starts_with("//") && !is_documentation;
        // The whole line is the attribute: its bracket is the line's last character.
        let attribute = code.strip_prefix("#[").filter(|rest| rest.find(']').is_some_and(|end| end + 1 == rest.len()));
        let is_idle = !keeps_attributes
            && attribute.is_some_and(|attribute| IDLE_ATTRIBUTES.iter().any(|name| attribute.starts_with(name)));
        if !(is_later_paragraph || is_comment || is_idle) {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_keep_their_items_and_first_paragraphs() {
        let source = r#"//! A module.
//!
//! More about it.

/// Adds one
/// to it.
///
/// # Examples
/// ```
#[doc = concat!("assert_eq!(next(1), ", 2, ");")]
/// ```
#[stable(feature = "next", since = "1.0.0")]
#[unstable(feature = "next", issue = "1")]
#[must_use = "it \
    changes nothing"]
#[inline]
// As it was.
pub fn next(value: u8) -> u8 {
    value + 1 // not the one before
}
#[inline] pub fn pair() -> [u8; 2]
{ [1, 2] }
"#;
        let expected = r#"//! A module.

/// Adds one
/// to it.
#[unstable(feature = "next", issue = "1")]
#[must_use = "it \
    changes nothing"]
pub fn next(value: u8) -> u8 {
    value + 1 // not the one before
}
#[inline] pub fn pair() -> [u8; 2]
{ [1, 2] }
"#;
        assert_eq!(abridged(source), expected);
        let with_macro = "macro_rules! with { (#[$what:meta]) => {} }\nwith! {\n#[stable(since = \"1\")]\n}\n";
        assert_eq!(abridged(with_macro), with_macro);
    }

    #[test]
    fn bodies_go_unless_types_depend_on_them() {
        let source = r#"pub fn length(&self) -> usize { self.0.len() }
unsafe extern "C" fn call(f: fn(u8) -> u8) where [(); { N }]: Sized { f(1); }
pub const unsafe fn four() -> usize { 4 }
fn items(&self) -> impl Iterator<Item = &u8> { self.0.iter() }
trait Named { fn name(&self) -> &str; fn longer(&self) -> String { self.name().into() } }
macro_rules! with { ($(#[$m:meta])* fn $name:ident { $body:expr }) => { fn $name() { other() } fn it() { $body } } }
static TABLE: [fn(); 1] = [|| { work() }];
"#;
        let expected = r#"pub fn length(&self) -> usize {}
unsafe extern "C" fn call(f: fn(u8) -> u8) where [(); { N }]: Sized {}
pub const unsafe fn four() -> usize { 4 }
fn items(&self) -> impl Iterator<Item = &u8> { self.0.iter() }
trait Named { fn name(&self) -> &str; fn longer(&self) -> String {} }
macro_rules! with { ($(#[$m:meta])* fn $name:ident { $body:expr }) => { fn $name() {} fn it() { $body } } }
static TABLE: [fn(); 1] = [|| { work() }];
"#;
        assert_eq!(without_bodies(source), expected);
        assert_eq!(without_bodies("fn broken( {"), "fn broken( {");
    }
}
