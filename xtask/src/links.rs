//! Finds links that lead nowhere: to a file, an image or a heading that is not there, or to an address that is none. Asks nothing
//! of the network.

use std::path::{Component, Path, PathBuf};

use crate::texts::{Kind, Text};

/// One message for each link that leads nowhere.
pub fn faults(root: &Path, texts: &[Text]) -> Vec<String> {
    let mut faults = Vec::new();
    for text in texts {
        for link in &text.parts.links {
            if let Err(reason) = follow(root, texts, text, link) {
                faults.push(format!("{}: the link `{link}` {reason}", text.place));
            }
        }
        // In comments these are names of items, which rustdoc looks up.
        if text.kind != Kind::Comment {
            let undefined = text.parts.undefined.iter();
            faults.extend(undefined.map(|name| format!("{}: nothing defines the link [{name}]", text.place)));
        }
    }
    faults
}

fn follow(root: &Path, texts: &[Text], text: &Text, link: &str) -> Result<(), String> {
    if let Some(address) = link.strip_prefix("https://").or_else(|| link.strip_prefix("http://")) {
        return external(address);
    }
    if text.kind == Kind::Comment && is_item(link) {
        return Ok(());
    }
    if link.split(['/', '#']).next().unwrap_or_default().contains(':') {
        return match link.split_once(':') {
            Some(("mailto", address)) if address.contains('@') => Ok(()),
            Some(("attachment", _)) if text.kind == Kind::Cell => Ok(()),
            _ => Err("is of an unknown kind".to_string()),
        };
    }
    let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
    if text.kind == Kind::Comment && !path.is_empty() {
        return Err("leads to a file, and pages of rustdoc have none beside them".to_string());
    }
    let file = if path.is_empty() { text.file.clone() } else { find(root, &text.file, path)? };
    let known = anchor.is_empty() || !(file.ends_with(".md") || file.ends_with(".ipynb") || file == text.file);
    if known || anchors(texts, &file).any(|found| found == anchor) {
        return Ok(());
    }
    Err(format!("leads to a heading that {file} does not have"))
}

/// Whether the rest of an address may be one.
fn external(address: &str) -> Result<(), String> {
    let host = address.split(['/', '?', '#']).next().unwrap_or_default();
    let sound = |c: char| c.is_ascii_graphic() && !"<>\"{}|\\^`".contains(c);
    let dotted = host.split('.').count() > 1 && host.split('.').all(|part| !part.is_empty());
    if !dotted || !host.chars().all(|c| c.is_ascii_alphanumeric() || "-.:".contains(c)) || !address.chars().all(sound) {
        return Err("is no address".to_string());
    }
    Ok(())
}

/// Whether rustdoc takes it for the name of an item: it complains by itself about one that is not there.
fn is_item(link: &str) -> bool {
    let name = link.rsplit_once('@').map_or(link, |(_, name)| name).trim_end_matches("()").trim_end_matches('!');
    let name = name.split('#').next().unwrap_or_default();
    !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || "_:".contains(c)) && !name.contains(":::")
}

/// The file, relative to the checkout, to which a relative path leads from another.
fn find(root: &Path, from: &str, path: &str) -> Result<String, String> {
    let path = decoded(path);
    let mut target = PathBuf::from(from).parent().map(Path::to_path_buf).unwrap_or_default();
    for part in Path::new(&path).components() {
        match part {
            Component::Normal(name) => target.push(name),
            Component::CurDir => {}
            Component::ParentDir if target.pop() => {}
            _ => return Err("leads out of the checkout".to_string()),
        }
    }
    let target = target.display().to_string();
    if target.starts_with("target") || target.starts_with(".hhnet") {
        return Err("leads to a file that is not in git".to_string());
    }
    if !root.join(&target).exists() {
        return Err(format!("leads to {target}, which is not there"));
    }
    Ok(target)
}

