//! A shared installation in use: three users of this machine, made for the check, run both notebooks in JupyterHub at the
//! same time. It takes some minutes and changes the list of users for that time, so `cargo xtask test` does not run it.
//!
//! `xtask/python/hub.py` works JupyterHub.

use std::path::{PathBuf, absolute};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use fs_err as fs;

use crate::files::empty_folder;
use crate::paths::{NOTEBOOKS, Paths, which};
use crate::process::{run, run_logged};
use crate::setup::prerequisites;
use crate::setup::python::Environment;
use crate::setup::shared::closed_folder;

/// `cargo xtask hub FOLDER`.
pub fn run_in(folder: &str) -> Result<()> {
    if !(cfg!(target_os = "linux") && rustix::process::getuid().is_root()) {
        println!("NOT RUN: three users are made for this check, which needs Linux and root");
        return Ok(());
    }
    let paths = Paths::find()?;
    let shared = Paths::of(absolute(folder)?);
    ensure!(shared.is_shared(), "{folder} is no shared installation: `cargo xtask setup --shared {folder}` makes one");
    let title = "Python packages: JupyterHub and JupyterLab (download about 50 MB)";
    let environment = Environment::new(&paths, "hub", title, paths.script("hub.txt"));
    let mut found = prerequisites::check(&paths)?;
    let pythons = [found.python.clone(), "/usr/bin/python3".into()];
    let readable = pythons.into_iter().find(|python| python.exists() && closed_folder(python).is_none());
    found.python = readable.context("the users need a Python that they can read: install the system's")?;
    environment.step()?.ensure(|| environment.make(&found))?;
    let proxy = install_proxy(&paths)?;
    let mut jupyter = Command::new(environment.program("jupyter"));
    run(jupyter.args(["kernelspec", "install", "--sys-prefix", "--replace"]).arg(shared.kernelspec()))?;

    let results = paths.scratch.join("hub");
    empty_folder(&results)?;
    let mut python = Command::new(environment.python());
    python.arg(paths.script("hub.py")).arg(proxy).arg(&results);
    python.args(NOTEBOOKS.map(|name| shared.notebooks.join(name)));
    run(&mut python)
}

/// JupyterHub's proxy, a program for Node.js. Returns its path.
fn install_proxy(paths: &Paths) -> Result<PathBuf> {
    if which("npm").is_none() {
        bail!("npm is not on the search path: JupyterHub's proxy needs Node.js (Debian, Ubuntu: sudo apt install npm)");
    }
    let folder = paths.home.join("hub-proxy");
    fs::create_dir_all(&folder)?;
    for name in ["package.json", "package-lock.json"] {
        fs::copy(paths.root.join("xtask/hub").join(name), folder.join(name))?;
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--no-audit", "--no-fund", "--cache"]).arg(folder.join("cache")).current_dir(&folder);
    run_logged(paths, "hub-proxy", &mut npm, None)?;
    Ok(folder.join("node_modules/.bin/configurable-http-proxy"))
}
