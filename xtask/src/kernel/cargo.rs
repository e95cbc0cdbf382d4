//! The kernel's `cargo`, which is this program. It answers two questions, and leaves all others to the real cargo.
//!
//! - rust-analyzer asks for the packages (`cargo metadata` with `--filter-platform`). The answer lacks those that no cell
//!   can name: build dependencies, procedural macros, and most dependencies of a package whose manifest says, as
//!   `types-from` under `[package.metadata.cells]`, which dependencies the types of its interface come from.
//! - evcxr builds a cell of its own, `42`, twice whenever it starts. Set-up stores what the real cargo says and makes in
//!   `prepared/answers`, with a folder for each source.

use std::collections::{HashMap, HashSet};
use std::env;
use std::io::{Write, stdout};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio, exit};

use anyhow::{Context, Result};
use fs_err as fs;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::kernel::cells::{ANSWERS, PREPARED};
use crate::paths::Paths;

/// What cargo exits with if a package cannot be compiled.
const FAILURE: i32 = 101;
/// Stands for the folder of evcxr's package.
const PLACE: &str = "{place}";

pub fn run(paths: &Paths, arguments: &[&str]) -> Result<()> {
    let mut real = Command::new(paths.kernel_toolchain.join("real/cargo"));
    real.args(arguments);
    let place = env::current_dir()?;
    if asks_for_packages(arguments) {
        let mut output = output(&mut real)?;
        if let Ok(mut metadata) = serde_json::from_slice(&output.stdout) {
            prune(&mut metadata);
            output.stdout = metadata.to_string().into_bytes();
        }
        reply(&output.stdout, output.status.code())?;
    } else if let Some(folder) = answer_folder(&place, arguments) {
        if env::var_os(PREPARED).is_some() {
            let output = output(&mut real)?;
            store(&folder, &place, &output.stdout)?;
            reply(&output.stdout, output.status.code())?;
        } else if let Ok((text, code)) = recall(&folder, &place) {
            reply(text.as_bytes(), Some(code))?;
        }
    }
    Err(real.exec()).context("the real cargo does not start: run `cargo xtask setup`")
}

fn output(real: &mut Command) -> Result<Output> {
    real.stderr(Stdio::inherit()).output().context("the real cargo does not start: run `cargo xtask setup`")
}

fn reply(text: &[u8], code: Option<i32>) -> Result<()> {
    stdout().write_all(text)?;
    exit(code.unwrap_or(FAILURE))
}

fn asks_for_packages(arguments: &[&str]) -> bool {
    arguments.first() == Some(&"metadata")
        && arguments.contains(&"--filter-platform")
        && !arguments.contains(&"--no-deps")
}

/// Keeps those packages in the answer of `cargo metadata` that types of cells can come from.
fn prune(metadata: &mut Value) {
    let Some(needed) = needed(metadata) else { return };
    let keep = |value: &Value| value.as_str().is_some_and(|id| needed.contains(id));
    if let Some(packages) = metadata["packages"].as_array_mut() {
        packages.retain(|package| keep(&package["id"]));
    }
    if let Some(nodes) = metadata["resolve"]["nodes"].as_array_mut() {
        nodes.retain(|node| keep(&node["id"]));
        for node in nodes {
            for (list, field) in [("dependencies", ""), ("deps", "pkg")] {
                if let Some(list) = node[list].as_array_mut() {
                    list.retain(|item| keep(if field.is_empty() { item } else { &item[field] }));
                }
            }
        }
    }
}

