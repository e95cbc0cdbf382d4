//! JupyterLab in `notebooks/`, with the kernel ready.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::setup;

pub fn run(further: &[&str]) -> Result<ExitCode> {
    let places = setup::run()?;
    std::fs::create_dir_all(places.notebooks())?;
    let mut lab = Command::new(places.python_program("jupyter"));
    lab.arg("lab").arg("--notebook-dir").arg(places.notebooks()).args(further).current_dir(places.notebooks());
    let status = places.with_jupyter(&mut lab).status().context("JupyterLab does not start")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
