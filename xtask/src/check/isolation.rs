//! A kernel in an environment that would have cargo build otherwise, with settings for another evcxr: does it use what
//! set-up has compiled, and leave that alone? In the same kernel, cells fail in all ways: are others left unharmed, and
//! does the program that runs notebooks notice?

use std::collections::BTreeMap;
use std::iter;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result};
use fs_err as fs;
use serde_json::json;
use walkdir::WalkDir;

use crate::check::report;
use crate::files::{empty_folder, remove};
use crate::kernel::cells;
use crate::notebook;
use crate::paths::Paths;
use crate::process::notebook_runner;

/// As conda, `module load` or a shell's profile set them.
const VARIABLES: [(&str, &str); 16] = [
    ("CFLAGS", "-O1 -DSPOILED"),
    ("CXXFLAGS", "-O1 -DSPOILED"),
    ("CPPFLAGS", "-DSPOILED"),
    ("LDFLAGS", "-L/spoiled"),
    ("CC", "spoiled-cc"),
    ("CXX", "spoiled-c++"),
    ("AR", "spoiled-ar"),
    ("CPATH", "/spoiled"),
    ("C_INCLUDE_PATH", "/spoiled"),
    ("LIBRARY_PATH", "/spoiled"),
    ("PKG_CONFIG_PATH", "/spoiled"),
    ("RUSTFLAGS", "--cfg spoiled"),
    ("CARGO_ENCODED_RUSTFLAGS", "--cfg=spoiled"),
    ("CARGO_INCREMENTAL", "0"),
    ("CARGO_PROFILE_DEV_DEBUG", "2"),
    ("CONDA_PREFIX", "/spoiled"),
];
/// Cargo's settings of the user, in a folder above the kernel's.
const CARGO_SETTINGS: &str = r#"[build]
rustflags = ["--cfg", "spoiled"]
rustc-wrapper = "/spoiled"
rustc-workspace-wrapper = "/spoiled"
target-dir = "/spoiled"
incremental = false

[profile.dev]
opt-level = 3
debug = 2
strip = false
codegen-units = 1

[profile.dev.package."*"]
opt-level = 3

[target.x86_64-unknown-linux-gnu]
linker = "/spoiled"

[target.aarch64-unknown-linux-gnu]
linker = "/spoiled"

[target.aarch64-apple-darwin]
linker = "/spoiled"
"#;
/// How an evcxr that set-up has not installed loads the crate. With ours, it is the same crate.
const BY_PATH: &str = r#":dep hhnet = { path = ".." }"#;
/// A user's settings of evcxr: both would fail.
const SETTINGS: [(&str, &str); 2] =
    [("evcxr.toml", "tmpdir = \"/spoiled\"\n"), ("init.evcxr", ":dep spoiled = { path = \"/spoiled\" }\n")];

/// The cells after the one that loads the crate, with what must be printed when each of them runs.
const CELLS: [(&str, &str); 10] = [
    (
        "use hhnet::prelude::*;\nfn deep(n: u64) -> u64 { if n == 0 { 0 } else { 1 + deep(std::hint::black_box(n - 1)) } }",
        "",
    ),
    ("std::process::abort();", "Subprocess terminated"),
    ("let nowhere: fn() = unsafe { std::mem::transmute(8_usize) };\nnowhere();", "Subprocess terminated"),
    ("println!(\"{}\", deep(u64::MAX));", "Subprocess terminated"),
    ("let memory = vec![1_u8; 1 << 60];", "Subprocess terminated"),
    // One cell restores the model.
    ("let model = trained_model()?;\nprintln!(\"{} weights\", model.count_params());", "219 weights"),
    ("H5Matrix::open(\"nowhere.h5\", \"X\")?;", "failed, as it may: text on standard error: 'nowhere.h5'"),
    (
        "let none = Vec::<u64>::new();\nprintln!(\"{}\", none[3]);",
        "failed, as it may: text on standard error: panicked: index out of bounds",
    ),
    ("println!(\"still {} weights\", model.count_params());", "still 219 weights"),
    // evcxr itself.
    (
        "std::process::Command::new(\"kill\").args([\"-KILL\", &std::os::unix::process::parent_id().to_string()]).status();",
        "",
    ),
];

