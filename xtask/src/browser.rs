//! The notebooks in a real browser: opened in JupyterLab, run, unfolded, restarted and run again, and read as exported pages.
//!
//! `xtask/python/browser.py` works the browser and tells what it saw; this module judges it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::examine::text;
use crate::notebooks::{self, NOTEBOOKS};
use crate::places::{Places, short, which};
use crate::venv::Environment;
use crate::{checks, prerequisites, setup, stamp};

/// What to say where there is no browser.
pub const NO_BROWSER: &str = "neither Chromium nor Chrome is here; on Debian: sudo apt install chromium";

/// The smaller side of a figure, in pixels, below which nothing can be seen on it.
const SMALLEST: u64 = 40;

/// `cargo xtask browser`.
pub fn run() -> Result<ExitCode> {
    let places = setup::run()?;
    let chromium = find().context(NO_BROWSER)?;
    check(&places, &chromium)?;
    Ok(ExitCode::SUCCESS)
}

/// The system's browser.
pub fn find() -> Option<PathBuf> {
    let programs = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
    let mac = ["Chromium", "Google Chrome"].map(|name| format!("/Applications/{name}.app/Contents/MacOS/{name}"));
    programs.into_iter().find_map(which).or_else(|| mac.iter().map(PathBuf::from).find(|path| path.is_file()))
}

/// Works with copies of both notebooks in `target/`, where they find the crate as they do in `notebooks/`.
pub fn check(places: &Places, chromium: &Path) -> Result<()> {
    let found = prerequisites::check(places)?;
    let environment = Environment {
        places,
        name: "browser",
        title: "Playwright, which works the browser (download about 50 MB)",
        directory: places.home.join("browser"),
        list: places.root.join("xtask/python/browser.txt"),
    };
    environment.step(&found)?.ensure(|| environment.make(&found.python))?;

    let results = places.scratch().join("browser");
    stamp::remove(&results)?;
    fs::create_dir_all(&results).with_context(|| format!("cannot create {}", results.display()))?;
    checks::remove_data(places)?;
    let mut expected = Vec::new();
    for name in NOTEBOOKS {
        let notebook = places.notebooks().join(name);
        let content = fs::read_to_string(&notebook).with_context(|| format!("cannot read notebooks/{name}"))?;
        let content: Value = serde_json::from_str(&content).with_context(|| format!("notebooks/{name} is no JSON"))?;
        expected.push(Expected::of(name, &content));
        fs::write(places.scratch().join(name), without_outputs(content).to_string())?;
        let copy = results.join(name);
        fs::copy(&notebook, &copy)?;
        notebooks::to_html(places, &copy)?;
        stamp::remove(&copy)?;
    }
    let seen = work(places, &environment.python(), chromium, &results);
    for name in NOTEBOOKS {
        stamp::remove(&places.scratch().join(name))?;
    }
    checks::remove_data(places)?;
    let seen = seen?;
    fs::write(results.join("seen.json"), format!("{seen:#}"))?;
    checks::report(&faults(&seen, &expected), &format!("screenshots are in {}", short(&results, places)))?;
    println!("Chromium {}: screenshots are in {}", seen["browser"], short(&results, places));
    Ok(())
}

fn work(places: &Places, python: &Path, chromium: &Path, results: &Path) -> Result<Value> {
    let mut driver = Command::new(python);
    driver.arg(places.root.join("xtask/python/browser.py")).arg(chromium);
    driver.args([&places.scratch(), results]).args(NOTEBOOKS);
    driver.stdin(Stdio::null()).stderr(Stdio::inherit()).env_remove("EVCXR_TMPDIR");
    let output = places.with_jupyter(&mut driver).output().context("cannot start the browser's driver")?;
    if !output.status.success() {
        bail!("the notebooks could not be worked with: see above and {}", short(results, places));
    }
    serde_json::from_slice(&output.stdout).context("the driver's answer is no JSON")
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

/// What the committed notebook shows, so the browser must show it too.
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
        let cells = notebook["cells"].as_array().into_iter().flatten();
        let cells: Vec<&Value> = cells.filter(|cell| cell["cell_type"] == "code").collect();
        let html = |output: &Value| text(&output["data"]["text/html"]);
        let outputs = |cell: &Value| cell["outputs"].as_array().cloned().unwrap_or_default();
        let shows = |output: &Value| !output["data"]["image/svg+xml"].is_null() || html(output).contains("<svg");
        Self {
            name: name.to_string(),
            figures: cells.iter().map(|cell| outputs(cell).iter().any(shows)).collect(),
            solutions: cells.iter().map(|cell| list(&cell["metadata"]["tags"]).contains(&json!("solution"))).collect(),
            sliders: cells
                .iter()
                .flat_map(|cell| outputs(cell))
                .map(|output| html(&output).matches("type=\"range\"").count())
                .sum(),
        }
    }
}

