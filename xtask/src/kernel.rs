//! The launcher that the kernelspec names: gives evcxr's kernel a directory of its own, then becomes that kernel.

use std::env;
use std::os::unix::process::CommandExt;
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
    // Where this variable leads, or else in the user's home, evcxr would replace the kernelspec `rust` by one of its own.
    evcxr.env("JUPYTER_PATH", places.home.join("jupyter/no-kernelspec"));
    let mut own = None;
    // A directory that somebody has chosen is used as it is: set-up does so, to prepare the cells.
    if env::var_os("EVCXR_TMPDIR").is_none() {
        let directory = own.insert(OwnDirectory::new(&places)?);
        evcxr.env("EVCXR_TMPDIR", directory.cells());
        // The kernel reads nothing from its standard input. With the lock in that place it owns the directory until its end.
        evcxr.stdin(Stdio::from(directory.lock.try_clone()?));
    }
    // Not a child process: whoever kills the kernel kills the right one.
    let error = evcxr.exec();
    Err(error).context("evcxr_jupyter does not start: run `cargo xtask setup`")
}
