//! Set-up's downloads from a server that fails: are they tried again, continued, and refused if a byte is wrong?
//!
//! `xtask/python/downloads.py` is the server.

use std::process::Command;

use anyhow::Result;

use crate::paths::Paths;
use crate::process::run;
use crate::setup::python::pip;

pub fn check(paths: &Paths) -> Result<()> {
    let python = paths.python_program("python");
    let pip = pip(&python, "download");
    let mut script = Command::new(&python);
    script.arg(paths.script("downloads.py")).arg(paths.scratch.join("downloads"));
    run(script.arg(pip.get_program()).args(pip.get_args()))
}
