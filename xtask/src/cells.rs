//! The directories in which kernels build cells.
//!
//! evcxr builds a notebook's cells as a cargo package. In a new directory it would compile every dependency again, for
//! minutes; two kernels in one directory would overwrite each other's source. So set-up builds one directory, `prepared`, by
//! really running a kernel in it, and each kernel gets a copy of its own that lives as long as the kernel.
//!
//! evcxr's package is a member of a small workspace, beside a package that does nothing but depend on the crate:
//!
//! ```text
//! prepared/Cargo.toml, Cargo.lock    the workspace; the lock starts as a copy of the checkout's
//! prepared/anchor/                   keeps the crate's dependencies in the lock (optional: only there, not in what is built)
//! prepared/cells/                    evcxr's package, with its target directory
//! ```
//!
//! A kernel starts with a package without dependencies, and cargo would then drop all versions from its lock, to choose
//! anew, over the network, once the notebook's first cell names the crate.

use std::fs::{self, File, FileTimes};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::notebooks::{NOTEBOOKS, RUNNER};
use crate::places::Places;
use crate::process::run_logged;
use crate::stamp::{Step, put_in_place, remove};

/// evcxr's package in a kernel's directory.
const CELLS: &str = "cells";
/// How a notebook loads the crate.
const DEPENDENCY: &str = r#":dep hhnet = { path = ".." }"#;
/// Cells are not optimised: most do nothing but call the crate, and half of the time that they took was their optimisation. The
/// crate is optimised fully, its dependencies as little as does no harm, and both go without the checks of arithmetic that cells
/// have.
const WORKSPACE: &str = r#"[workspace]
resolver = "3"
members = ["cells", "anchor"]

[profile.dev]
opt-level = 0
debug = false
strip = "debuginfo"
rpath = true
codegen-units = 16
incremental = true

[profile.dev.package."*"]
opt-level = 1
debug-assertions = false
overflow-checks = false

[profile.dev.package.hhnet]
opt-level = 3
debug-assertions = false
overflow-checks = false
"#;
/// Where cargo keeps what it has made of each package.
const PRODUCTS: [&str; 3] = ["build", "deps", ".fingerprint"];

pub fn step<'a>(places: &'a Places, rustc: &str, earlier: &[&Step]) -> Step<'a> {
    let mut inputs =
        vec![rustc.to_string(), places.root.display().to_string(), RUNNER.to_string(), WORKSPACE.to_string()];
    inputs.extend(dependencies(places));
    inputs.extend(earlier.iter().flat_map(|step| step.inputs.iter().cloned()));
    for name in ["Cargo.toml", "Cargo.lock", "build.rs", ".cargo/config.toml", "src"] {
        describe(&places.root.join(name), &mut inputs);
    }
    Step {
        places,
        name: "cells",
        title: "the cells' directory: a kernel compiles the crate once for all notebooks (a few minutes the first time)",
        product: prepared(places),
        inputs,
    }
}

/// Builds `prepared`: from the present one if there is one, so that only what changed is compiled.
pub fn prepare(places: &Places) -> Result<()> {
    let part = places.cells().join("prepared.part");
    remove(&part)?;
    fs::create_dir_all(places.cells())?;
    if prepared(places).exists() {
        copy(&prepared(places), &part, Incremental::Keep)?;
    }
    write_workspace(places, &part)?;
    fs::create_dir_all(places.notebooks())?;

    let notebook = places.home.join("prepare.ipynb");
    let mut cells = vec![dependencies(places).join("\n")];
    cells.push("let prepared = std::thread::available_parallelism();".to_string());
    cells.push("println!(\"{:?}\", prepared.is_ok());".to_string());
    fs::write(&notebook, notebook_of(&cells).to_string())?;
    let executed = places.home.join("prepare.executed.ipynb");
    let runner = places.home.join("run_notebook.py");
    fs::write(&runner, RUNNER)?;
    let mut python = Command::new(places.python_program("python"));
    python.arg(&runner).args([&notebook, &executed, &places.notebooks()]).current_dir(places.notebooks());
    // Tells the launcher to work in this directory, without a copy.
    python.env("EVCXR_TMPDIR", part.join(CELLS));
    run_logged(places, "cells", places.with_jupyter(&mut python), None)?;
    for left in [&notebook, &executed] {
        remove(left)?;
    }

    // A kernel that copies the old directory now must have finished.
    let lock = lock_file(places)?;
    lock.lock()?;
    put_in_place(&part, &prepared(places))
}

