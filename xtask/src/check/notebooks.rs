//! Runs the notebooks from a clean kernel, without a browser.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use fs_err as fs;

use crate::check::{examine, report, results};
use crate::files::{empty_folder, remove, write};
use crate::paths::{NOTEBOOKS, Paths};
use crate::process::{self, notebook_runner, run_logged, script_command};
use crate::setup;

/// Figures that texts show: the file in `docs/`, and the notebook and the number of the cell with the figure.
const FIGURES: [(&str, &str, usize); 3] = [
    ("current_and_potential.svg", NOTEBOOKS[0], 9),
    ("loss.svg", NOTEBOOKS[1], 12),
    ("predictions.svg", NOTEBOOKS[1], 13),
];

/// `cargo xtask notebooks`: runs both notebooks, and leaves the committed ones alone. What is unusual in the
/// results is said; a person may have changed a parameter.
pub fn run() -> Result<()> {
    let paths = setup::run()?;
    let folder = new_folder(&paths)?;
    for name in NOTEBOOKS {
        let executed = execute(&paths, name, &folder)?;
        for unusual in examine::notebook_faults(&executed, name)? {
            println!("  note: {unusual}");
        }
        to_html(&paths, &executed, &paths.scratch.join("notebooks"))?;
    }
    println!("The executed notebooks, and a page of each to look at, are in target/notebooks/.");
    Ok(())
}

/// `cargo xtask notebooks --keep`: runs both notebooks where they are and keeps them executed, and the figures that texts
/// show. A notebook that fails stays as it was.
pub fn keep() -> Result<()> {
    let paths = setup::run()?;
    for name in NOTEBOOKS {
        let executed = execute(&paths, name, &paths.notebooks)?;
        let advice = format!("notebooks/{name} stays as it was; the executed one is {}", paths.short(&executed));
        report(&examine::notebook_faults(&executed, name)?, &advice)?;
        to_html(&paths, &executed, &paths.scratch.join("notebooks"))?;
        write(&paths.notebooks.join(name), fs::read(&executed)?)?;
        for (file, svg) in figures(name, &executed)? {
            fs::write(paths.root.join("docs").join(file), svg)?;
        }
        println!("  kept in notebooks/{name}; the HTML copy is in target/notebooks/");
    }
    Ok(())
}

/// Examines the committed notebooks, the results that their texts quote, and the figures in `docs/`.
pub fn check_committed(paths: &Paths) -> Result<()> {
    let mut faults = Vec::new();
    let measured = fs::read_to_string(paths.root.join("benches/RESULTS.md"))?;
    for name in NOTEBOOKS {
        let mut found = examine::notebook_faults(&paths.notebooks.join(name), name)?;
        found.extend(figure_faults(paths, name)?);
        found.extend(results::unfounded(&paths.notebooks.join(name), &measured)?);
        faults.extend(found.into_iter().map(|fault| format!("{name}: {fault}")));
    }
    report(&faults, "`cargo xtask notebooks --keep` runs them and keeps the result")
}

/// Runs both notebooks.
pub fn check_fresh(paths: &Paths) -> Result<()> {
    let mut faults = Vec::new();
    let folder = new_folder(paths)?;
    for name in NOTEBOOKS {
        let executed = execute(paths, name, &folder)?;
        faults.extend(fresh_faults(paths, name, &executed)?.into_iter().map(|fault| format!("{name}: {fault}")));
    }
    report(&faults, "the executed ones are in target/notebooks")
}

/// The faults of a notebook that has just run; if there are none, what it prints otherwise than the committed one.
pub fn fresh_faults(paths: &Paths, name: &str, executed: &Path) -> Result<Vec<String>> {
    let faults = examine::notebook_faults(executed, name)?;
    if faults.is_empty() { results::changed(&paths.notebooks.join(name), executed) } else { Ok(faults) }
}

/// An empty folder in which notebooks run, and write their files.
pub fn new_folder(paths: &Paths) -> Result<PathBuf> {
    let folder = paths.scratch.join("run");
    empty_folder(&folder)?;
    Ok(folder)
}

/// The files in `docs/` that show a notebook's figures, with what they must hold.
fn figures(name: &str, notebook: &Path) -> Result<Vec<(&'static str, String)>> {
    let mut figures = Vec::new();
    for (file, _, number) in FIGURES.iter().filter(|(_, notebook, _)| *notebook == name) {
        let svg = examine::figure(notebook, *number)?;
        let svg = svg.with_context(|| format!("{name}: no figure in the cell with the tag orig-{number:02}"))?;
        figures.push((*file, svg));
    }
    Ok(figures)
}

/// The figures in `docs/` that differ from those of the committed notebook.
fn figure_faults(paths: &Paths, name: &str) -> Result<Vec<String>> {
    let figures = figures(name, &paths.notebooks.join(name))?;
    let differs = |file: &str, svg: &str| {
        fs::read_to_string(paths.root.join("docs").join(file)).ok().is_none_or(|found| found != svg)
    };
    let others = figures.iter().filter(|(file, svg)| differs(file, svg));
    Ok(others.map(|(file, _)| format!("docs/{file} is not the figure that the notebook shows")).collect())
}

/// Runs a committed notebook with `directory` as its working directory. Returns the executed copy.
fn execute(paths: &Paths, name: &str, directory: &Path) -> Result<PathBuf> {
    println!("* notebooks/{name}");
    let results = paths.scratch.join("notebooks");
    fs::create_dir_all(&results)?;
    let executed = results.join(name);
    remove(&executed)?;
    process::run(&mut notebook_runner(paths, &paths.notebooks.join(name), &executed, directory))
        .with_context(|| format!("notebooks/{name} did not run to its end"))?;
    Ok(executed)
}

/// Exports an executed notebook as an HTML page in a folder.
pub fn to_html(paths: &Paths, executed: &Path, folder: &Path) -> Result<()> {
    run_logged(paths, "export", script_command(paths, "export_notebook.py").args([executed, folder]), None)
}
