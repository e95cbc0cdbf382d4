//! Notebooks, which are JSON: read, taken apart and made. [`text`] and [`list`] serve other JSON, too.

use std::path::Path;

use anyhow::{Context, Result};
use fs_err as fs;
use serde_json::{Value, json};

/// How the notebooks load the crate. By a version, cargo would look for it in the registry, over the network.
pub const DEPENDENCY: &str = ":dep hhnet = { workspace = true }";

/// Reads a notebook.
pub fn read(path: &Path) -> Result<Value> {
    serde_json::from_str(&fs::read_to_string(path)?).with_context(|| format!("{} is not valid JSON", path.display()))
}

/// A notebook's code cells.
pub fn code_cells(notebook: &Value) -> impl Iterator<Item = &Value> {
    list(&notebook["cells"]).iter().filter(|cell| cell["cell_type"] == "code")
}

/// Text that a notebook holds as one string or as a list of lines.
pub fn text(value: &Value) -> String {
    match value {
        Value::Array(lines) => lines.iter().filter_map(Value::as_str).collect(),
        other => other.as_str().unwrap_or_default().to_string(),
    }
}

pub fn has_tag(cell: &Value, tag: &str) -> bool {
    list(&cell["metadata"]["tags"]).iter().any(|found| found == tag)
}

/// The elements of a JSON array; none if it is something else.
pub fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A notebook of code cells.
pub fn of_code(sources: &[&str]) -> Value {
    let cell =
        |source| json!({"cell_type": "code", "execution_count": null, "metadata": {}, "outputs": [], "source": source});
    let cells: Vec<Value> = sources.iter().map(cell).collect();
    let kernel = json!({"display_name": "Rust", "language": "rust", "name": "rust"});
    json!({"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 4})
}