/// The packages that can be reached from the workspace's own; None if the answer is not as expected.
fn needed(metadata: &Value) -> Option<HashSet<String>> {
    let packages: HashMap<&str, &Value> = metadata["packages"]
        .as_array()?
        .iter()
        .filter_map(|package| Some((package["id"].as_str()?, package)))
        .collect();
    let nodes: HashMap<&str, &Value> =
        metadata["resolve"]["nodes"].as_array()?.iter().filter_map(|node| Some((node["id"].as_str()?, node))).collect();
    let mut needed = HashSet::new();
    // Each package with whether its own dependencies count.
    let mut open: Vec<(&str, bool)> =
        metadata["workspace_members"].as_array()?.iter().filter_map(|id| Some((id.as_str()?, true))).collect();
    while let Some((id, with_dependencies)) = open.pop() {
        if !needed.insert(id.to_string()) || !with_dependencies {
            continue;
        }
        let types_from = packages.get(id)?["metadata"]["cells"]["types-from"].as_array();
        for dependency in nodes.get(id)?["deps"].as_array()? {
            let id = dependency["pkg"].as_str()?;
            let package = packages.get(id)?;
            let listed = types_from.is_none_or(|names| names.contains(&package["name"]));
            let for_code = dependency["dep_kinds"].as_array()?.iter().any(|kind| kind["kind"].is_null());
            let is_macro = package["targets"].as_array()?.iter().any(|target| target["kind"][0] == "proc-macro");
            if listed && for_code && !is_macro {
                open.push((id, types_from.is_none()));
            }
        }
    }
    Some(needed)
}

/// The folder of the answer to a build of evcxr's package, which is in `place`. Only those without dependencies have one: their
/// products depend on nothing but the source.
fn answer_folder(place: &Path, arguments: &[&str]) -> Option<PathBuf> {
    let manifest = fs::read_to_string(place.join("Cargo.toml")).ok()?;
    if arguments.first() != Some(&"build") || !manifest.trim_end().ends_with("[dependencies]") {
        return None;
    }
    let source = fs::read(place.join("src/lib.rs")).ok()?;
    Some(place.with_file_name(ANSWERS).join(format!("{:x}", Sha256::digest(source))))
}

fn store(folder: &Path, place: &Path, text: &[u8]) -> Result<()> {
    let text = String::from_utf8_lossy(text);
    fs::create_dir_all(folder)?;
    if let Some(library) = library(&text) {
        fs::copy(library, folder.join("library"))?;
    }
    Ok(fs::write(folder.join("stdout"), text.replace(&place.display().to_string(), PLACE))?)
}

/// Puts the stored library where cargo would, and returns what cargo prints and exits with.
fn recall(folder: &Path, place: &Path) -> Result<(String, i32)> {
    let text = fs::read_to_string(folder.join("stdout"))?.replace(PLACE, &place.display().to_string());
    let Some(library) = library(&text) else { return Ok((text, FAILURE)) };
    fs::copy(folder.join("library"), library)?;
    Ok((text, 0))
}

