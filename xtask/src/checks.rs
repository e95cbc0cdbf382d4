//! All checks, the cheapest first.

use std::fs;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::places::{Places, short};
use crate::stamp::remove;
use crate::{browser, examine, links, names, notebooks, setup, texts};

/// One check that was made.
struct Outcome {
    name: &'static str,
    time: Duration,
    passed: bool,
}

pub fn run() -> Result<ExitCode> {
    let places = setup::run()?;
    let mut outcomes = Vec::new();
    let mut check = |name: &'static str, work: &dyn Fn(&Places) -> Result<()>| {
        println!("\n== {name}");
        let begin = Instant::now();
        let result = work(&places);
        if let Err(error) = &result {
            println!("FAILED: {error:#}");
        }
        outcomes.push(Outcome { name, time: begin.elapsed(), passed: result.is_ok() });
    };
    check("formatting", &|places| cargo(places, &["fmt", "--all", "--check"]));
    check("links and names in texts", &texts);
    check("committed notebooks examined", &committed_notebooks);
    check("lints", &|places| {
        cargo(places, &["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"])
    });
    check("documentation", &|places| cargo(places, &["doc", "--locked", "--workspace", "--no-deps"]));
    check("Rust tests and doc tests", &|places| cargo(places, &["test", "--locked", "--workspace"]));
    check("notebooks from a clean kernel", &fresh_notebooks);
    let chromium = browser::find();
    if let Some(chromium) = &chromium {
        check("notebooks in a browser", &|places| browser::check(places, chromium));
    }

    let failed = outcomes.iter().filter(|outcome| !outcome.passed).count();
    println!();
    for outcome in &outcomes {
        let word = if outcome.passed { "passed" } else { "FAILED" };
        println!("{word}  {:>7.1} s  {}", outcome.time.as_secs_f64(), outcome.name);
    }
    if chromium.is_none() {
        println!("NOT RUN             notebooks in a browser: {}", browser::NO_BROWSER);
    }
    println!("{} passed, {failed} failed", outcomes.len() - failed);
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn cargo(places: &Places, arguments: &[&str]) -> Result<()> {
    let mut cargo = Command::new("cargo");
    cargo.args(arguments).current_dir(&places.root).stdin(std::process::Stdio::null());
    if arguments[0] == "doc" {
        cargo.env("RUSTDOCFLAGS", "-D warnings");
    }
    let status = places.with_libraries(&mut cargo).status().context("cannot start cargo")?;
    if !status.success() {
        bail!("`cargo {}` failed: see above", arguments.join(" "));
    }
    Ok(())
}

fn texts(places: &Places) -> Result<()> {
    let texts = texts::all(&places.root)?;
    let mut faults = links::faults(&places.root, &texts);
    faults.extend(names::faults(&places.root, &texts, crate::HELP)?);
    report(&faults, "in what the texts say")
}

fn committed_notebooks(places: &Places) -> Result<()> {
    let mut faults = Vec::new();
    for name in notebooks::NOTEBOOKS {
        let found = examine::file(&places.notebooks().join(name), name);
        let figures = notebooks::figure_faults(places, name);
        match found.and_then(|found| Ok([found, figures?].concat())) {
            Ok(found) => faults.extend(found.into_iter().map(|fault| format!("{name}: {fault}"))),
            Err(error) => faults.push(format!("{error:#}")),
        }
    }
    report(&faults, "`cargo xtask notebooks` runs them and keeps the result")
}

/// Runs both notebooks in `target/`: there they find the crate as they do in `notebooks/`, and overwrite nothing of the user's.
fn fresh_notebooks(places: &Places) -> Result<()> {
    let directory = places.scratch();
    let mut faults = Vec::new();
    remove_data(places)?;
    for name in notebooks::NOTEBOOKS {
        let executed = notebooks::execute(places, name, &directory)?;
        faults.extend(examine::file(&executed, name)?.into_iter().map(|fault| format!("{name}: {fault}")));
    }
    remove_data(places)?;
    report(&faults, &format!("the executed ones are in {}", short(&directory.join("notebooks"), places)))
}

/// The files that notebooks write beside themselves.
pub fn remove_data(places: &Places) -> Result<()> {
    for entry in fs::read_dir(places.scratch()).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(".h5") || name.ends_with(".h5.part") {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

pub fn report(faults: &[String], advice: &str) -> Result<()> {
    if !faults.is_empty() {
        bail!("{} faults ({advice}):\n  - {}", faults.len(), faults.join("\n  - "));
    }
    Ok(())
}