/// Writes the workspace around evcxr's package.
fn write_workspace(places: &Places, directory: &Path) -> Result<()> {
    let anchor = directory.join("anchor");
    fs::create_dir_all(anchor.join("src"))?;
    fs::create_dir_all(directory.join(CELLS))?;
    fs::write(directory.join("Cargo.toml"), WORKSPACE)?;
    // The versions of the checkout's own lock file: cells use what the tests have tested.
    fs::copy(places.root.join("Cargo.lock"), directory.join("Cargo.lock"))?;
    let package = format!(
        "[package]\nname = \"anchor\"\nedition = \"2024\"\n\n[dependencies]\nhhnet = {{ path = {:?}, optional = true }}\n",
        places.root.display().to_string()
    );
    fs::write(anchor.join("Cargo.toml"), package)?;
    fs::write(anchor.join("src/lib.rs"), "")?;
    Ok(())
}

/// A kernel's directory. When the kernel has ended, the next kernel or set-up that starts removes it.
pub struct OwnDirectory {
    path: PathBuf,
    /// Held as long as the kernel lives: a directory whose lock is free belongs to nobody.
    pub lock: File,
}

impl OwnDirectory {
    pub fn new(places: &Places) -> Result<Self> {
        fs::create_dir_all(places.cells())?;
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let path = places.cells().join(format!("kernel-{}-{since}", std::process::id()));
        let all = lock_file(places)?;
        // Alone: nobody may take a lock that has been made but is not held yet for an abandoned one.
        all.lock()?;
        remove_abandoned(places);
        let lock = File::create(path.with_extension("lock"))?;
        lock.lock()?;
        all.unlock()?;
        // Shared: copies do not disturb each other, but `prepared` must stay.
        all.lock_shared()?;
        let own = Self { path, lock };
        if prepared(places).exists() {
            copy(&prepared(places), &own.path, Incremental::Drop)
                .with_context(|| format!("cannot copy the prepared cells to {}", own.path.display()))?;
        } else {
            write_workspace(places, &own.path)?;
        }
        Ok(own)
    }

    /// Where evcxr works.
    pub fn cells(&self) -> PathBuf {
        self.path.join(CELLS)
    }
}

fn prepared(places: &Places) -> PathBuf {
    places.cells().join("prepared")
}

/// Removes the directories of kernels that have ended.
pub fn clean(places: &Places) -> Result<()> {
    fs::create_dir_all(places.cells())?;
    let all = lock_file(places)?;
    all.lock()?;
    remove_abandoned(places);
    Ok(())
}

fn lock_file(places: &Places) -> Result<File> {
    let path = places.cells().join("lock");
    File::create(&path).with_context(|| format!("cannot write {}", path.display()))
}

/// Removes the directories whose lock is free.
fn remove_abandoned(places: &Places) {
    let Ok(entries) = fs::read_dir(places.cells()) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        if !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("kernel-")) {
            continue;
        }
        let lock_path = path.with_extension("lock");
        let is_free = File::open(&lock_path).map_or(true, |lock| lock.try_lock().is_ok());
        if is_free {
            let _ = remove(&path.with_extension(""));
            let _ = remove(&lock_path);
        }
    }
}

/// Whether a copy keeps the compiler's incremental data: a rebuild of `prepared` profits from it, a kernel does not.
#[derive(Clone, Copy, PartialEq)]
enum Incremental {
    Keep,
    Drop,
}

/// Copies a directory with all times kept. For a kernel, dependencies' build products, which nothing ever writes to again, become
/// hard links; whatever belongs to the cell or to the crate itself is copied, since cargo may write to it in place. For a rebuild,
/// all is copied: a kernel may be at work with the old one.
fn copy(from: &Path, to: &Path, incremental: Incremental) -> Result<()> {
    copy_with(from, to, incremental, false)
}

