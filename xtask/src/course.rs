//! The notebooks as learners get them in a course: without solutions and outputs.

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};

use crate::check::notebooks::NOTEBOOKS;
use crate::paths::Paths;
use crate::setup;

/// `cargo xtask course --out DIR [--nbgrader]`.
pub fn run(folder: &str, options: &[&str]) -> Result<ExitCode> {
    let paths = setup::run()?;
    write(&paths, folder.as_ref(), options)?;
    println!("docs/teaching.md says how to use them");
    Ok(ExitCode::SUCCESS)
}

/// Writes the course version of both notebooks. Replaces no file.
pub fn write(paths: &Paths, folder: &Path, options: &[&str]) -> Result<()> {
    let mut python = Command::new(paths.python_program("python"));
    python.arg(paths.script("course.py")).args(options).arg(folder);
    python.args(NOTEBOOKS.map(|name| paths.notebooks().join(name))).stdin(Stdio::null());
    if !paths.with_jupyter(&mut python).status().context("Python does not start")?.success() {
        bail!("the course version of the notebooks was not written: see above");
    }
    Ok(())
}