fn faults(seen: &Value, expected: &[Expected]) -> Vec<String> {
    let mut faults = server_faults(&seen["server"]);
    for expected in expected {
        let name = &expected.name;
        let Some(notebook) = list(&seen["notebooks"]).iter().find(|notebook| notebook["name"] == name.as_str()) else {
            faults.push(format!("{name} was not opened"));
            continue;
        };
        let runs = list(&notebook["runs"]);
        for what in ["run", "restart and run", "export"] {
            match runs.iter().find(|run| run["what"] == what) {
                Some(run) => {
                    let mut found = run_faults(run, expected);
                    // The restarted one was unfolded before.
                    if what != "restart and run" {
                        found.extend(fold_faults(run, expected));
                    }
                    faults.extend(found.into_iter().map(|fault| format!("{name}, {what}: {fault}")));
                }
                None => faults.push(format!("{name}: nothing was seen of: {what}")),
            }
        }
        // A new kernel counts from the beginning.
        let prompts = |what: &str| runs.iter().find(|run| run["what"] == what).map(|run| prompts(run));
        if prompts("run") != prompts("restart and run") {
            faults.push(format!("{name}: the kernel went on counting cells, so it was not restarted"));
        }
    }
    faults
}

/// Only who has the token may ask, and only from this machine.
fn server_faults(server: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    for who in ["token", "cookie"] {
        if server[who] != 200 {
            faults.push(format!("JupyterLab answered {} to a user with its {who}, 200 was expected", server[who]));
        }
    }
    for who in ["no token", "wrong token", "foreign host", "cookie of a foreign page"] {
        if !server[who].as_u64().is_some_and(|status| (401..=404).contains(&status)) {
            faults.push(format!("JupyterLab answered {} where it must refuse: {who}", server[who]));
        }
    }
    match server["open addresses"].as_array() {
        Some(open) => faults.extend(open.iter().map(|address| format!("JupyterLab answers at {address} too"))),
        None => faults.push("nobody looked at which addresses JupyterLab answers".to_string()),
    }
    faults
}

fn run_faults(run: &Value, expected: &Expected) -> Vec<String> {
    let mut faults = Vec::new();
    let cells = list(&run["cells"]);
    if cells.len() != expected.figures.len() {
        return vec![format!("{} code cells were seen, the notebook has {}", cells.len(), expected.figures.len())];
    }
    for (index, (cell, &figure)) in cells.iter().zip(&expected.figures).enumerate() {
        let place = format!("code cell {}", index + 1);
        for error in list(&cell["errors"]) {
            let error: String = error.as_str().unwrap_or_default().chars().take(300).collect();
            faults.push(format!("{place} shows an error: {error}"));
        }
        if !cell["prompt"].as_str().is_some_and(|prompt| prompt.contains(|c: char| c.is_ascii_digit())) {
            faults.push(format!("{place} did not run"));
        }
        let figures = list(&cell["figures"]);
        let side = |figure: &Value, axis: usize| figure[axis].as_u64().unwrap_or(0);
        let largest = figures.iter().map(|figure| side(figure, 0).min(side(figure, 1))).max();
        match largest {
            None if figure => faults.push(format!("{place} shows no figure")),
            Some(side) if figure && side < SMALLEST => faults.push(format!("{place}: its figure has no size")),
            _ => {}
        }
    }
    let moved = list(&run["sliders moved"]);
    if moved.len() != expected.sliders {
        faults.push(format!("{} sliders were seen, the notebook has {}", moved.len(), expected.sliders));
    }
    let still = moved.iter().enumerate().filter(|(_, moved)| **moved != true);
    faults.extend(still.map(|(index, _)| format!("slider {} does not change its figure", index + 1)));
    faults
}