/// A path without `%20` and the like.
fn decoded(path: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = path.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let code = after.get(..2).and_then(|code| u8::from_str_radix(str::from_utf8(code).ok()?, 16).ok());
        match code {
            Some(code) if byte == b'%' => {
                bytes.push(code);
                rest = &after[2..];
            }
            _ => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The anchors of a file's headings, as the file's viewer makes them.
fn anchors<'a>(texts: &'a [Text], file: &'a str) -> impl Iterator<Item = String> + 'a {
    let mut seen: Vec<String> = Vec::new();
    texts.iter().filter(move |text| text.file == file).flat_map(move |text| {
        let mut found = text.parts.identifiers.clone();
        for heading in &text.parts.headings {
            found.push(match text.kind {
                // JupyterLab keeps everything but blanks.
                Kind::Cell => heading.trim().replace(' ', "-"),
                _ => {
                    let anchor = slug(heading);
                    seen.push(anchor.clone());
                    match seen.iter().filter(|other| **other == anchor).count() {
                        1 => anchor,
                        nth => format!("{anchor}-{}", nth - 1),
                    }
                }
            });
        }
        found
    })
}

/// A heading's anchor on GitHub and, nearly, in rustdoc.
fn slug(heading: &str) -> String {
    let kept = heading.trim().to_lowercase().replace(' ', "-");
    kept.chars().filter(|c| c.is_alphanumeric() || "-_".contains(*c)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::texts::parts;
    use std::fs;

    fn text(kind: Kind, file: &str, markdown: &str) -> Text {
        Text { kind, file: file.to_string(), place: file.to_string(), parts: parts(markdown) }
    }

    /// The faults of a text, in a checkout with a few files.
    fn faults_of(kind: Kind, markdown: &str) -> Vec<String> {
        let directory = tempfile::tempdir().unwrap();
        for file in ["README.md", "docs/a picture.svg", "docs/guide.md", "notebooks/n.ipynb", "target/built.html"] {
            let path = directory.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let mut texts = vec![
            text(Kind::File, "README.md", "# Title\n## How it's used, `x_y`\n## Twice\n## Twice\n<a id=\"own\">"),
            text(Kind::Cell, "notebooks/n.ipynb", "## The data: X"),
        ];
        texts.push(text(kind, if kind == Kind::Comment { "src/lib.rs" } else { "docs/guide.md" }, markdown));
        faults(directory.path(), &texts)
    }

    #[test]
    fn sound_links_have_no_faults() {
        let file = "# Here\n[a](../README.md) [b](#here) [c](../README.md#how-its-used-x_y) [d](../README.md#twice-1) \
            [e](../README.md#own) ![f](a%20picture.svg) [g](https://doi.org/10.1113/x(1)?y=%20#z) [h](mailto:a@b.org) \
            [i](../notebooks/n.ipynb#The-data:-X) [j][k] [an option] <https://example.org>, `[code](nowhere)`\n\n\
            [k]: ../docs\n";
        assert_eq!(faults_of(Kind::File, file), Vec::<String>::new());
        let comment =
            "# Errors\n[a](crate::neuron::V) [b](fn@run) [c](#errors) [d](Self::x()) [`E`] [f][G] <https://a.org>";
        assert_eq!(faults_of(Kind::Comment, comment), Vec::<String>::new());
    }

    /// Plants a link and expects one message that holds all of `words`.
    fn planted(kind: Kind, markdown: &str, words: &[&str]) {
        let found = faults_of(kind, markdown);
        assert!(found.len() == 1 && words.iter().all(|word| found[0].contains(word)), "{words:?} not in {found:?}");
    }

    #[test]
    fn each_planted_fault_is_found() {
        planted(Kind::File, "[a](gone.md)", &["docs/guide.md", "`gone.md`", "docs/gone.md", "not there"]);
        planted(Kind::File, "![a](picture.svg)", &["docs/picture.svg"]);
        planted(Kind::File, "<img src=\"gone.png\">", &["docs/gone.png"]);
        planted(Kind::File, "[a][b]\n\n[b]: gone.md", &["docs/gone.md"]);
        planted(Kind::File, "[a][b]", &["nothing defines", "[b]"]);
        planted(Kind::File, "[a](#gone)", &["heading", "docs/guide.md"]);
        planted(Kind::File, "[a](../README.md#gone)", &["heading", "README.md"]);
        planted(Kind::File, "[a](../README.md#twice-2)", &["heading", "README.md"]);
        planted(Kind::File, "[a](../../other/README.md)", &["out of the checkout"]);
        planted(Kind::File, "[a](/README.md)", &["out of the checkout"]);
        planted(Kind::File, "[a](../target/built.html)", &["not in git"]);
        planted(Kind::File, "[a](https://)", &["no address"]);
        planted(Kind::File, "[a](https://https://doi.org)", &["no address"]);
        planted(Kind::File, "[a](http://localhost:8888/lab)", &["no address"]);
        planted(Kind::File, "[a](ftp://example.org)", &["unknown kind"]);
        planted(Kind::Cell, "[a](../notebooks/n.ipynb#the-data)", &["heading", "n.ipynb"]);
        planted(Kind::Comment, "[a](../README.md)", &["src/lib.rs", "file"]);
        planted(Kind::Comment, "[a](#gone)", &["heading"]);
    }
}
