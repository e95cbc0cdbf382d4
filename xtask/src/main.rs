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
//! | [`notebook`], [`help`] | notebooks, which are JSON; what `cargo xtask help` prints |
//!
//! No module uses one above it.

mod bench;
mod check;
mod course;
mod doctor;
mod files;
mod help;
mod kernel;
mod lab;
mod notebook;
mod paths;
mod process;
mod setup;

use std::env;
use std::path::Path;

use help::HELP;
use paths::Paths;

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