/// `link` says that the directory holds products of dependencies.
fn copy_with(from: &Path, to: &Path, incremental: Incremental, link: bool) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let (source, target) = (entry.path(), to.join(&*name));
        let kind = entry.file_type()?;
        let is_own = ["hhnet", "ctx", "code_"].iter().any(|own| name.contains(own));
        if kind.is_dir() {
            if incremental == Incremental::Keep || name != "incremental" {
                let link = (link || PRODUCTS.contains(&&*name)) && !is_own && incremental == Incremental::Drop;
                copy_with(&source, &target, incremental, link)?;
            }
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(&source)?, &target)?;
        } else if !(link && !is_own && fs::hard_link(&source, &target).is_ok()) {
            fs::copy(&source, &target)?;
            File::options().write(true).open(&target)?.set_times(times(&entry.metadata()?)?)?;
        }
    }
    Ok(())
}

fn times(metadata: &fs::Metadata) -> Result<FileTimes> {
    Ok(FileTimes::new().set_modified(metadata.modified()?).set_accessed(metadata.modified()?))
}

/// The `:dep` lines of the notebooks, each once; without notebooks, the line that loads the crate.
fn dependencies(places: &Places) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for name in NOTEBOOKS {
        let Ok(text) = fs::read_to_string(places.notebooks().join(name)) else { continue };
        let Ok(notebook) = serde_json::from_str::<Value>(&text) else { continue };
        for cell in notebook["cells"].as_array().into_iter().flatten().filter(|cell| cell["cell_type"] == "code") {
            for line in crate::examine::text(&cell["source"]).lines().map(str::trim) {
                if line.starts_with(":dep ") && !lines.iter().any(|known| known == line) {
                    lines.push(line.to_string());
                }
            }
        }
    }
    if lines.is_empty() {
        lines.push(DEPENDENCY.to_string());
    }
    lines
}

fn notebook_of(sources: &[String]) -> Value {
    let cell =
        |source| json!({"cell_type": "code", "execution_count": null, "metadata": {}, "outputs": [], "source": source});
    let cells: Vec<Value> = sources.iter().map(cell).collect();
    json!({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 4})
}

/// Adds what tells a changed file: its content, and its time, by which cargo decides to compile it again.
fn describe(path: &Path, inputs: &mut Vec<String>) {
    if path.is_dir() {
        let mut entries: Vec<PathBuf> =
            fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        entries.sort();
        entries.iter().for_each(|entry| describe(entry, inputs));
    } else if let Ok(content) = fs::read(path) {
        let time = path.metadata().and_then(|metadata| metadata.modified()).ok();
        inputs.push(format!("{} {time:?}", path.display()));
        inputs.push(String::from_utf8_lossy(&content).into_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    /// Files, and whether copies share them.
    const FILES: [(&str, bool); 6] = [
        ("target/debug/deps/libtch.rlib", true),
        ("target/debug/build/tch-1/out/flags", true),
        ("target/debug/deps/libhhnet.rlib", false),
        ("target/debug/.fingerprint/hhnet-1/invoked.timestamp", false),
        ("target/debug/.cargo-lock", false),
        ("Cargo.toml", false),
    ];

    fn places(directory: &Path) -> Places {
        let places = Places { root: directory.to_path_buf(), home: directory.join(".hhnet") };
        for file in FILES.iter().map(|(file, _)| prepared(&places).join(file)) {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "x").unwrap();
        }
        places
    }

    #[test]
    fn copies_share_only_what_nothing_writes_to() {
        let directory = tempfile::tempdir().unwrap();
        let places = places(directory.path());
        let own = OwnDirectory::new(&places).unwrap();
        let same = |name: &str| {
            let (a, b) = (prepared(&places).join(name).metadata().unwrap(), own.path.join(name).metadata().unwrap());
            assert_eq!(a.modified().unwrap(), b.modified().unwrap(), "{name}");
            a.ino() == b.ino()
        };
        for (file, shared) in FILES {
            assert_eq!(same(file), shared, "{file}");
        }
    }

    #[test]
    fn directories_of_the_living_stay_and_those_of_the_dead_go() {
        let directory = tempfile::tempdir().unwrap();
        let places = places(directory.path());
        let living = OwnDirectory::new(&places).unwrap();
        let dead = places.cells().join("kernel-1-1");
        fs::create_dir_all(&dead).unwrap();
        fs::write(dead.with_extension("lock"), "").unwrap();
        let second = OwnDirectory::new(&places).unwrap();
        assert!(living.path.exists() && second.path.exists() && !dead.exists());
        let path = living.path.clone();
        drop(living);
        clean(&places).unwrap();
        assert!(!path.exists() && second.path.exists() && prepared(&places).exists());
    }
}
