//! JupyterLab in `notebooks/`, with the kernel ready.

use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result};

use crate::check::notebooks::NOTEBOOKS;
use crate::setup;

/// `cargo xtask lab`: `options` go to JupyterLab.
pub fn run(options: &[&str]) -> Result<ExitCode> {
    let paths = setup::run()?;
    // JupyterLab shows stored figures only in notebooks that it trusts.
    let mut trust = Command::new(paths.python_program("jupyter"));
    trust.arg("trust").args(NOTEBOOKS).current_dir(paths.notebooks()).stdout(Stdio::null());
    if !paths.with_jupyter(&mut trust).status().context("`jupyter trust` does not start")?.success() {
        println!("the notebooks could not be marked as trusted: figures show once their cells have run");
    }
    let mut lab = Command::new(paths.python_program("jupyter"));
    lab.arg("lab").arg("--notebook-dir").arg(paths.notebooks()).args(options).current_dir(paths.notebooks());
    let status = paths.with_jupyter(&mut lab).status().context("JupyterLab does not start")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
