//! Benches, and the same work done by other programs: each bench's peers have a Python environment of their own.
//!
//! The bench of the notebooks runs all their cells in fresh kernels, as JupyterLab would.

use std::fs;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::notebooks::NOTEBOOKS;
use crate::prerequisites;
use crate::setup;
use crate::venv::Environment;

/// `benches/NAME.rs`, and `benches/peers/NAME.py` with the packages in `benches/peers/NAME.txt`.
pub const BENCHES: [&str; 2] = ["generator", "training"];

/// Runs a bench; its further arguments go to it.
pub fn run(name: &str, arguments: &[&str]) -> Result<ExitCode> {
    let places = setup::run()?;
    let mut cargo = Command::new("cargo");
    cargo.args(["bench", "--locked", "--bench", name, "--"]).args(arguments).current_dir(&places.root);
    finish(places.with_libraries(&mut cargo))
}

/// Times the other programs and this one on the same work, in one run.
pub fn peers(name: &str, arguments: &[&str]) -> Result<ExitCode> {
    let places = setup::run()?;
    let found = prerequisites::check(&places)?;
    let scripts = places.root.join("benches/peers");
    let environment = Environment {
        places: &places,
        name: if name == "generator" { "peers-generator" } else { "peers-training" },
        title: "the peers' Python environment",
        directory: places.home.join("peers").join(name),
        list: scripts.join(name).with_extension("txt"),
    };
    environment.step(&found)?.ensure(|| environment.make(&found.python))?;
    let mut build = Command::new("cargo");
    build.args(["build", "--locked", "--release", "--package", "hhnet-cli"]).current_dir(&places.root);
    if !places.with_libraries(&mut build).status().context("cannot start cargo")?.success() {
        bail!("the program `hhnet` does not compile: see above");
    }
    let mut script = Command::new(environment.python());
    script.arg(scripts.join(name).with_extension("py")).arg(places.root.join("target/release/hhnet")).args(arguments);
    finish(script.current_dir(places.scratch()))
}

const TIMER: &str = include_str!("../python/time_notebook.py");

/// Runs every cell of both notebooks in several fresh kernels, and prints medians.
pub fn notebooks(starts: &str) -> Result<ExitCode> {
    let places = setup::run()?;
    if !starts.parse().is_ok_and(|starts: usize| starts > 0) {
        bail!("starts = {starts}: give how often each notebook is to be run, 1 or more");
    }
    let timer = places.home.join("time_notebook.py");
    fs::write(&timer, TIMER)?;
    fs::create_dir_all(places.scratch())?;
    let mut tables = String::new();
    for name in NOTEBOOKS {
        println!("* notebooks/{name}, {starts} times");
        let mut python = Command::new(places.python_program("python"));
        python.arg(&timer).arg(places.notebooks().join(name)).arg(places.scratch()).arg(starts);
        let output = places.with_jupyter(&mut python).stderr(Stdio::inherit()).output()?;
        if !output.status.success() {
            bail!("notebooks/{name} did not run to its end: see the lines above");
        }
        let runs: Vec<Value> = serde_json::from_slice(&output.stdout).context("the timer's answer is not JSON")?;
        tables += &format!("\n{name}, medians of {} starts\n{}", runs.len(), table(&runs));
    }
    println!("{tables}");
    Ok(ExitCode::SUCCESS)
}

/// What is measured, and how it follows from a run.
type Row<'a> = (&'a str, &'a dyn Fn(&Value) -> f64);

/// What a person waits for.
fn table(runs: &[Value]) -> String {
    let seconds = |cell: &Value| cell["seconds"].as_f64().unwrap_or(f64::NAN);
    let cells = |run: &Value| run["cells"].as_array().cloned().unwrap_or_default();
    let ready = |run: &Value| run["ready"].as_f64().unwrap_or(f64::NAN);
    let is_let = |cell: &Value| cell["source"].as_str().is_some_and(|source| source.starts_with("let "));
    let first_let = cells(&runs[0]).iter().position(is_let).unwrap_or_default();
    let rows: [Row; 6] = [
        ("kernel ready", &ready),
        ("first cell (`:dep`)", &|run| cells(run).first().map_or(f64::NAN, seconds)),
        ("first `let`", &|run| cells(run).get(first_let).map_or(f64::NAN, seconds)),
        ("start to first figure", &|run| {
            let cells = cells(run);
            let last = cells.iter().position(|cell| cell["figure"] == true).unwrap_or(cells.len());
            ready(run) + cells.iter().take(last + 1).map(seconds).sum::<f64>()
        }),
        ("later cells, median", &|run| median(cells(run).iter().skip(first_let + 1).map(seconds).collect())),
        ("all cells, start included", &|run| ready(run) + cells(run).iter().map(seconds).sum::<f64>()),
    ];
    let mut text = String::new();
    for (what, value) in rows {
        text += &format!("{:>8.2} s  {what}\n", median(runs.iter().map(value).collect()));
    }
    text += "          the slowest of the later cells:\n";
    let mut medians: Vec<(f64, String)> = (cells(&runs[0]).iter().enumerate().skip(first_let + 1))
        .map(|(index, cell)| {
            let times = runs.iter().filter_map(|run| cells(run).get(index).map(seconds)).collect();
            (median(times), cell["source"].as_str().unwrap_or_default().to_string())
        })
        .collect();
    medians.sort_by(|a, b| b.0.total_cmp(&a.0));
    for (time, source) in medians.iter().take(4) {
        text += &format!("{time:>14.2} s  {}\n", source.trim().lines().next().unwrap_or_default());
    }
    text
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn finish(command: &mut Command) -> Result<ExitCode> {
    let status = command.status().with_context(|| format!("cannot start {}", command.get_program().display()))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
