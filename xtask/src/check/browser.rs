//! The notebooks in a real browser: opened in JupyterLab, run, unfolded, saved, restarted and run again, and read as
//! exported pages.
//!
//! `xtask/python/browser.py` works the browser and reports what it saw; this module judges it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use fs_err as fs;
use serde_json::{Value, json};

use crate::check::{notebooks, report};
use crate::files::empty_folder;
use crate::notebook::{self, code_cells, has_tag, list, text};
use crate::paths::{NOTEBOOKS, Paths, which};
use crate::setup;
use crate::setup::python::Environment;

/// What to say where there is no browser.
pub const NO_BROWSER: &str = "there is neither Chromium nor Chrome; on Debian: sudo apt install chromium";
/// What is done in JupyterLab, as the driver names it: with the first notebook both, with the other one only the first, as a
/// restart is the same with each.
const RUNS: [&str; 2] = ["run", "restart and run"];
/// A notebook whose training is stopped.
const STOPPED: &str = "stopped.ipynb";
/// Its cells.
const STOPPED_CELLS: [&str; 4] = [
    notebook::DEPENDENCY,
    "use hhnet::prelude::*;
let x = hhnet::ndarray::Array3::<f64>::ones((1000, 1000, 1));
let mut model = generate_model(&ModelOptions::default())?;
let options = FitOptions { epochs: 100_000, progress: Progress::Stdout, ..FitOptions::default() };",
    "let history = model.fit(&x, &x, None, &options)?;",
    r#"let more = model.fit(&x, &x, None, &FitOptions { epochs: 2, ..FitOptions::default() })?;
println!("stopped: {}, epochs in both: {}", history.interrupted, history.len() > 0 && more.len() == 2);"#,
];
/// What the last cell prints, and a part of what the training does.
const AFTER_STOP: [&str; 2] = ["interrupted in epoch", "stopped: true, epochs in both: true"];
/// A figure whose smaller side has fewer pixels shows nothing.
const SMALLEST: u64 = 40;

/// `cargo xtask browser`.
pub fn run() -> Result<()> {
    let paths = setup::run()?;
    check(&paths, &find().context(NO_BROWSER)?)
}

/// The system's browser.
pub fn find() -> Option<PathBuf> {
    let programs = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
    let mac = ["Chromium", "Google Chrome"].map(|name| format!("/Applications/{name}.app/Contents/MacOS/{name}"));
    programs.into_iter().find_map(which).or_else(|| mac.iter().map(PathBuf::from).find(|path| path.is_file()))
}

/// Works with copies of both notebooks.
pub fn check(paths: &Paths, chromium: &Path) -> Result<()> {
    let title = "Playwright, which works the browser (download about 50 MB)";
    let environment = Environment::new(paths, "browser", title, paths.script("browser.txt"));
    environment.ensure()?;
    let results = paths.scratch.join("browser");
    empty_folder(&results)?;
    let folder = notebooks::new_folder(paths)?;
    let prepare = |name| prepare(paths, &folder, &results, name);
    let expected = NOTEBOOKS.into_iter().map(prepare).collect::<Result<Vec<_>>>()?;
    fs::write(folder.join(STOPPED), notebook::of_code(&STOPPED_CELLS).to_string())?;
    let seen = work(paths, &environment.python(), chromium, &folder, &results);
    let advice = format!("screenshots and the saved notebooks are in {}", paths.short(&results));
    // A cell that failed is the cause of whatever else was seen.
    report(&saved_faults(paths, &results)?, &advice)?;
    let seen = seen?;
    fs::write(results.join("seen.json"), format!("{seen:#}"))?;
    let mut faults: Vec<String> = expected.iter().flat_map(|expected| faults(&seen, expected)).collect();
    let after_stop = list(&seen["interrupted"]).iter().map(text).collect::<String>();
    let missing = AFTER_STOP.into_iter().filter(|words| !after_stop.contains(words));
    faults.extend(missing.map(|words| format!("a training that was stopped: '{words}' is not in '{after_stop}'")));
    report(&faults, &advice)?;
    println!("Chromium {}: {advice}", seen["browser"]);
    Ok(())
}