pub fn check(paths: &Paths) -> Result<()> {
    let settings = paths.scratch.join("isolation");
    empty_folder(&settings)?;
    for (name, content) in SETTINGS {
        fs::write(settings.join(name), content)?;
    }
    let notebook = settings.join("isolation.ipynb");
    let sources: Vec<&str> = iter::once(BY_PATH).chain(CELLS.map(|(source, _)| source)).collect();
    let mut content = notebook::of_code(&sources);
    for cell in content["cells"].as_array_mut().into_iter().flatten() {
        cell["metadata"] = json!({"tags": ["raises-exception"]});
    }
    fs::write(&notebook, content.to_string())?;
    let cargo_settings = paths.cells.join(".cargo");
    fs::create_dir_all(&cargo_settings)?;
    fs::write(cargo_settings.join("config.toml"), CARGO_SETTINGS)?;

    let (before, directories) = (compiled(&cells::prepared(paths)), cells::kernel_directories(&paths.cells));
    let mut runner = notebook_runner(paths, &notebook, &settings.join("executed.ipynb"), &paths.scratch);
    runner.envs(VARIABLES).env("EVCXR_CONFIG_DIR", &settings).env("EVCXR_TMPDIR", "/spoiled");
    let output = runner.output()?;
    remove(&cargo_settings)?;
    let printed = String::from_utf8_lossy(&output.stdout);
    println!("{printed}");
    let messages = String::from_utf8_lossy(&output.stderr);
    println!("{messages}");
    let mut faults = cell_faults(&printed);
    if output.status.success() || !messages.contains("the kernel died") {
        faults.push("evcxr was killed in the last cell, but the runner does not say so".to_string());
    }

    // A kernel's directory is there until the next one starts.
    let left = cells::kernel_directories(&paths.cells);
    let directory = left.difference(&directories).next().context("the kernel has left no directory")?;
    let changed = |found: &BTreeMap<PathBuf, SystemTime>, what: &str| -> Vec<String> {
        let is_new = |(path, time): &(&PathBuf, &SystemTime)| before.get(*path) != Some(time);
        found.iter().filter(is_new).map(|(path, _)| format!("{what}: {}", path.display())).collect()
    };
    faults.extend(changed(&compiled(directory), "compiled again"));
    faults.extend(changed(&compiled(&cells::prepared(paths)), "written in the prepared directory"));
    report(&faults, "a variable or a setting reached the kernel, or a cell's failure did harm")
}

/// What the runner of notebooks has not printed for a cell.
fn cell_faults(printed: &str) -> Vec<String> {
    // It prints `  [ 2/10] SOURCE` for each cell, and below it what the cell prints.
    let cells: Vec<&str> = printed.split("\n  [").collect();
    let is_missing = |(index, (_, expected)): &(usize, (&str, &str))| {
        cells.get(index + 1).is_none_or(|cell| !cell.contains(expected))
    };
    let missing = CELLS.into_iter().enumerate().filter(is_missing);
    missing.map(|(_, (source, expected))| format!("the cell `{source}` does not print '{expected}'")).collect()
}

/// What cargo has compiled of dependencies, with its time.
fn compiled(directory: &Path) -> BTreeMap<PathBuf, SystemTime> {
    let entries = WalkDir::new(directory.join("cells/target")).into_iter().flatten();
    let products = entries.filter(|entry| {
        let name = entry.file_name().to_string_lossy();
        [".rlib", ".rmeta", ".a"].iter().any(|end| name.ends_with(end)) && !name.contains("ctx")
    });
    let with_time = products.filter_map(|entry| {
        let path = entry.path().strip_prefix(directory).ok()?.to_path_buf();
        Some((path, entry.metadata().ok()?.modified().ok()?))
    });
    with_time.collect()
}
