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

/// Whether the kernelspec and the settings are there, and no other program has changed them.
pub fn is_done(paths: &Paths) -> bool {
    let is_there = |(file, content): &(PathBuf, String)| fs::read_to_string(file).is_ok_and(|found| found == *content);
    files(paths).iter().all(is_there)
}

/// Writes the kernelspec and the settings, which lie in the Python environment, unless they are there. Returns whether
/// there was something to do.
pub fn ensure(paths: &Paths) -> Result<bool> {
    if is_done(paths) {
        return Ok(false);
    }
    println!("* the kernelspec `rust`, by which Jupyter finds the kernel; settings of JupyterLab");
    // Another evcxr may have replaced it.
    empty_folder(&paths.kernelspec())?;
    for (file, content) in files(paths) {
        fs::create_dir_all(file.parent().unwrap_or(&paths.home))?;
        fs::write(file, content)?;
    }
    Ok(true)
}

/// Both files, with what they hold.
fn files(paths: &Paths) -> [(PathBuf, String); 2] {
    let settings = paths.python.join("share/jupyter/lab/settings/overrides.json");
    [
        (paths.kernelspec().join("kernel.json"), format!("{:#}", specification(paths))),
        (settings, LAB_SETTINGS.to_string()),
    ]
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

/// Whether the launcher is this program.
pub fn is_launcher_done(paths: &Paths) -> Result<bool> {
    let program = env::current_exe()?;
    let this = fs::read(&program).with_context(|| {
        format!("cannot read {}: was it compiled again meanwhile? Run set-up again", program.display())
    })?;
    Ok(fs::read(&paths.launcher).is_ok_and(|there| there == this))
}

/// Installs the launcher, a copy of this program: kernels then need no cargo to start, and `cargo clean` does not harm
/// them. Returns whether there was something to do.
pub fn install_launcher(paths: &Paths) -> Result<bool> {
    if is_launcher_done(paths)? {
        return Ok(false);
    }
    fs::create_dir_all(paths.home.join("bin"))?;
    // Renamed into place: a running kernel's launcher cannot be written to.
    let part = paths.launcher.with_extension("part");
    fs::copy(env::current_exe()?, &part)?;
    replace(&paths.launcher, &part)?;
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