/// The faults of the notebooks that were saved in JupyterLab, and what they print otherwise than the committed ones.
fn saved_faults(paths: &Paths, folder: &Path) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    for (name, what) in NOTEBOOKS.into_iter().flat_map(|name| runs(name).iter().map(move |what| (name, what))) {
        let saved = folder.join(what).join(name);
        if saved.exists() {
            let found = notebooks::fresh_faults(paths, name, &saved)?;
            faults.extend(found.into_iter().map(|fault| format!("{name}, {what}: {fault}")));
        }
    }
    Ok(faults)
}

/// Exports the committed notebook, and puts a copy without outputs where the driver works with it.
fn prepare(paths: &Paths, folder: &Path, results: &Path, name: &str) -> Result<Expected> {
    let notebook = paths.notebooks.join(name);
    let content = notebook::read(&notebook)?;
    let expected = Expected::of(name, &content);
    fs::write(folder.join(name), without_outputs(content).to_string())?;
    notebooks::to_html(paths, &notebook, results)?;
    Ok(expected)
}

/// What is done with a notebook.
fn runs(notebook: &str) -> &'static [&'static str] {
    if notebook == NOTEBOOKS[0] { &RUNS } else { &RUNS[..1] }
}

fn work(paths: &Paths, python: &Path, chromium: &Path, folder: &Path, results: &Path) -> Result<Value> {
    let mut driver = Command::new(python);
    driver.arg(paths.script("browser.py")).arg(chromium).args([folder, results]).arg(STOPPED).args(NOTEBOOKS);
    driver.stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = paths
        .with_jupyter_in(&results.join("jupyter"), &mut driver)
        .output()
        .context("cannot start the browser's driver")?;
    if !output.status.success() {
        bail!("working with the notebooks failed: see above and {}", paths.short(results));
    }
    serde_json::from_slice(&output.stdout).context("the driver's answer is not JSON")
}

fn without_outputs(mut notebook: Value) -> Value {
    for cell in notebook["cells"].as_array_mut().into_iter().flatten() {
        if cell["cell_type"] == "code" {
            cell["outputs"] = json!([]);
            cell["execution_count"] = Value::Null;
        }
    }
    notebook
}

/// What the committed notebook shows, and the browser must show too.
struct Expected {
    name: String,
    /// For each code cell: whether it shows a figure.
    figures: Vec<bool>,
    /// For each code cell: whether it belongs to an exercise's solution, which is folded until the reader unfolds it.
    solutions: Vec<bool>,
    sliders: usize,
}

impl Expected {
    fn of(name: &str, notebook: &Value) -> Self {
        let html = |output: &Value| text(&output["data"]["text/html"]);
        let has_figure = |output: &Value| !output["data"]["image/svg+xml"].is_null() || html(output).contains("<svg");
        let outputs = code_cells(notebook).flat_map(|cell| list(&cell["outputs"]));
        Self {
            name: name.to_string(),
            figures: code_cells(notebook).map(|cell| list(&cell["outputs"]).iter().any(has_figure)).collect(),
            solutions: code_cells(notebook).map(|cell| has_tag(cell, "solution")).collect(),
            sliders: outputs.map(|output| html(output).matches("type=\"range\"").count()).sum(),
        }
    }
}

fn faults(seen: &Value, expected: &Expected) -> Vec<String> {
    let mut faults = Vec::new();
    for &what in runs(&expected.name).iter().chain(&["export"]) {
        let found = run_faults(&seen["notebooks"][&expected.name][what], expected, what);
        faults.extend(found.into_iter().map(|fault| format!("{}, {what}: {fault}", expected.name)));
    }
    faults
}

