//! The directory of which each kernel gets a copy, `prepared`: set-up compiles the crate there as evcxr would, while evcxr
//! itself is compiled, and then runs a kernel in it. [`crate::kernel::cells`] says what is in it.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::Result;
use fs_err as fs;
use serde_json::{Value, json};
use walkdir::WalkDir;

use crate::files::{remove, replace};
use crate::kernel::cells::{
    ANSWERS, CELLS, DYLIB, DYLIB_SOURCE, PREPARED, Purpose, SETTINGS, WORKSPACE, copy, lock_all, prepared,
    write_workspace,
};
use crate::kernel::environment;
use crate::notebook::{self, DEPENDENCY};
use crate::paths::Paths;
use crate::process::{nice, notebook_runner, run_logged, rustc_print};
use crate::setup::step::Step;

pub fn step<'a>(paths: &'a Paths, rustc: &str, earlier: &[&Step]) -> Step<'a> {
    let root = paths.root.display().to_string();
    let mut inputs =
        [rustc, &root, WORKSPACE, SETTINGS, DYLIB, DYLIB_SOURCE, DEPENDENCY, ANSWERS].map(str::to_string).to_vec();
    inputs.extend(users_settings(paths).map(|file| fs::read_to_string(file).unwrap_or_default()));
    inputs.extend(earlier.iter().flat_map(|step| step.inputs.iter().cloned()));
    for name in ["Cargo.toml", "Cargo.lock", "build.rs", ".cargo/config.toml", "src"] {
        let files = WalkDir::new(paths.root.join(name)).sort_by_file_name().into_iter().flatten();
        inputs.extend(files.filter(|entry| entry.file_type().is_file()).map(|entry| describe(entry.path())));
    }
    Step {
        paths,
        name: "cells",
        title: "the cells' directory: a kernel compiles its first cells in it".into(),
        product: prepared(paths),
        inputs,
    }
}

/// Where cargo's settings of the user may be: above the checkout, and in cargo's own folder.
fn users_settings(paths: &Paths) -> impl Iterator<Item = PathBuf> {
    let above = paths.root.ancestors().skip(1).map(|folder| folder.join(".cargo"));
    let cargo_home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let own = cargo_home.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")));
    let folders: Vec<PathBuf> = above.chain(own).collect();
    folders.into_iter().flat_map(|folder| ["config", "config.toml"].map(|name| folder.join(name)))
}

/// A file's path, its content, and its time, by which cargo decides whether to compile it again.
fn describe(path: &Path) -> String {
    let time = path.metadata().and_then(|metadata| metadata.modified()).ok();
    let content = fs::read(path).unwrap_or_default();
    format!("{} {time:?}\n{}", path.display(), String::from_utf8_lossy(&content))
}

/// Compiles the crate for cells, which needs the two libraries but not evcxr: in a copy of the present directory if
/// there is one, so that only what changed is compiled, or where an interrupted set-up has begun.
pub fn compile(paths: &Paths) -> Result<()> {
    println!("* the crate, compiled once for the cells of all notebooks (a few minutes the first time)");
    let part = part(paths);
    fs::create_dir_all(&paths.cells)?;
    if prepared(paths).exists() && !part.exists() {
        let copied = paths.cells.join("prepared.copy");
        remove(&copied)?;
        copy(&prepared(paths), &copied, Purpose::Rebuild)?;
        fs::rename(copied, &part)?;
    }
    write_workspace(paths, &part)?;
    // Without what may be the cause, the next try begins anew.
    compile_in(paths, &part.join(CELLS)).inspect_err(|_| drop(remove(&part)))
}

fn compile_in(paths: &Paths, cells: &Path) -> Result<()> {
    let host = rustc_print(paths, "host-tuple")?;
    // evcxr builds cells, and has cargo check them to find out about some mistakes: the products are others.
    for task in ["build", "check"] {
        let mut cargo = nice("cargo");
        cargo.args([task, "--package", "hhnet-dylib", "--features", "hhnet", "--target", &host]).current_dir(cells);
        // As evcxr does.
        environment::without_build_settings(&mut cargo).env("RUSTFLAGS", "-Cprefer-dynamic");
        cargo.env("CARGO_TARGET_DIR", "target").env("CARGO_BUILD_BUILD_DIR", "target");
        run_logged(paths, &format!("cells-{task}"), paths.with_libraries(&mut cargo), None)?;
    }
    Ok(())
}

/// Makes `prepared` of what [`compile`] has compiled, by running a kernel there.
pub fn prepare(paths: &Paths) -> Result<()> {
    let part = part(paths);
    fs::create_dir_all(&paths.notebooks)?;

    let notebook = paths.home.join("prepare.ipynb");
    let executed = paths.home.join("prepare.executed.ipynb");
    fs::write(&notebook, preparing_notebook().to_string())?;
    let mut runner = notebook_runner(paths, &notebook, &executed, &paths.notebooks);
    run_logged(paths, "cells", runner.env(PREPARED, part.join(CELLS)), None)?;
    remove(&notebook)?;
    remove(&executed)?;

    // A kernel that is copying the present directory must finish first.
    let _lock = lock_all(&paths.kernels()?)?;
    replace(&prepared(paths), &part)
}

/// Loads what the notebooks load, and compiles one cell with a variable, one with output, and one with a mistake.
fn preparing_notebook() -> Value {
    let mut notebook = notebook::of_code(&[
        DEPENDENCY,
        "let prepared = std::thread::available_parallelism();",
        "println!(\"{:?}\", prepared.is_ok());",
        "let missing_semicolon = 1\nmissing_semicolon",
    ]);
    notebook["cells"][3]["metadata"] = json!({"tags": ["raises-exception"]});
    notebook
}

/// The directory while it is being made.
fn part(paths: &Paths) -> PathBuf {
    paths.cells.join("prepared.part")
}