/// The library of a cell, if cargo's messages say that it was made.
fn library(text: &str) -> Option<PathBuf> {
    let messages = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut libraries = messages.filter(|message| message["target"]["name"] == "ctx");
    libraries.find_map(|message| message["filenames"][0].as_str().map(PathBuf::from))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_the_question_for_all_packages_is_answered_here() {
        assert!(asks_for_packages(&["metadata", "--format-version", "1", "--filter-platform", "x"]));
        assert!(!asks_for_packages(&["metadata", "--no-deps", "--filter-platform", "x"]));
        assert!(!asks_for_packages(&["metadata", "--format-version", "1"]));
        assert!(!asks_for_packages(&["build", "--filter-platform"]));
    }

    #[test]
    fn only_packages_with_types_for_cells_stay() {
        let package = |name: &str, kind: &str, metadata: Value| {
            let targets = json!([{"kind": [kind]}]);
            json!({"id": name, "name": name, "targets": targets, "metadata": metadata})
        };
        let node = |name: &str, deps: &[(&str, Value)]| {
            let deps: Vec<Value> =
                deps.iter().map(|(name, kind)| json!({"pkg": name, "dep_kinds": [{"kind": kind}]})).collect();
            let names: Vec<&Value> = deps.iter().map(|dep| &dep["pkg"]).collect();
            json!({"id": name, "dependencies": names, "deps": deps})
        };
        let normal = Value::Null;
        let mut metadata = json!({
            "workspace_members": ["ctx"],
            "packages": [
                package("ctx", "cdylib", Value::Null),
                package("lab", "lib", json!({"cells": {"types-from": ["arrays"]}})),
                package("arrays", "lib", Value::Null),
                package("numbers", "lib", Value::Null),
                package("files", "lib", Value::Null),
                package("random", "lib", Value::Null),
                package("core-of-random", "lib", Value::Null),
                package("derive", "proc-macro", Value::Null),
                package("compiler", "lib", Value::Null),
            ],
            "resolve": {"nodes": [
                node("ctx", &[("lab", normal.clone()), ("random", normal.clone())]),
                node("lab", &[("arrays", normal.clone()), ("files", normal.clone())]),
                node("arrays", &[("numbers", normal.clone())]),
                node("numbers", &[]),
                node("files", &[]),
                node("random", &[("core-of-random", normal.clone()), ("derive", normal), ("compiler", json!("build"))]),
                node("core-of-random", &[]),
                node("derive", &[]),
                node("compiler", &[]),
            ]},
        });
        prune(&mut metadata);
        let left = ["ctx", "lab", "arrays", "random", "core-of-random"];
        let names: Vec<&Value> =
            metadata["packages"].as_array().unwrap().iter().map(|package| &package["name"]).collect();
        assert_eq!(names, left);
        let nodes = metadata["resolve"]["nodes"].as_array().unwrap();
        assert_eq!(nodes.len(), left.len());
        assert_eq!(nodes[1]["dependencies"], json!(["arrays"]));
        assert_eq!(nodes[2]["deps"], json!([]));
    }

    #[test]
    fn an_unknown_answer_stays_as_it_is() {
        for answer in [json!({}), json!({"packages": [], "resolve": null}), json!([1])] {
            let mut pruned = answer.clone();
            prune(&mut pruned);
            assert_eq!(pruned, answer);
        }
    }

    /// A folder `cells` of evcxr's, with a source and dependencies.
    fn cells(home: &Path, source: &str, dependencies: &str) -> PathBuf {
        let place = home.join("cells");
        fs::create_dir_all(place.join("src")).unwrap();
        fs::create_dir_all(place.join("target")).unwrap();
        fs::write(place.join("Cargo.toml"), format!("[package]\nname = \"ctx\"\n\n[dependencies]\n{dependencies}\n"))
            .unwrap();
        fs::write(place.join("src/lib.rs"), source).unwrap();
        place
    }

    #[test]
    fn a_build_that_was_stored_in_one_folder_is_answered_in_another_one() {
        let home = tempfile::tempdir().unwrap();
        let prepared = cells(&home.path().join("prepared"), "42", "");
        let library = prepared.join("target/libctx.so");
        fs::write(&library, "a library").unwrap();
        let made = json!({"reason": "compiler-artifact", "target": {"name": "ctx"}, "filenames": [library]});
        let text = format!("{made}\n{}\n", json!({"reason": "build-finished", "success": true}));
        let folder = answer_folder(&prepared, &["build"]).unwrap();
        store(&folder, &prepared, text.as_bytes()).unwrap();

        let kernel = home.path().join("kernel");
        fs::create_dir_all(kernel.join(ANSWERS).join(folder.file_name().unwrap())).unwrap();
        for name in ["stdout", "library"] {
            let part = kernel.join(ANSWERS).join(folder.file_name().unwrap()).join(name);
            fs::copy(folder.join(name), part).unwrap();
        }
        let place = cells(&kernel, "42", "");
        let (recalled, code) = recall(&answer_folder(&place, &["build"]).unwrap(), &place).unwrap();
        let path = |place: &Path| place.display().to_string();
        assert_eq!((recalled, code), (text.replace(&path(&prepared), &path(&place)), 0));
        assert_eq!(fs::read_to_string(place.join("target/libctx.so")).unwrap(), "a library");

        let message = json!({"reason": "compiler-message", "target": {"name": "ctx"}}).to_string();
        store(&folder, &prepared, message.as_bytes()).unwrap();
        assert_eq!(recall(&folder, &prepared).unwrap(), (message, FAILURE));

        let place = cells(&kernel, "43", "");
        assert!(recall(&answer_folder(&place, &["build"]).unwrap(), &place).is_err());
        assert_eq!(answer_folder(&place, &["check"]), None);
        let place = cells(&kernel, "42", "hhnet = { workspace = true }");
        assert_eq!(answer_folder(&place, &["build"]), None);
    }
}
