//! Measurements: benches of the crate, other programs on the same work, and every cell of the notebooks.

use std::env;
use std::process::Command;

use anyhow::{Result, bail};

use crate::check::notebooks::NOTEBOOKS;
use crate::process::run;
use crate::setup;
use crate::setup::python::Environment;

/// `benches/NAME.rs`.
pub const BENCHES: [&str; 4] = ["generator", "hdf5", "large", "training"];

/// Those with `benches/peers/NAME.py` and its packages in `benches/peers/NAME.txt`.
pub const WITH_PEERS: [&str; 2] = ["generator", "training"];

/// `cargo xtask bench NAME`: `options` go to the bench.
pub fn crate_itself(name: &str, options: &[&str]) -> Result<()> {
    let paths = setup::run()?;
    let mut cargo = Command::new("cargo");
    cargo.args(["bench", "--locked", "--bench", name, "--"]).args(options).current_dir(&paths.root);
    run(paths.with_libraries(&mut cargo))
}

/// `cargo xtask bench NAME --peers`: times other programs and this one on the same work, in one run.
pub fn peers(name: &str, options: &[&str]) -> Result<()> {
    let paths = setup::run()?;
    let scripts = paths.root.join("benches/peers");
    let environment = Environment {
        paths: &paths,
        name: if name == "generator" { "peers-generator" } else { "peers-training" },
        title: "the peers' Python environment",
        directory: paths.home.join("peers").join(name),
        list: scripts.join(name).with_extension("txt"),
    };
    environment.ensure()?;
    let mut build = Command::new("cargo");
    build.args(["build", "--locked", "--release", "--package", "hhnet-cli"]).current_dir(&paths.root);
    run(paths.with_libraries(&mut build))?;
    let target = paths.root.join(env::var_os("CARGO_TARGET_DIR").unwrap_or("target".into()));
    let mut script = Command::new(environment.python());
    script.arg(scripts.join(name).with_extension("py")).arg(target.join("release/hhnet")).args(options);
    run(script.current_dir(&paths.scratch))
}

/// `cargo xtask bench notebooks`: times every cell of both notebooks, each in `starts` fresh kernels, and prints
/// medians.
pub fn notebooks(starts: &str) -> Result<()> {
    let paths = setup::run()?;
    if !starts.parse().is_ok_and(|starts: usize| starts > 0) {
        bail!("starts = {starts}: give how often each notebook is to be run, 1 or more");
    }
    let mut timer = Command::new(paths.python_program("python"));
    timer.arg(paths.script("time_notebooks.py")).arg(starts).args(NOTEBOOKS.map(|name| paths.notebooks.join(name)));
    run(paths.with_jupyter(timer.current_dir(&paths.scratch)))
}
