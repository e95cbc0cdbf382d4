//! Measurements: benches of the crate, other programs on the same work, and every cell of the notebooks.

use std::env;
use std::process::Command;

use anyhow::{Result, bail};

use crate::paths::NOTEBOOKS;
use crate::process::{cargo, run, script_command};
use crate::setup;
use crate::setup::python::Environment;

/// `benches/NAME.rs`.
pub const BENCHES: [&str; 4] = ["generator", "hdf5", "large", "training"];

/// Those of notebooks, in kernels.
pub const OF_KERNELS: [&str; 2] = ["kernel", "notebooks"];

/// Those with `benches/peers/NAME.py` and its packages in `benches/peers/NAME.txt`.
pub const WITH_PEERS: [&str; 2] = ["generator", "training"];

/// `cargo xtask bench NAME`: `options` go to the bench.
pub fn crate_itself(name: &str, options: &[&str]) -> Result<()> {
    let paths = setup::run()?;
    cargo(&paths, &[&["bench", "--locked", "--bench", name, "--"], options].concat())
}

/// `cargo xtask bench NAME --peers`: times other programs and this one on the same work, in one run.
pub fn peers(name: &str, options: &[&str]) -> Result<()> {
    let paths = setup::run()?;
    let scripts = paths.root.join("benches/peers");
    let environment = if name == "generator" { "peers-generator" } else { "peers-training" };
    let list = scripts.join(name).with_extension("txt");
    let environment = Environment::new(&paths, environment, "the peers' Python environment", list);
    environment.ensure()?;
    cargo(&paths, &["build", "--locked", "--release", "--package", "hhnet-cli"])?;
    let target = paths.root.join(env::var_os("CARGO_TARGET_DIR").unwrap_or("target".into()));
    let mut script = Command::new(environment.python());
    script.arg(scripts.join(name).with_extension("py")).arg(target.join("release/hhnet")).args(options);
    run(script.current_dir(&paths.scratch))
}

/// `cargo xtask bench notebooks`: times every cell of both notebooks, each in `starts` fresh kernels, and prints
/// medians.
pub fn notebooks(starts: &str) -> Result<()> {
    run_notebooks("time_notebooks.py", starts)
}

/// `cargo xtask bench kernel`: runs both notebooks `rounds` times in one kernel, and prints its memory after each.
pub fn kernel(rounds: &str) -> Result<()> {
    run_notebooks("repeat_notebooks.py", rounds)
}

fn run_notebooks(script: &str, times: &str) -> Result<()> {
    let paths = setup::run()?;
    if !times.parse().is_ok_and(|times: usize| times > 0) {
        bail!("{times}: give how often each notebook is to be run, 1 or more");
    }
    let mut python = script_command(&paths, script);
    run(python.arg(times).args(NOTEBOOKS.map(|name| paths.notebooks.join(name))).current_dir(&paths.scratch))
}
