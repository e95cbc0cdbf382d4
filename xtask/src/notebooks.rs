//! Runs the notebooks from a clean kernel.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};

use crate::examine;
use crate::places::{Places, short};
use crate::process::run_logged;
use crate::setup;

/// In this order: the second reads the data that the first writes.
pub const NOTEBOOKS: [&str; 2] = ["HodkinHuxleyDataGeneration.ipynb", "HodkinHuxleyConvNet.ipynb"];
pub const RUNNER: &str = include_str!("../python/run_notebook.py");
/// Figures that texts show: the file in `docs/`, and the notebook and the number of the cell with the figure.
const FIGURES: [(&str, &str, usize); 3] = [
    ("current_and_potential.svg", NOTEBOOKS[0], 9),
    ("loss.svg", NOTEBOOKS[1], 12),
    ("predictions.svg", NOTEBOOKS[1], 13),
];

/// Runs both notebooks where they are and keeps them executed, and the figures that texts show. A notebook that fails stays as it
/// was.
pub fn run() -> Result<ExitCode> {
    let places = setup::run()?;
    for name in NOTEBOOKS {
        let executed = execute(&places, name, &places.notebooks())?;
        let faults = examine::file(&executed, name)?;
        if !faults.is_empty() {
            bail!(
                "{name} ran to its end, but:\n  - {}\n  the notebook stays as it was; the executed one is {}",
                faults.join("\n  - "),
                short(&executed, &places)
            );
        }
        let html = to_html(&places, &executed)?;
        let part = places.notebooks().join(format!(".{name}.part"));
        fs::copy(&executed, &part).with_context(|| format!("cannot write {}", part.display()))?;
        fs::rename(&part, places.notebooks().join(name)).with_context(|| format!("cannot replace notebooks/{name}"))?;
        for (file, svg) in figures(name, &executed)? {
            let path = places.root.join("docs").join(file);
            fs::write(&path, svg).with_context(|| format!("cannot write {}", path.display()))?;
        }
        println!("  kept in notebooks/{name}; HTML copy: {}", short(&html, &places));
    }
    Ok(ExitCode::SUCCESS)
}

/// The files in `docs/` for whose figures a notebook stands, with what they must hold.
fn figures(name: &str, notebook: &Path) -> Result<Vec<(&'static str, String)>> {
    let mut figures = Vec::new();
    for (file, _, number) in FIGURES.iter().filter(|(_, notebook, _)| *notebook == name) {
        let svg = examine::figure(notebook, *number)?;
        figures.push((
            *file,
            svg.with_context(|| format!("{name}: no figure in the cell with the tag orig-{number:02}"))?,
        ));
    }
    Ok(figures)
}

/// The figures in `docs/` that are not those of the committed notebook.
pub fn figure_faults(places: &Places, name: &str) -> Result<Vec<String>> {
    let figures = figures(name, &places.notebooks().join(name))?;
    let differs =
        |file: &str, svg: &String| fs::read_to_string(places.root.join("docs").join(file)).ok().as_ref() != Some(svg);
    let others = figures.iter().filter(|(file, svg)| differs(file, svg));
    Ok(others.map(|(file, _)| format!("docs/{file} is not the figure that the notebook shows")).collect())
}

/// Runs a committed notebook with `directory` as its working directory; returns the executed copy.
pub fn execute(places: &Places, name: &str, directory: &Path) -> Result<PathBuf> {
    let notebook = places.notebooks().join(name);
    if !notebook.is_file() {
        bail!("there is no notebooks/{name}");
    }
    println!("* notebooks/{name}");
    let results = places.scratch().join("notebooks");
    fs::create_dir_all(&results).with_context(|| format!("cannot create {}", results.display()))?;
    let executed = results.join(name);
    crate::stamp::remove(&executed)?;
    let runner = places.home.join("run_notebook.py");
    fs::write(&runner, RUNNER)?;
    let mut python = Command::new(places.python_program("python"));
    python.arg(&runner).args([&notebook, &executed, directory]).stdin(Stdio::null()).current_dir(directory);
    python.env_remove("EVCXR_TMPDIR");
    let status = places.with_jupyter(&mut python).status().context("cannot start the notebook runner")?;
    if !status.success() {
        bail!("notebooks/{name} did not run to its end: see the lines above");
    }
    Ok(executed)
}

/// Exports an executed notebook as a page beside it.
pub fn to_html(places: &Places, executed: &Path) -> Result<PathBuf> {
    let mut python = Command::new(places.python_program("python"));
    python.arg(places.root.join("xtask/python/export_notebook.py")).arg(executed);
    run_logged(places, "export", places.with_jupyter(&mut python), None)?;
    Ok(executed.with_extension("html"))
}
