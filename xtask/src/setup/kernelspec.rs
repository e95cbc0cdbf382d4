//! The kernelspec `rust`, the file by which Jupyter finds the kernel; the launcher that it names; JupyterLab's
//! settings.

use std::env;
use std::path::PathBuf;

use anyhow::{Context, Result};
use fs_err as fs;
use serde_json::{Value, json};

use crate::files::{empty_folder, replace};
use crate::paths::Paths;

/// JupyterLab fetches no news and does not look for newer versions of itself.
const LAB_SETTINGS: &str =
    r#"{"@jupyterlab/apputils-extension:notification": {"checkForUpdates": false, "fetchNews": "false"}}"#;

/// Writes the kernelspec and the settings, which lie in the Python environment, unless they are there. Returns whether
/// there was something to do.
pub fn ensure(paths: &Paths) -> Result<bool> {
    let (kernelspec, settings) = (paths.kernelspec(), paths.python.join("share/jupyter/lab/settings"));
    let specification = format!("{:#}", specification(paths));
    let files =
        [(kernelspec.join("kernel.json"), specification.as_str()), (settings.join("overrides.json"), LAB_SETTINGS)];
    let is_there = |(file, content): &(PathBuf, &str)| fs::read_to_string(file).is_ok_and(|found| found == *content);
    if files.iter().all(is_there) {
        return Ok(false);
    }
    println!("* the kernelspec `rust`, by which Jupyter finds the kernel; settings of JupyterLab");
    // Another evcxr may have replaced it.
    empty_folder(&kernelspec)?;
    fs::create_dir_all(&settings)?;
    for (file, content) in files {
        fs::write(file, content)?;
    }
    Ok(true)
}

fn specification(paths: &Paths) -> Value {
    let toolchain = &paths.kernel_toolchain;
    let mut environment = json!({
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_evcxr_has_put_there_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let paths = Paths::of(directory.path().into());
        assert!(ensure(&paths).unwrap() && !ensure(&paths).unwrap());
        for name in ["kernel.json", "version.txt"] {
            fs::write(paths.kernelspec().join(name), "another").unwrap();
        }
        assert!(ensure(&paths).unwrap() && !ensure(&paths).unwrap());
        assert!(!paths.kernelspec().join("version.txt").exists());
    }
}
