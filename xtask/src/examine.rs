//! pub mod
use std::path::Path;
pub fn file(_: &Path, _: &str) -> anyhow::Result<Vec<String>> { Ok(vec![]) }
/// Text that a notebook holds as one string or as a list of lines.
pub fn text(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Array(lines) => lines.iter().filter_map(|v| v.as_str()).collect(),
        other => other.as_str().unwrap_or_default().to_string(),
    }
}
