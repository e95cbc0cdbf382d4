//! The kernelspec `rust`, the file by which Jupyter finds the kernel; the launcher that it names; JupyterLab's
//! settings.

use std::env;

use anyhow::{Context, Result};
use fs_err as fs;
use serde_json::{Value, json};

use crate::files::{remove, replace};
use crate::paths::Paths;
use crate::setup::step::Step;

/// JupyterLab fetches no news and does not look for newer versions of itself.
const LAB_SETTINGS: &str =
    r#"{"@jupyterlab/apputils-extension:notification": {"checkForUpdates": false, "fetchNews": "false"}}"#;

/// Writes the kernelspec and the settings, which lie in the Python environment, unless they are there. Returns whether
/// there was something to do.
pub fn ensure(paths: &Paths, python: &Step) -> Result<bool> {
    let folder = paths.python.join("share/jupyter/kernels/rust");
    let file = folder.join("kernel.json");
    let specification = format!("{:#}", specification(paths));
    if fs::read_to_string(&file).is_ok_and(|found| found != specification) {
        // Another evcxr may have replaced it.
        remove(&folder)?;
    }
    let step = Step {
        paths,
        name: "kernelspec",
        title: "the kernelspec `rust`, by which Jupyter finds the kernel; settings of JupyterLab",
        product: file.clone(),
        inputs: [vec![specification.clone(), LAB_SETTINGS.to_string()], python.inputs.clone()].concat(),
    };
    step.ensure(|| {
        fs::create_dir_all(&folder)?;
        fs::write(&file, &specification)?;
        let settings = paths.python.join("share/jupyter/lab/settings");
        fs::create_dir_all(&settings)?;
        fs::write(settings.join("overrides.json"), LAB_SETTINGS)?;
        Ok(())
    })
}

fn specification(paths: &Paths) -> Value {
    let toolchain = &paths.kernel_toolchain;
    let mut environment = json!({
        "LIBTORCH": paths.libtorch,
        "HDF5_DIR": paths.hdf5,
        // Jupyter fills in the search path. Without cargo's directory a Jupyter started from the desktop would not find
        // cargo.
        "PATH": format!("{}:${{PATH}}", toolchain.join("bin").display()),
        // evcxr and rust-analyzer ask rustup where cargo is.
        "RUSTUP_TOOLCHAIN": toolchain,
        "RUST_SRC_PATH": paths.home.join("analyzer/library"),
        // With it, an error that carries a backtrace would print it into the notebook.
        "RUST_LIB_BACKTRACE": "0",
    });
    for variable in ["CARGO_HOME", "RUSTUP_HOME"] {
        if let Ok(value) = env::var(variable) {
            environment[variable] = value.into();
        }
    }
    json!({
        "argv": [paths.launcher, "kernel", "{connection_file}"],
        "display_name": "Rust",
        "language": "rust",
        "interrupt_mode": "signal",
        "env": environment,
    })
}

/// Installs the launcher, a copy of this program: kernels then need no cargo to start, and `cargo clean` does not harm
/// them. Returns whether there was something to do.
pub fn install_launcher(paths: &Paths) -> Result<bool> {
    let program = env::current_exe()?;
    let this = fs::read(&program).with_context(|| {
        format!("cannot read {}: was it compiled again meanwhile? Run set-up again", program.display())
    })?;
    let launcher = &paths.launcher;
    if fs::read(launcher).is_ok_and(|there| there == this) {
        return Ok(false);
    }
    fs::create_dir_all(paths.home.join("bin"))?;
    // Renamed into place: a running kernel's launcher cannot be written to.
    let part = launcher.with_extension("part");
    fs::copy(&program, &part)?;
    replace(launcher, &part)?;
    Ok(true)
}
