//! The program that the kernelspec names: gives evcxr_jupyter a directory of its own, then becomes evcxr_jupyter.

use std::env;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::kernel::cells::KernelDirectory;
use crate::paths::Paths;

pub fn run(connection_file: &str) -> Result<()> {
    let paths = Paths::find()?;
    let mut evcxr = Command::new(&paths.evcxr);
    // What it prints to its standard output is for a terminal; cells print over the connection.
    evcxr.args(["--control_file", connection_file]).stdout(Stdio::null());
    paths.with_libraries(&mut evcxr);
    // evcxr replaces a kernelspec `rust` that it finds here, or else in the user's home, by one of its own.
    evcxr.env("JUPYTER_PATH", paths.home.join("jupyter/no-kernelspec"));
    let mut own = None;
    // A directory that was chosen before is used as it is: set-up chooses one to prepare the cells.
    if env::var_os("EVCXR_TMPDIR").is_none() {
        let directory = own.insert(KernelDirectory::new(&paths)?);
        evcxr.env("EVCXR_TMPDIR", directory.cells());
        // The kernel reads nothing from its standard input. The lock in its place holds until the kernel ends.
        evcxr.stdin(Stdio::from(directory.lock.try_clone()?.into_file()));
    }
    // Not a child process: whoever kills the kernel then kills the right one.
    let error = evcxr.exec();
    Err(error).context("evcxr_jupyter does not start: run `cargo xtask setup`")
}
