//! Set-up: puts what the notebooks need into `.hhnet/`, step by step. Each step runs only if its result is missing or
//! out of date.
//!
//! | module | what it sets up |
//! |---|---|
//! | [`prerequisites`] | nothing: it looks for compilers, Python and disk space, and says how to get what is missing |
//! | [`python`] | Python environments; one of them holds JupyterLab |
//! | [`libtorch`], [`hdf5`] | the two shared libraries |
//! | [`evcxr`] | the Rust kernel for Jupyter |
//! | [`analyzer`] | the kernel's `cargo`, and the sources of the standard library that rust-analyzer reads |
//! | [`cells`] | the crate, compiled for the cells of all notebooks |
//! | [`kernelspec`] | the file by which Jupyter finds the kernel, and the launcher that it names |
//! | [`moved`] | tells programs and libraries that hold the checkout's path a new one |
//! | [`shared`] | an installation from which other users start kernels |
//! | [`step`] | what all steps have in common |

pub mod analyzer;
pub mod cells;
pub mod evcxr;
pub mod hdf5;
pub mod kernelspec;
pub mod libtorch;
pub mod moved;
pub mod prerequisites;
pub mod python;
pub mod shared;
pub mod step;

use std::thread;
use std::time::Instant;

use anyhow::{Result, anyhow};
use fs_err::{self as fs, File};

use crate::kernel;
use crate::paths::Paths;
use crate::process::wait_for_work;
use prerequisites::Found;
use step::Step;

/// The machine that a library is for.
#[derive(Clone, Copy, PartialEq)]
pub enum Target {
    /// This one.
    Host,
    /// One with Linux on ARM64, by Debian's cross compiler, for `check::cross`.
    Arm64,
}

impl Target {
    pub fn compiler(self) -> &'static str {
        if self == Target::Host { "cc" } else { "aarch64-linux-gnu-gcc" }
    }

    pub fn archiver(self) -> &'static str {
        if self == Target::Host { "ar" } else { "aarch64-linux-gnu-ar" }
    }
}

/// Does what is missing. Returns where everything is.
pub fn run() -> Result<Paths> {
    let begin = Instant::now();
    let paths = Paths::find()?;
    fs::create_dir_all(paths.home.join("jupyter"))?;
    fs::create_dir_all(&paths.scratch)?;
    let _lock = lock(&paths)?;
    wait_for_work(&paths)?;
    let found = prerequisites::check(&paths)?;
    let was_moved = moved::ensure(&paths)?;
    let state = if all_steps(&paths, &found)? | was_moved { "everything is there now" } else { "everything is there" };
    println!("set-up: {state} ({:.1} s)", begin.elapsed().as_secs_f64());
    Ok(paths)
}

/// Does what is missing of the two shared libraries, and of the tools that install them.
pub fn libraries() -> Result<()> {
    let paths = Paths::find()?;
    fs::create_dir_all(&paths.home)?;
    let _lock = lock(&paths)?;
    wait_for_work(&paths)?;
    python::jupyter(&paths).ensure()?;
    let (libtorch, own_libtorch) = libtorch::step(&paths);
    libtorch.ensure(|| libtorch::install(&paths, own_libtorch.as_deref()))?;
    let (hdf5, hdf5_source) = hdf5::step(&paths);
    hdf5.ensure(|| hdf5::install(&paths, &hdf5_source))?;
    Ok(())
}

/// Two set-ups at once would overwrite each other's work.
fn lock(paths: &Paths) -> Result<File> {
    let lock = File::create(paths.home.join("setup.lock"))?;
    if lock.try_lock().is_err() {
        println!("another set-up is running in this checkout: waiting for it");
        lock.lock()?;
    }
    Ok(lock)
}

/// The names of the steps that would have something to do.
pub fn unfinished(paths: &Paths, found: &Found) -> Result<Vec<&'static str>> {
    let (libtorch, hdf5, evcxr) = (libtorch::step(paths).0, hdf5::step(paths).0, evcxr::step(paths).0);
    let analyzer = analyzer::step(paths, &found.rustc);
    let cells = cells::step(paths, &found.rustc, &[&libtorch, &hdf5, &evcxr, &analyzer]);
    let steps = [python::jupyter(paths).step()?, libtorch, hdf5, evcxr, analyzer, cells];
    let kernelspec = (!kernelspec::is_done(paths)).then_some("kernelspec");
    let launcher = (!kernelspec::is_launcher_done(paths)?).then_some("launcher");
    let unfinished = steps.iter().filter(|step| !step.is_done()).map(|step| step.name);
    Ok(unfinished.chain(kernelspec).chain(launcher).collect())
}

/// Returns whether there was something to do.
fn all_steps(paths: &Paths, found: &Found) -> Result<bool> {
    let jupyter = python::jupyter(paths);
    let python = jupyter.step()?;
    let (libtorch, own_libtorch) = libtorch::step(paths);
    let (hdf5, hdf5_source) = hdf5::step(paths);
    let (evcxr, installed_evcxr) = evcxr::step(paths);
    let analyzer = analyzer::step(paths, &found.rustc);
    let cells = cells::step(paths, &found.rustc, &[&libtorch, &hdf5, &evcxr, &analyzer]);
    kernel::cells::remove_ended(paths)?;
    let mut worked = beside(
        &evcxr,
        || evcxr::install(paths, installed_evcxr.as_deref()),
        || {
            let tools = beside(&python, || jupyter.make(found), || analyzer.ensure(|| analyzer::install(paths)))?;
            let libraries = beside(
                &libtorch,
                || libtorch::install(paths, own_libtorch.as_deref()),
                || hdf5.ensure(|| hdf5::install(paths, &hdf5_source)),
            )?;
            if !cells.is_done() {
                cells::compile(paths)?;
            }
            Ok(tools | libraries)
        },
    )?;
    worked |= kernelspec::install_launcher(paths)?;
    worked |= kernelspec::ensure(paths)?;
    worked |= cells.ensure(|| cells::prepare(paths))?;
    Ok(worked)
}

/// Does a step that cannot keep all cores busy, or waits for the network, while others run that need nothing of it.
fn beside(
    long: &Step,
    work: impl FnOnce() -> Result<()> + Send,
    others: impl FnOnce() -> Result<bool>,
) -> Result<bool> {
    thread::scope(|scope| {
        let long_step = scope.spawn(|| long.ensure(work));
        let others = others().inspect_err(|error| {
            if !long_step.is_finished() {
                println!(
                    "  FAILED: {error:#}\n  The step `{}` is still running and will be finished first.",
                    long.name
                );
            }
        });
        let long_step = long_step.join().map_err(|_| anyhow!("the step `{}` panicked", long.title))?;
        Ok(others? | long_step?)
    })
}
