//! evcxr_jupyter, the Rust kernel for Jupyter: a copy of the one that cargo has installed already, or compiled by cargo.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use fs_err as fs;

use crate::files::{remove, replace};
use crate::paths::{Paths, which};
use crate::process::run_logged;
use crate::setup::step::Step;

const VERSION: &str = "0.22.0";
/// How much each package is optimised: fully only what finds types, rust-analyzer's packages and what these call.
const PROFILE: &str = include_str!("evcxr.toml");

pub fn step(paths: &Paths) -> (Step<'_>, Option<PathBuf>) {
    let installed = installed();
    let how = match installed {
        Some(_) => ": a copy of the one that cargo has installed",
        None => ", compiled by cargo (about 6 minutes on two cores)",
    };
    let step = Step {
        paths,
        name: "evcxr",
        title: format!("evcxr_jupyter {VERSION}, the Rust kernel for Jupyter{how}"),
        product: paths.evcxr.clone(),
        inputs: vec![VERSION.to_string(), PROFILE.to_string()],
    };
    (step, installed)
}

/// The program of this version on the search path, if cargo, or cargo-binstall, has put it there.
pub fn installed() -> Option<PathBuf> {
    let program = which("evcxr_jupyter")?;
    let record = fs::read_to_string(program.parent()?.parent()?.join(".crates.toml")).ok()?;
    names_version(&record).then_some(program)
}

/// Whether cargo's record of what it has installed names this version.
fn names_version(record: &str) -> bool {
    record.contains(&format!("\"evcxr_jupyter {VERSION} ("))
}

pub fn install(paths: &Paths, installed: Option<&Path>) -> Result<()> {
    if let Some(program) = installed {
        let part = paths.evcxr.with_extension("part");
        fs::create_dir_all(paths.home.join("evcxr/bin"))?;
        fs::copy(program, &part)?;
        return replace(&paths.evcxr, &part);
    }
    // Kept until success, so that an interrupted build continues where it stopped.
    let work = paths.home.join("evcxr-build");
    fs::create_dir_all(&work)?;
    let profile = work.join("profile.toml");
    fs::write(&profile, PROFILE)?;
    let mut cargo = Command::new("cargo");
    cargo.args(["install", "--locked", "--force", "--version", &format!("={VERSION}"), "evcxr_jupyter", "--root"]);
    cargo.arg(paths.home.join("evcxr")).arg("--config").arg(profile).current_dir(&paths.home);
    cargo.env("CARGO_TARGET_DIR", work.join("target"));
    run_logged(paths, "evcxr", &mut cargo, None)?;
    remove(&work)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_tested_version_is_taken() {
        let record = |version: &str| format!("[v1]\n\"evcxr_jupyter {version} (registry+x)\" = [\"evcxr_jupyter\"]\n");
        assert!(names_version(&record(VERSION)));
        assert!(!names_version(&record("0.22.1")) && !names_version(&record("0.21.0")) && !names_version(""));
    }
}
