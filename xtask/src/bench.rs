//! Benches, and the same work done by other programs: each bench's peers have a Python environment of their own.

use std::fs;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::prerequisites;
use crate::process::run_logged;
use crate::setup;
use crate::stamp::Step;

/// `benches/NAME.rs`, and `benches/peers/NAME.py` with the packages in `benches/peers/NAME.txt`.
pub const BENCHES: [&str; 2] = ["generator", "training"];

/// Runs a bench; its further arguments go to it.
pub fn run(name: &str, arguments: &[&str]) -> Result<ExitCode> {
    let places = setup::run()?;
    let mut cargo = Command::new("cargo");
    cargo.args(["bench", "--locked", "--bench", name, "--"]).args(arguments).current_dir(&places.root);
    finish(places.with_libraries(&mut cargo))
}

/// Times the other programs and this one on the same work, in one run.
pub fn peers(name: &str, arguments: &[&str]) -> Result<ExitCode> {
    let places = setup::run()?;
    let found = prerequisites::check(&places)?;
    let scripts = places.root.join("benches/peers");
    let list = scripts.join(name).with_extension("txt");
    let packages = fs::read_to_string(&list).with_context(|| format!("cannot read {}", list.display()))?;
    let environment = places.home.join("peers").join(name);
    let python = environment.join("bin/python");
    let step = Step {
        places: &places,
        name: if name == "generator" { "peers-generator" } else { "peers-training" },
        title: "the peers' Python environment",
        product: python.clone(),
        inputs: vec![packages, found.python.display().to_string(), places.root.display().to_string()],
    };
    step.ensure(|| {
        crate::stamp::remove(&environment)?;
        let mut venv = Command::new(&found.python);
        run_logged(&places, "peers-venv", venv.args(["-m", "venv"]).arg(&environment), None)?;
        let mut pip = Command::new(&python);
        pip.args(["-m", "pip", "install", "--require-hashes", "--only-binary", ":all:", "--no-cache-dir", "-r"]);
        run_logged(&places, "peers-packages", pip.arg(&list), Some(&environment))
    })?;
    let mut build = Command::new("cargo");
    build.args(["build", "--locked", "--release", "--package", "hhnet-cli"]).current_dir(&places.root);
    if !places.with_libraries(&mut build).status().context("cannot start cargo")?.success() {
        bail!("the program `hhnet` does not compile: see above");
    }
    let mut script = Command::new(&python);
    script.arg(scripts.join(name).with_extension("py")).arg(places.root.join("target/release/hhnet")).args(arguments);
    finish(script.current_dir(places.scratch()))
}

fn finish(command: &mut Command) -> Result<ExitCode> {
    let status = command.status().with_context(|| format!("cannot start {}", command.get_program().display()))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
