//! Set-up: puts everything below `.hhnet/`, step by step, each only when it is missing or out of date.

use std::fs;
use std::process::Command;
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use serde_json::json;

use crate::places::Places;
use crate::prerequisites::{self, Found};
use crate::process::{run_logged, wait_for_work};
use crate::stamp::{Step, remove};
use crate::venv::Environment;
use crate::{analyzer, cells, hdf5, libtorch};

const EVCXR: &str = "=0.22.0";
/// A little less optimisation than usual, for less time to compile it. With level 1 a kernel would need 7 s more to its
/// first figure.
const EVCXR_PROFILE: [(&str, &str); 2] =
    [("CARGO_PROFILE_RELEASE_OPT_LEVEL", "2"), ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "64")];

/// JupyterLab looks for no news and no newer versions of itself.
const LAB_SETTINGS: &str =
    r#"{"@jupyterlab/apputils-extension:notification": {"checkForUpdates": false, "fetchNews": "false"}}"#;

/// Does what is missing. Returns where everything is.
pub fn run() -> Result<Places> {
    let begin = Instant::now();
    let places = Places::find()?;
    fs::create_dir_all(&places.home).with_context(|| format!("cannot create {}", places.home.display()))?;
    fs::create_dir_all(places.home.join("jupyter"))?;
    // Two set-ups at once would overwrite each other's work.
    let lock = fs::File::create(places.home.join("setup.lock"))?;
    if lock.try_lock().is_err() {
        println!("another set-up is running in this checkout: waiting for it");
        lock.lock()?;
    }
    wait_for_work(&places)?;
    let found = prerequisites::check(&places)?;

    let python = python(&places).step(&found)?;
    let (libtorch, own) = libtorch::step(&places);
    let (hdf5, source) = hdf5::step(&places);
    let evcxr = evcxr(&places);
    // evcxr's build cannot keep all cores busy: the other steps, which need nothing of it, go on beside it.
    let mut worked = thread::scope(|scope| {
        let beside = scope.spawn(|| evcxr.ensure(|| install_evcxr(&places)));
        let others = || -> Result<bool> {
            let mut worked = python.ensure(|| install_python(&places, &found))?;
            worked |= libtorch.ensure(|| libtorch::install(&places, own.as_deref()))?;
            worked |= hdf5.ensure(|| hdf5::install(&places, &source))?;
            Ok(worked)
        };
        let others = others().inspect_err(|error| {
            if !beside.is_finished() {
                println!("  FAILED: {error:#}\n  evcxr_jupyter, which is being compiled, will be finished first.");
            }
        });
        let beside = beside.join().map_err(|_| anyhow!("the step `{}` panicked", evcxr.title))?;
        Ok::<bool, anyhow::Error>(others? | beside?)
    })?;
    worked |= install_launcher(&places)?;
    let analyzer = analyzer::step(&places, &found.rustc);
    worked |= analyzer.ensure(|| analyzer::install(&places))?;
    let kernelspec = kernelspec(&places, &python);
    if fs::read_to_string(&kernelspec.product).is_ok_and(|found| found != kernelspec.inputs[0]) {
        // Another evcxr may have replaced it.
        remove(&places.kernelspec())?;
    }
    worked |= kernelspec.ensure(|| install_kernelspec(&places, &kernelspec))?;
    let cells = cells::step(&places, &found.rustc, &[&libtorch, &hdf5, &evcxr, &analyzer]);
    cells::clean(&places)?;
    worked |= cells.ensure(|| cells::prepare(&places))?;

    let state = if worked { "everything is there now" } else { "everything is there" };
    println!("set-up: {state} ({:.1} s)", begin.elapsed().as_secs_f64());
    Ok(places)
}

fn python(places: &Places) -> Environment<'_> {
    Environment {
        places,
        name: "python",
        title: "Python packages: JupyterLab, nbclient, nbconvert and tools (download about 110 MB)",
        directory: places.python_environment(),
        list: places.root.join("xtask/python/requirements.txt"),
    }
}