/// Solutions were folded, and nothing else was.
fn fold_faults(run: &Value, expected: &Expected) -> Vec<String> {
    let pairs = list(&run["cells"]).iter().zip(&expected.solutions).enumerate();
    let wrong = pairs.filter(|(_, (cell, solution))| cell["folded"] != **solution);
    wrong
        .map(|(index, (_, solution))| {
            let (what, should) = if *solution { ("a solution", "folded") } else { ("no solution", "to be seen") };
            format!("code cell {} is {what}, so it should be {should}", index + 1)
        })
        .collect()
}

fn prompts(run: &Value) -> Vec<&Value> {
    list(&run["cells"]).iter().map(|cell| &cell["prompt"]).collect()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
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
            json!({"what": what, "sliders moved": [true], "cells": [
                {"prompt": "[2]:", "folded": false, "figures": [], "errors": []},
                {"prompt": "[3]:", "folded": what != "restart and run", "figures": [[640, 480]], "errors": []},
                {"prompt": "[4]:", "folded": false, "figures": [[8, 8], [640, 480]], "errors": []},
            ]})
        };
        json!({
            "server": {"token": 200, "cookie": 200, "no token": 403, "wrong token": 403, "foreign host": 403,
                       "cookie of a foreign page": 404, "open addresses": []},
            "notebooks": [{"name": "n.ipynb", "runs": [run("run"), run("restart and run"), run("export")]}],
        })
    }

    fn faults_of(seen: &Value) -> Vec<String> {
        faults(seen, &[Expected::of("n.ipynb", &notebook())])
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
        planted("/server/token", json!(403), &["403", "token"]);
        planted("/server/no token", json!(200), &["200", "refuse", "no token"]);
        planted("/server/cookie of a foreign page", json!(200), &["refuse", "foreign page"]);
        planted("/server/foreign host", Value::Null, &["refuse", "foreign host"]);
        planted("/server/open addresses", json!(["192.0.2.7"]), &["192.0.2.7"]);
        planted("/server/open addresses", Value::Null, &["addresses"]);
        planted("/notebooks/0/name", json!("other.ipynb"), &["n.ipynb", "not opened"]);
        planted("/notebooks/0/runs/1/what", json!("run"), &["n.ipynb", "nothing", "restart and run"]);
        planted("/notebooks/0/runs/1/cells/0/prompt", json!("[5]:"), &["not restarted"]);
        let cells = "/notebooks/0/runs/0/cells";
        planted(cells, json!([]), &["run", "0 code cells", "has 3"]);
        planted(&format!("{cells}/0/prompt"), json!("[ ]:"), &["code cell 1", "did not run"]);
        planted(&format!("{cells}/0/prompt"), json!("[*]:"), &["code cell 1", "did not run"]);
        planted(&format!("{cells}/1/errors"), json!(["mismatched types"]), &["code cell 2", "mismatched types"]);
        planted(&format!("{cells}/0/folded"), json!(true), &["code cell 1", "to be seen"]);
        planted(&format!("{cells}/1/folded"), json!(false), &["code cell 2", "solution", "folded"]);
        planted("/notebooks/0/runs/2/cells/1/folded", Value::Null, &["export", "code cell 2", "folded"]);
        planted(&format!("{cells}/1/figures"), json!([]), &["code cell 2", "no figure"]);
        planted(&format!("{cells}/1/figures"), json!([[0, 0]]), &["code cell 2", "no size"]);
        planted("/notebooks/0/runs/2/sliders moved", json!([false]), &["export", "slider 1", "does not change"]);
        planted("/notebooks/0/runs/2/sliders moved", json!([]), &["export", "0 sliders", "has 1"]);
    }

    #[test]
    fn the_copy_for_the_browser_shows_nothing_of_the_committed_results() {
        let copy = without_outputs(notebook());
        assert_eq!(copy["cells"][1], json!({"cell_type": "code", "execution_count": null, "outputs": []}));
        assert!(Expected::of("copy", &copy).figures.iter().all(|figure| !figure));
    }
}
