//! Everything that is done with the checkout as a whole: set-up, notebooks, JupyterLab, checks. `cargo xtask help` lists it.

mod analyzer;
mod bench;
mod browser;
mod cells;
mod checks;
mod examine;
mod hdf5;
mod kernel;
mod lab;
mod libtorch;
mod links;
mod names;
mod notebooks;
mod places;
mod prerequisites;
mod process;
mod setup;
mod stamp;
mod texts;
mod venv;

use std::path::Path;
use std::process::ExitCode;

/// What `cargo xtask help` prints.
pub const HELP: &str = "\
hhnet's tasks: cargo xtask <task>

  setup       Puts all that the notebooks need below .hhnet/ in this checkout. Does only what is missing.
  notebooks   Set-up, then runs both notebooks from a clean kernel and keeps the result in notebooks/,
              with an HTML copy of each in target/notebooks/.
  lab         Set-up, then opens JupyterLab in notebooks/. Further arguments go to JupyterLab.
  test        Set-up, then every check: formatting, links, lints, documentation, Rust tests, both notebooks.
  browser     The last of these checks alone: works with both notebooks in JupyterLab in Chromium.
  bench NAME  Measures `generator` or `training`; with --peers, times other programs on the same work.
              `bench notebooks [5]` times every cell of both notebooks, in that many fresh kernels.
  help        This text.

The first set-up downloads about 0.7 GB and takes about 10 minutes on two cores. environment.md describes what it installs.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    // Under this name the kernel calls it instead of cargo.
    let is_cargo =
        std::env::args_os().next().is_some_and(|name| Path::new(&name).file_name() == Some("cargo".as_ref()));
    let result = match arguments.as_slice() {
        arguments if is_cargo => places::Places::find().and_then(|places| analyzer::cargo(&places, arguments)),
        [] | ["help" | "--help" | "-h"] => {
            println!("{HELP}");
            Ok(ExitCode::SUCCESS)
        }
        ["setup"] => setup::run().map(|_| ExitCode::SUCCESS),
        ["notebooks"] => notebooks::run(),
        ["test"] => checks::run(),
        ["browser"] => browser::run(),
        ["lab", further @ ..] => lab::run(further),
        ["bench", "notebooks"] => bench::notebooks("5"),
        ["bench", "notebooks", starts] => bench::notebooks(starts),
        ["bench", name, "--peers", further @ ..] if bench::BENCHES.contains(name) => bench::peers(name, further),
        ["bench", name, further @ ..] if bench::BENCHES.contains(name) => bench::run(name, further),
        // Jupyter calls this one: the kernelspec names it.
        ["kernel", connection_file] => kernel::run(connection_file),
        _ => {
            eprintln!("unknown arguments: {}\n\n{HELP}", arguments.join(" "));
            Ok(ExitCode::from(2))
        }
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