fn install_python(places: &Places, found: &Found) -> Result<()> {
    // The kernelspec lies in the environment.
    remove(&places.home.join("stamps/kernelspec"))?;
    python(places).make(&found.python)
}

fn evcxr(places: &Places) -> Step<'_> {
    Step {
        places,
        name: "evcxr",
        title: "evcxr_jupyter 0.22.0, the Rust kernel for Jupyter, compiled by cargo (about 8 minutes on two cores)",
        product: places.evcxr(),
        inputs: vec![EVCXR.to_string(), format!("{EVCXR_PROFILE:?}")],
    }
}

fn install_evcxr(places: &Places) -> Result<()> {
    // Kept until success: an interrupted build goes on where it was.
    let work = places.home.join("evcxr-build");
    let mut cargo = Command::new("cargo");
    cargo.args(["install", "--locked", "--force", "--version", EVCXR, "evcxr_jupyter", "--root"]);
    cargo.arg(places.home.join("evcxr")).current_dir(&places.home);
    cargo.env("CARGO_TARGET_DIR", &work).envs(EVCXR_PROFILE);
    run_logged(places, "evcxr", &mut cargo, None)?;
    remove(&work)
}

/// A copy of this program: kernels then need no cargo to start, and `cargo clean` leaves them alone.
fn install_launcher(places: &Places) -> Result<bool> {
    let program = std::env::current_exe()?;
    let this = fs::read(&program).with_context(|| {
        format!("cannot read {}: was it compiled anew meanwhile? Run set-up again", program.display())
    })?;
    let launcher = places.launcher();
    if fs::read(&launcher).is_ok_and(|there| there == this) {
        return Ok(false);
    }
    fs::create_dir_all(places.home.join("bin"))?;
    // Renamed into place: a running kernel's launcher cannot be written to.
    let part = launcher.with_extension("part");
    fs::copy(&program, &part)?;
    fs::rename(&part, &launcher).with_context(|| format!("cannot write {}", launcher.display()))?;
    Ok(true)
}

fn kernelspec<'a>(places: &'a Places, python: &Step) -> Step<'a> {
    let toolchain = places.kernel_toolchain();
    let mut environment = json!({
        "LIBTORCH": places.libtorch(),
        "HDF5_DIR": places.hdf5(),
        // Jupyter puts the search path in here; one that was started from the desktop may lack cargo's directory.
        "PATH": format!("{}:${{PATH}}", toolchain.join("bin").display()),
        // evcxr and rust-analyzer ask rustup where cargo is.
        "RUSTUP_TOOLCHAIN": toolchain,
        "RUST_SRC_PATH": places.home.join("analyzer/library"),
        // An error that carries a backtrace shows in the notebook without it.
        "RUST_LIB_BACKTRACE": "0",
    });
    for variable in ["CARGO_HOME", "RUSTUP_HOME"] {
        if let Ok(value) = std::env::var(variable) {
            environment[variable] = value.into();
        }
    }
    let specification = json!({
        "argv": [places.launcher(), "kernel", "{connection_file}"],
        "display_name": "Rust",
        "language": "rust",
        "interrupt_mode": "message",
        "env": environment,
    });
    Step {
        places,
        name: "kernelspec",
        title: "the kernelspec `rust`, by which Jupyter finds the kernel; settings of JupyterLab",
        product: places.kernelspec().join("kernel.json"),
        inputs: [vec![format!("{specification:#}"), LAB_SETTINGS.to_string()], python.inputs.clone()].concat(),
    }
}

fn install_kernelspec(places: &Places, step: &Step) -> Result<()> {
    fs::create_dir_all(places.kernelspec())?;
    fs::write(places.kernelspec().join("kernel.json"), &step.inputs[0])?;
    let settings = places.python_environment().join("share/jupyter/lab/settings");
    fs::create_dir_all(&settings)?;
    fs::write(settings.join("overrides.json"), LAB_SETTINGS)?;
    Ok(())
}
