//! evcxr_jupyter, the Rust kernel for Jupyter, compiled by cargo.

use std::process::Command;

use anyhow::Result;

use crate::files::remove;
use crate::paths::Paths;
use crate::process::run_logged;
use crate::setup::step::Step;

const VERSION: &str = "=0.22.0";
/// A little less optimisation than usual saves compile time. At level 1 a kernel would need 7 s more to its first
/// figure.
const PROFILE: [(&str, &str); 2] =
    [("CARGO_PROFILE_RELEASE_OPT_LEVEL", "2"), ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "64")];

pub fn step(paths: &Paths) -> Step<'_> {
    Step {
        paths,
        name: "evcxr",
        title: "evcxr_jupyter 0.22.0, the Rust kernel for Jupyter, compiled by cargo (about 8 minutes on two cores)",
        product: paths.evcxr.clone(),
        inputs: vec![VERSION.to_string(), format!("{PROFILE:?}")],
    }
}

pub fn install(paths: &Paths) -> Result<()> {
    // Kept until success, so that an interrupted build continues where it stopped.
    let work = paths.home.join("evcxr-build");
    let mut cargo = Command::new("cargo");
    cargo.args(["install", "--locked", "--force", "--version", VERSION, "evcxr_jupyter", "--root"]);
    cargo.arg(paths.home.join("evcxr")).current_dir(&paths.home);
    cargo.env("CARGO_TARGET_DIR", &work).envs(PROFILE);
    run_logged(paths, "evcxr", &mut cargo, None)?;
    remove(&work)
}
