//! The launcher that the kernelspec names: gives evcxr's kernel a directory of its own and waits for its end.

use std::env;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result};

use crate::cells::OwnDirectory;
use crate::places::Places;

pub fn run(connection_file: &str) -> Result<ExitCode> {
    let places = Places::find()?;
    let mut evcxr = Command::new(places.evcxr());
    // What it prints to its standard output is for a terminal; cells print over the connection.
    evcxr.args(["--control_file", connection_file]).stdout(Stdio::null());
    places.with_libraries(&mut evcxr);
    if env::var_os("EVCXR_TMPDIR").is_some() {
        // Somebody has chosen a directory: set-up does, to prepare the cells.
        return wait(&mut evcxr);
    }
    let own = OwnDirectory::new(&places)?;
    evcxr.env("EVCXR_TMPDIR", &own.path);
    // The kernel reads nothing from its standard input. With the lock in that place it keeps its directory even if this
    // launcher is killed before it.
    evcxr.stdin(Stdio::from(own.lock.try_clone()?));
    wait(&mut evcxr)
}

fn wait(evcxr: &mut Command) -> Result<ExitCode> {
    let status = evcxr.status().context("evcxr_jupyter does not start: run `cargo xtask setup`")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
