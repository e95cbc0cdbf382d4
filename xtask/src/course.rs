//! The notebooks as learners get them in a course: without solutions and outputs.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result};

use crate::paths::{NOTEBOOKS, Paths};
use crate::{process, setup};

/// `cargo xtask course --out DIR [--nbgrader]`.
pub fn run(folder: &str, options: &[&str]) -> Result<()> {
    let paths = setup::run()?;
    write(&paths, folder.as_ref(), options)?;
    println!("docs/teaching.md says how to use them");
    Ok(())
}

/// Writes the course version of both notebooks. Replaces no file.
pub fn write(paths: &Paths, folder: &Path, options: &[&str]) -> Result<()> {
    let mut python = process::script_command(paths, "course.py");
    python.args(options).arg(folder).args(NOTEBOOKS.map(|name| paths.notebooks.join(name))).stdin(Stdio::null());
    process::run(&mut python).context("the course version of the notebooks was not written")
}
