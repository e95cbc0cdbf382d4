//! Examines an executed notebook: is it complete, did every cell succeed, are the figures well-formed, and does nothing
//! in it reveal the machine on which it ran?

use std::path::Path;

use anyhow::{Context, Result};
use fs_err as fs;
use serde_json::Value;

use crate::notebook::{code_cells, has_tag, list, read, text};
use crate::paths::Paths;

const MAX_BYTES: u64 = 5_000_000;
const SVG: &str = "image/svg+xml";

/// What a notebook must hold. The cells that correspond to the original's have the tags `orig-00` and so on.
struct Expected {
    name: &'static str,
    last_tag: usize,
    figures: &'static [usize],
    /// The cell that trains, and the mean squared validation error (mV²) below which its last epoch must end.
    training: Option<(usize, f64)>,
}

const EXPECTED: [Expected; 2] = [
    Expected { name: "HodkinHuxleyDataGeneration.ipynb", last_tag: 12, figures: &[7, 9], training: None },
    Expected { name: "HodkinHuxleyConvNet.ipynb", last_tag: 14, figures: &[10, 12, 13, 14], training: Some((11, 0.3)) },
];

/// The faults of the notebook in a file; `name` says which of our notebooks it is.
pub fn notebook_faults(path: &Path, name: &str) -> Result<Vec<String>> {
    let expected = EXPECTED.iter().find(|expected| expected.name == name).context("an unknown notebook")?;
    let bytes = fs::metadata(path)?.len();
    Ok(faults(&read(path)?, bytes, expected, &machine_directories()))
}

/// The figure that a notebook's cell with this number shows.
pub fn figure(notebook: &Path, number: usize) -> Result<Option<String>> {
    let notebook = read(notebook)?;
    let cell = code_cells(&notebook).find(|cell| has_number(cell, number));
    Ok(cell.and_then(svg).map(text))
}

/// The faults of a notebook whose file has so many bytes.
fn faults(notebook: &Value, bytes: u64, expected: &Expected, machine: &[String]) -> Vec<String> {
    let mut faults = Vec::new();
    if bytes > MAX_BYTES {
        faults.push(format!("the notebook has {bytes} bytes, {MAX_BYTES} are allowed"));
    }
    if notebook["metadata"]["kernelspec"]["name"] != "rust" {
        faults.push("the notebook does not name the kernel `rust`".to_string());
    }
    let cells = list(&notebook["cells"]);
    let mut skipped = Vec::new();
    let mut previous = None;
    for (index, cell) in cells.iter().enumerate().filter(|(_, cell)| cell["cell_type"] == "code") {
        let place = format!("cell {} `{}`", index + 1, first_line(cell));
        let outputs = list(&cell["outputs"]).iter().flat_map(|output| output_faults(output, machine));
        faults.extend(outputs.map(|fault| format!("{place}: {fault}")));
        let Some(count) = cell["execution_count"].as_u64() else {
            skipped.push(place);
            continue;
        };
        if !is_next(previous, count) {
            faults.push(format!("{place}: execution count {count} is out of order: run all cells in a new kernel"));
        }
        previous = Some(count);
    }
    if let Some(first) = skipped.first() {
        faults.push(format!("not executed: {first} and {} more", skipped.len() - 1));
    }
    faults.extend(missing(cells, expected));
    faults
}

/// Cells must have run in order, in a kernel that had run nothing before. The runner counts from 1, evcxr in JupyterLab
/// from 2.
fn is_next(previous: Option<u64>, count: u64) -> bool {
    previous.map_or([1, 2].contains(&count), |previous| count == previous + 1)
}

/// What the notebook should hold and does not.
fn missing(cells: &[Value], expected: &Expected) -> Vec<String> {
    let mut faults = Vec::new();
    for number in 0..=expected.last_tag {
        if !cells.iter().any(|cell| has_number(cell, number)) {
            faults.push(format!("no cell has the tag orig-{number:02}"));
        }
    }
    for &number in expected.figures {
        if !cells.iter().any(|cell| has_number(cell, number) && svg(cell).is_some()) {
            faults.push(format!("the cell with the tag orig-{number:02} shows no figure ({SVG})"));
        }
    }
    if let Some((number, bound)) = expected.training {
        match cells.iter().filter(|cell| has_number(cell, number)).find_map(last_validation_error) {
            Some(error) if error < bound => {}
            Some(error) => faults.push(format!("the training ended at val_mse {error}, it should be below {bound}")),
            None => faults.push(format!("the cell with the tag orig-{number:02} prints no val_mse")),
        }
    }
    faults
}

/// The first SVG image that a cell shows.
fn svg(cell: &Value) -> Option<&Value> {
    list(&cell["outputs"]).iter().map(|output| &output["data"][SVG]).find(|svg| !svg.is_null())
}

/// The last `val_mse` that a cell printed.
fn last_validation_error(cell: &Value) -> Option<f64> {
    let printed: String = list(&cell["outputs"]).iter().map(|output| text(&output["text"])).collect();
    printed.rsplit_once("val_mse: ")?.1.split_whitespace().next()?.parse().ok()
}

fn has_number(cell: &Value, number: usize) -> bool {
    has_tag(cell, &format!("orig-{number:02}"))
}

fn first_line(cell: &Value) -> String {
    let source = text(&cell["source"]);
    source.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().chars().take(60).collect()
}

