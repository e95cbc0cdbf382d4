//! A kernel in an environment that would have cargo build otherwise, with settings for another evcxr: does it use what
//! set-up has compiled, and leave that alone?

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, Result};
use fs_err as fs;
use walkdir::WalkDir;

use crate::check::report;
use crate::files::remove;
use crate::kernel::cells;
use crate::paths::Paths;
use crate::process::run;

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
/// How an evcxr that set-up has not installed loads the crate. With ours, it is the same crate.
const BY_PATH: &str = r#":dep hhnet = { path = ".." }"#;
/// A user's settings of evcxr: both would fail.
const SETTINGS: [(&str, &str); 2] =
    [("evcxr.toml", "tmpdir = \"/spoiled\"\n"), ("init.evcxr", ":dep spoiled = { path = \"/spoiled\" }\n")];

pub fn check(paths: &Paths) -> Result<()> {
    let settings = paths.scratch.join("isolation");
    remove(&settings)?;
    fs::create_dir_all(&settings)?;
    for (name, content) in SETTINGS {
        fs::write(settings.join(name), content)?;
    }
    let notebook = settings.join("isolation.ipynb");
    fs::write(&notebook, cells::notebook(&[BY_PATH, "use hhnet::prelude::*;"]).to_string())?;

    let (before, directories) = (compiled(&cells::prepared(paths)), kernel_directories(paths)?);
    let mut python = Command::new(paths.python_program("python"));
    python.arg(paths.script("run_notebook.py")).arg(&notebook).arg(settings.join("executed.ipynb"));
    python.arg(&paths.scratch).current_dir(&paths.scratch).envs(VARIABLES);
    python.env("EVCXR_CONFIG_DIR", &settings).env("EVCXR_TMPDIR", "/spoiled");
    run(paths.with_jupyter(&mut python))?;

    // A kernel's directory is there until the next one starts.
    let new: Vec<PathBuf> = kernel_directories(paths)?.difference(&directories).cloned().collect();
    let directory = new.first().context("the kernel has left no directory")?;
    let changed = |found: &BTreeMap<PathBuf, SystemTime>, what: &str| -> Vec<String> {
        let is_new = |(path, time): &(&PathBuf, &SystemTime)| before.get(*path) != Some(time);
        found.iter().filter(is_new).map(|(path, _)| format!("{what}: {}", path.display())).collect()
    };
    let mut faults = changed(&compiled(directory), "compiled again");
    faults.extend(changed(&compiled(&cells::prepared(paths)), "written in the prepared directory"));
    report(&faults, "a variable, or a setting of evcxr, reached the kernel")
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

fn kernel_directories(paths: &Paths) -> Result<BTreeSet<PathBuf>> {
    let entries = fs::read_dir(&paths.cells)?.flatten().map(|entry| entry.path());
    let is_one = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("kernel-") && path.is_dir()
    };
    Ok(entries.filter(is_one).collect())
}
