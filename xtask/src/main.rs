//! `cargo xtask`: all that is done with the checkout as a whole. `cargo xtask help` lists the tasks.
//!
//! | module | what it is for |
//! |---|---|
//! | [`check`] | runs the notebooks, and all checks of `cargo xtask test` |
//! | [`lab`] | opens JupyterLab |
//! | [`course`] | writes the notebooks as learners get them |
//! | [`doctor`] | reports what is installed, and what is wrong with it |
//! | [`mod@bench`] | measures |
//! | [`setup`] | puts everything that the notebooks need into `.hhnet/` |
//! | [`kernel`] | runs when Jupyter starts a Rust kernel |
//! | [`process`], [`files`], [`paths`] | serve all others: running other programs, small file operations, where everything is |
//! | [`notebook`] | serves them, too: notebooks, which are JSON |
//!
//! No module uses one above it.

mod bench;
mod check;
mod course;
mod doctor;
mod files;
mod kernel;
mod lab;
mod notebook;
mod paths;
mod process;
mod setup;

use std::env;
use std::path::Path;

use paths::Paths;

/// What `cargo xtask help` prints.
pub const HELP: &str = "\
Usage: cargo xtask TASK

  setup       Install everything that the notebooks need into .hhnet/ in this checkout, as far as it is missing.
              `setup --shared FOLDER` makes an installation there from which other users of this machine start kernels.
  lab         Set up, then open JupyterLab in lab/, with copies of the notebooks. Further arguments go to JupyterLab.
              `lab --reset NOTEBOOK` makes a new copy of one, and keeps the old one under another name.
  notebooks   Set up, then run both notebooks from a clean kernel. Puts the executed ones, and a page (HTML) of each,
              into target/notebooks/. With --keep, they replace the committed notebooks and the figures in docs/.
  course      `--out DIR` writes both notebooks without solutions and outputs into DIR. With --nbgrader, DIR becomes the
              folder of an nbgrader course. docs/teaching.md says how to use them.
  test        Set up, then run every check: formatting, texts, advisories, downloads, lints, documentation, Rust tests, the
              course version, both notebooks.
  faults      Try many times what `test` tries a few times (programs that are killed, full disks, damaged files), and fuzz,
              within 30 minutes.
  audit       Run one check of `test`: look for advisories on all pinned packages, and for licences and sources of crates.
  browser     Run one check of `test`: work with both notebooks in JupyterLab in Chromium.
  doctor      Report what is installed, whether it is in order, and how to mend it; start a kernel.
  hub FOLDER  Check a shared installation: three users, made for this, run both notebooks in JupyterHub (as root on Linux).
  cross       Run the tests on ARM64 in an emulator, and the lints for macOS (on Linux on x86-64; ARCHITECTURE.md).
  bench NAME  Measure `generator` or `training`; with --peers, time other programs on the same work.
              `bench hdf5` measures reading, `bench large [--million]` training on data larger than memory.
              `bench notebooks [5]` times every cell of both notebooks in that many fresh kernels. `bench kernel [20]` runs
              them that many times in one kernel, and prints its memory (on Linux).
  help        Show this text.

The first set-up downloads about 0.7 GB and takes 8 to 20 minutes on two cores. environment.md says what it installs.";

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    // The kernel calls this program by the name `cargo`.
    let is_cargo = env::args_os().next().is_some_and(|name| Path::new(&name).file_name() == Some("cargo".as_ref()));
    let result = match arguments.as_slice() {
        arguments if is_cargo => Paths::find().and_then(|paths| kernel::cargo::run(&paths, arguments)),
        [] | ["help" | "--help" | "-h"] => {
            println!("{HELP}");
            Ok(())
        }
        ["setup"] => setup::run().map(drop),
        ["setup", "--shared", folder] => setup::shared::install(folder),
        ["notebooks"] => check::notebooks::run(),
        ["notebooks", "--keep"] => check::notebooks::keep(),
        ["test"] => check::run(),
        ["faults"] => check::faults::run(),
        ["audit"] => check::audit::run_alone(),
        ["browser"] => check::browser::run(),
        ["doctor"] => doctor::run(),
        ["cross"] => check::cross::run_all(),
        ["hub", folder] => check::hub::run_in(folder),
        ["lab", "--reset", notebook] => lab::reset(notebook),
        ["lab", options @ ..] => lab::run(options),
        ["course", "--out", folder] => course::run(folder, &[]),
        ["course", "--out", folder, "--nbgrader"] | ["course", "--nbgrader", "--out", folder] => {
            course::run(folder, &["--nbgrader"])
        }
        ["bench", "notebooks"] => bench::notebooks("5"),
        ["bench", "notebooks", starts] => bench::notebooks(starts),
        ["bench", "kernel"] => bench::kernel("20"),
        ["bench", "kernel", rounds] => bench::kernel(rounds),
        ["bench", name, "--peers", options @ ..] if bench::WITH_PEERS.contains(name) => bench::peers(name, options),
        ["bench", name, options @ ..] if bench::BENCHES.contains(name) => bench::crate_itself(name, options),
        // The kernelspec names this one.
        ["kernel", connection_file] => kernel::launcher::run(connection_file),
        _ => {
            eprintln!("unknown arguments: {}\n\n{HELP}", arguments.join(" "));
            std::process::exit(2)
        }
    };
    if let Err(error) = result {
        eprintln!("error: {error:#}");
        std::process::exit(1)
    }
}
