//! JupyterLab in `notebooks/`, with the kernel ready.

use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result};

use crate::notebooks::NOTEBOOKS;
use crate::setup;

pub fn run(further: &[&str]) -> Result<ExitCode> {
    let places = setup::run()?;
    std::fs::create_dir_all(places.notebooks())?;
    // JupyterLab shows pictures only in notebooks that it trusts; these two are part of the program that is running.
    let mut trust = Command::new(places.python_program("jupyter"));
    trust.arg("trust").args(NOTEBOOKS).current_dir(places.notebooks()).stdout(Stdio::null());
    if !places.with_jupyter(&mut trust).status().context("`jupyter trust` does not start")?.success() {
        println!("the notebooks could not be marked as trusted: their figures show once their cells have run");
    }
    let mut lab = Command::new(places.python_program("jupyter"));
    lab.arg("lab").arg("--notebook-dir").arg(places.notebooks()).args(further).current_dir(places.notebooks());
    let status = places.with_jupyter(&mut lab).status().context("JupyterLab does not start")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