/// What was to be seen and was not. Whether cells failed is known from the saved notebook.
fn run_faults(run: &Value, expected: &Expected, what: &str) -> Vec<String> {
    let cells = list(&run["cells"]);
    if cells.len() != expected.figures.len() {
        return vec![format!("{} code cells were seen, the notebook has {}", cells.len(), expected.figures.len())];
    }
    let mut faults = Vec::new();
    let all = (1..).zip(cells).zip(expected.figures.iter().zip(&expected.solutions));
    for ((number, cell), (&has_figure, &is_solution)) in all {
        let smaller_side = |figure: &Value| list(figure).iter().filter_map(Value::as_u64).min();
        match list(&cell["figures"]).iter().filter_map(smaller_side).max() {
            None if has_figure => faults.push(format!("code cell {number} shows no figure")),
            Some(side) if has_figure && side < SMALLEST => {
                faults.push(format!("code cell {number} shows a figure without size"));
            }
            _ => {}
        }
        // After a restart the cells stay unfolded.
        if what != RUNS[1] && cell["folded"] != is_solution {
            let state = if is_solution { "a solution and not folded" } else { "folded and not a solution" };
            faults.push(format!("code cell {number} is {state}"));
        }
    }
    let moved = list(&run["sliders moved"]);
    if moved.len() != expected.sliders {
        faults.push(format!("{} sliders were seen, the notebook has {}", moved.len(), expected.sliders));
    }
    let still = (1..).zip(moved).filter(|(_, moved)| **moved != true);
    faults.extend(still.map(|(number, _)| format!("slider {number} does not change its figure")));
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notebook() -> Value {
        json!({"cells": [
            {"cell_type": "markdown", "source": "# Title"},
            {"cell_type": "code", "execution_count": 1, "outputs": [{"data": {"text/plain": "2"}}]},
            {"cell_type": "code", "metadata": {"tags": ["solution"]}, "execution_count": 2, "outputs": [
                {"data": {"image/svg+xml": ["<svg/>"]}}]},
            {"cell_type": "code", "execution_count": 3, "outputs": [
                {"data": {"text/html": ["<svg></svg>\n", "<input type=\"range\"/>"]}}]},
        ]})
    }

    fn sound() -> Value {
        let run = |what: &str| {
            json!({"sliders moved": [true], "cells": [
                {"folded": false, "figures": []},
                {"folded": what != "restart and run", "figures": [[640, 480]]},
                {"folded": false, "figures": [[8, 8], [640, 480]]},
            ]})
        };
        let runs = ["run", "restart and run", "export"].map(|what| (what.to_string(), run(what)));
        json!({"notebooks": {NOTEBOOKS[0]: Value::from_iter(runs)}})
    }

    fn faults_of(seen: &Value) -> Vec<String> {
        faults(seen, &Expected::of(NOTEBOOKS[0], &notebook()))
    }

    #[test]
    fn what_works_has_no_faults() {
        assert_eq!(faults_of(&sound()), Vec::<String>::new());
    }

    /// Plants a fault at a place (a JSON pointer) and expects one message that holds all of `words`.
    fn planted(pointer: &str, value: Value, words: &[&str]) {
        let mut seen = sound();
        *seen.pointer_mut(pointer).unwrap() = value;
        let found = faults_of(&seen);
        assert!(found.iter().any(|fault| words.iter().all(|word| fault.contains(word))), "{words:?} not in {found:?}");
    }

    #[test]
    fn each_planted_fault_is_found() {
        let notebook = format!("/notebooks/{}", NOTEBOOKS[0]);
        planted(&notebook, Value::Null, &[NOTEBOOKS[0], "restart and run", "0 code cells"]);
        planted(
            &format!("{notebook}/restart and run"),
            Value::Null,
            &[NOTEBOOKS[0], "restart and run", "0 code cells"],
        );
        let cells = format!("{notebook}/run/cells");
        planted(&cells, json!([]), &["run", "0 code cells", "has 3"]);
        planted(&format!("{cells}/0/folded"), json!(true), &["code cell 1", "not a solution"]);
        planted(&format!("{cells}/1/folded"), json!(false), &["code cell 2", "solution", "not folded"]);
        planted(&format!("{cells}/1/figures"), json!([]), &["code cell 2", "no figure"]);
        planted(&format!("{cells}/1/figures"), json!([[0, 0]]), &["code cell 2", "without size"]);
        let export = format!("{notebook}/export");
        planted(&format!("{export}/cells/1/folded"), Value::Null, &["export", "code cell 2", "folded"]);
        planted(&format!("{export}/sliders moved"), json!([false]), &["export", "slider 1", "does not change"]);
        planted(&format!("{export}/sliders moved"), json!([]), &["export", "0 sliders", "has 1"]);
    }

    #[test]
    fn the_copy_for_the_browser_shows_nothing_of_the_committed_results() {
        let copy = without_outputs(notebook());
        assert_eq!(copy["cells"][1], json!({"cell_type": "code", "execution_count": null, "outputs": []}));
        assert!(Expected::of("copy", &copy).figures.iter().all(|figure| !figure));
    }
}
