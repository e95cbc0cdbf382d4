//! JupyterLab in `notebooks/`, with the kernel ready.

use std::process::{Command, Stdio};

use anyhow::Result;

use crate::check::notebooks::NOTEBOOKS;
use crate::{process, setup};

/// `cargo xtask lab`: `options` go to JupyterLab.
pub fn run(options: &[&str]) -> Result<()> {
    let paths = setup::run()?;
    // JupyterLab shows stored figures only in notebooks that it trusts.
    let mut trust = Command::new(paths.python_program("jupyter"));
    trust.arg("trust").args(NOTEBOOKS).current_dir(&paths.notebooks).stdout(Stdio::null());
    if process::run(paths.with_jupyter(&mut trust)).is_err() {
        println!("the notebooks could not be marked as trusted: figures show once their cells have run");
    }
    let mut lab = Command::new(paths.python_program("jupyter"));
    lab.arg("lab").arg("--notebook-dir").arg(&paths.notebooks).args(options).current_dir(&paths.notebooks);
    process::run(paths.with_jupyter(&mut lab))
}