fn output_faults(output: &Value, machine: &[String]) -> Vec<String> {
    let mut faults = Vec::new();
    let start = |text: String| text.trim().chars().take(200).collect::<String>();
    if output["output_type"] == "error" {
        faults.push(format!("an error: {}", start(text(&output["evalue"]))));
    }
    // The kernel does not report a panic, or an `Err` met by `?`, as an error: it shows only here.
    if output["output_type"] == "stream" && output["name"] == "stderr" && !text(&output["text"]).trim().is_empty() {
        faults.push(format!("text on standard error: {}", start(text(&output["text"]))));
    }
    let svg = &output["data"][SVG];
    if !svg.is_null()
        && let Err(error) = roxmltree::Document::parse(&text(svg))
    {
        faults.push(format!("the figure is not well-formed XML: {error}"));
    }
    let mut texts = vec![text(&output["text"])];
    texts.extend(output["data"].as_object().into_iter().flatten().map(|(_, data)| text(data)));
    texts.push(text(&output["traceback"]));
    for directory in machine {
        if texts.iter().any(|text| text.contains(directory.as_str())) {
            faults.push(format!("the output names a directory of the machine: {directory}"));
        }
    }
    faults
}

/// Directories that must not show: those of this machine, and the usual ones of other machines.
fn machine_directories() -> Vec<String> {
    let usual = ["home", "Users", "root", "tmp", ".cargo"].map(|folder| format!("/{folder}/"));
    let own = [
        Paths::find().ok().map(|paths| paths.root.display().to_string()),
        std::env::var("HOME").ok(),
        std::env::var("CARGO_HOME").ok(),
        Some(std::env::temp_dir().display().to_string()),
    ];
    let own = own.into_iter().flatten().map(|path| path.trim_end_matches('/').to_string());
    // A bare `/` is in every text.
    usual.into_iter().chain(own.filter(|path| path.len() > 3)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const TWO_CELLS: Expected = Expected { name: "test", last_tag: 2, figures: &[2], training: Some((1, 0.3)) };

    fn sound() -> Value {
        json!({"metadata": {"kernelspec": {"name": "rust"}}, "cells": [
            {"cell_type": "markdown", "metadata": {"tags": ["orig-00"]}, "source": ["text"]},
            {"cell_type": "code", "metadata": {"tags": ["orig-01"]}, "source": "1 + 1", "execution_count": 1, "outputs": [
                {"output_type": "execute_result", "data": {"text/plain": ["2"]}},
                {"output_type": "stream", "name": "stdout", "text": ["val_mse: 1.5\n", "Epoch 2/2 - val_mse: 0.25 - 3s\n"]}]},
            {"cell_type": "code", "metadata": {"tags": ["orig-02", "own"]}, "source": ["draw()\n"], "execution_count": 2, "outputs": [
                {"output_type": "execute_result", "data": {SVG: "<svg><g/></svg>"}}]},
        ]})
    }

    fn faults_of(notebook: &Value) -> Vec<String> {
        faults(notebook, 1000, &TWO_CELLS, &["/home/".to_string()])
    }

    #[test]
    fn a_sound_notebook_has_no_faults() {
        let mut notebook = sound();
        assert_eq!(faults_of(&notebook), Vec::<String>::new());
        // As JupyterLab saves it.
        notebook["cells"][1]["execution_count"] = json!(2);
        notebook["cells"][2]["execution_count"] = json!(3);
        assert_eq!(faults_of(&notebook), Vec::<String>::new());
    }

    /// Plants a fault at a place (a JSON pointer) and expects one message that holds all of `words`.
    fn planted(pointer: &str, value: Value, words: &[&str]) {
        let mut notebook = sound();
        *notebook.pointer_mut(pointer).unwrap() = value;
        let found = faults_of(&notebook);
        assert!(found.iter().any(|fault| words.iter().all(|word| fault.contains(word))), "{words:?} not in {found:?}");
    }

    #[test]
    fn each_planted_fault_is_found() {
        let figure = "/cells/2/outputs/0/data/image~1svg+xml";
        planted("/metadata/kernelspec/name", json!("python3"), &["kernel `rust`"]);
        planted("/cells/0/metadata/tags", json!([]), &["orig-00"]);
        planted("/cells/1/execution_count", json!(3), &["cell 2", "`1 + 1`", "count 3"]);
        planted("/cells/2/execution_count", json!(3), &["cell 3", "count 3"]);
        planted("/cells/2/execution_count", json!(null), &["not executed: cell 3"]);
        planted(
            "/cells/1/outputs/0",
            json!({"output_type": "error", "evalue": "mismatched types"}),
            &["mismatched types"],
        );
        planted("/cells/1/outputs/1/name", json!("stderr"), &["standard error", "Epoch 2/2"]);
        planted("/cells/1/outputs/1/text", json!("val_mse: 0.31\n"), &["ended at val_mse 0.31"]);
        planted("/cells/1/outputs/1/text", json!("a line\n"), &["orig-01", "prints no val_mse"]);
        planted("/cells/2/outputs", json!([]), &["orig-02", "no figure"]);
        planted("/cells/1/outputs/1/text", json!(["Compiling hhnet (/home/", "me)"]), &["cell 2", "/home/"]);
        planted(figure, json!("<svg><g></svg>"), &["well-formed"]);
        planted(figure, json!("<svg><text>/home/me</text></svg>"), &["/home/"]);
    }

    #[test]
    fn a_notebook_that_is_too_big_or_no_notebook_is_refused() {
        assert!(faults(&sound(), MAX_BYTES + 1, &TWO_CELLS, &[])[0].contains("bytes"));
        assert!(faults(&json!({}), 2, &TWO_CELLS, &[]).len() > 3);
    }
}
