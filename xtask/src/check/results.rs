//! What cells print, compared: a fresh run must print what the committed notebook shows, and a result that the text
//! quotes must be shown somewhere. So text, outputs and program cannot drift apart unnoticed.

use std::path::Path;
use std::sync::LazyLock;

use anyhow::Result;
use pulldown_cmark::{Event, Options, Parser};
use regex_lite::Regex;
use serde_json::Value;

use crate::notebook::{code_cells, list, read, text};

/// Two numbers are equal if they differ by less than this part of them, or by one in the last digit after the point.
const TOLERANCE: f64 = 1e-3;
/// The units of results.
const UNITS: [&str; 6] = ["mV²", "mV/pA", "mV", "pA", "MΩ", "%"];

/// A number in a text. A digit within a word, as in `conv1d_2`, belongs to the word.
static NUMBER: LazyLock<Regex> = LazyLock::new(|| regex(r"\b\d[\d_]*(?:\.(\d+))?(?:e(-?\d+))?"));
static OF_THE_MACHINE: LazyLock<Regex> = LazyLock::new(|| regex(r"\b\d[\d.]* ?(s|neuron-seconds|cores?)\b"));

struct Number {
    value: f64,
    /// What one is worth in its last digit.
    last_digit: f64,
    /// Where it ends in the text.
    end: usize,
}

/// What a fresh run of a notebook prints otherwise than the committed notebook shows.
pub fn changed(committed: &Path, fresh: &Path) -> Result<Vec<String>> {
    let (committed, fresh) = (read(committed)?, read(fresh)?);
    let mut faults = Vec::new();
    for (before, after) in code_cells(&committed).zip(code_cells(&fresh)) {
        let (before_lines, after_lines) = (printed(before), printed(after));
        let differs = before_lines.len() != after_lines.len()
            || before_lines.iter().zip(&after_lines).any(|(before, after)| !is_equal(before, after));
        if differs {
            let name = text(&before["id"]);
            let (before, after) = (before_lines.join("\n    "), after_lines.join("\n    "));
            faults.push(format!("cell {name} now prints\n    {after}\n  instead of\n    {before}"));
        }
    }
    Ok(faults)
}

/// Results in the text of a notebook, numbers with a point and a unit, that neither its cells nor the text of `other`
/// show.
pub fn unfounded(notebook: &Path, other: &str) -> Result<Vec<String>> {
    let notebook = read(notebook)?;
    let mut shown = other.to_string();
    for cell in code_cells(&notebook) {
        shown += &format!("\n{}\n{}", text(&cell["source"]), printed(cell).join("\n"));
    }
    let shown: Vec<f64> = numbers(&shown).map(|number| number.value).collect();
    let mut faults = Vec::new();
    for cell in list(&notebook["cells"]).iter().filter(|cell| cell["cell_type"] == "markdown") {
        for (Number { value, last_digit, .. }, unit) in quoted_results(&text(&cell["source"])) {
            if !shown.iter().any(|shown| (shown - value).abs() < 0.501 * last_digit) {
                faults.push(format!("cell {} says `{value} {unit}`, which no cell shows", text(&cell["id"])));
            }
        }
    }
    Ok(faults)
}

/// The lines that a cell printed, and its value as text. Of an action's lines of progress only the last one: which of
/// the others appear depends on the time.
fn printed(cell: &Value) -> Vec<String> {
    let outputs = list(&cell["outputs"]);
    let texts = outputs.iter().map(|output| text(&output["text"]) + &text(&output["data"]["text/plain"]));
    let lines: Vec<String> = texts.collect::<String>().lines().map(str::to_string).collect();
    let is_overtaken = |index: usize| {
        let action = action_of(&lines[index]);
        action.is_some() && lines[index + 1..].iter().any(|later| action_of(later) == action)
    };
    (0..lines.len()).filter(|index| !is_overtaken(*index)).map(|index| lines[index].clone()).collect()
}

/// The action whose progress a line tells: a training, or the generation of the arrays that it names.
fn action_of(line: &str) -> Option<&str> {
    if line.starts_with("Epoch ") {
        return Some("Epoch");
    }
    line.contains(" trials dropped, ").then(|| line.split(':').next().unwrap_or_default())
}

fn is_equal(before: &str, after: &str) -> bool {
    let (before, after) = (OF_THE_MACHINE.replace_all(before, "$1"), OF_THE_MACHINE.replace_all(after, "$1"));
    // Columns are wider for longer numbers.
    let words = |text| NUMBER.replace_all(text, " # ").split_whitespace().map(str::to_string).collect::<Vec<_>>();
    let is_close = |(a, b): (Number, Number)| {
        // Whole numbers count something.
        let rounding = if a.last_digit < 1.0 { 1.001 * a.last_digit } else { 0.0 };
        (a.value - b.value).abs() <= f64::max(TOLERANCE * a.value.abs(), rounding)
    };
    words(&before) == words(&after) && numbers(&before).zip(numbers(&after)).all(is_close)
}

fn numbers(text: &str) -> impl Iterator<Item = Number> {
    NUMBER.captures_iter(text).map(|found| {
        let whole = found.get(0).expect("what was found");
        let value = whole.as_str().replace('_', "").parse().expect("digits, a point and an exponent are a number");
        let decimals = found.get(1).map_or(0, |decimals| decimals.len() as i32);
        let exponent = found.get(2).and_then(|exponent| exponent.as_str().parse().ok()).unwrap_or(0);
        Number { value, last_digit: 10_f64.powi(exponent - decimals), end: whole.end() }
    })
}

/// The results that a Markdown text quotes, each with its unit. What stands in code or in an equation is none.
fn quoted_results(markdown: &str) -> Vec<(Number, &'static str)> {
    let mut results = Vec::new();
    for event in Parser::new_ext(markdown, Options::ENABLE_TABLES | Options::ENABLE_MATH) {
        let Event::Text(plain) = event else { continue };
        for number in numbers(&plain).filter(|number| number.last_digit < 1.0) {
            let unit = UNITS.into_iter().find(|unit| plain[number.end..].trim_start().starts_with(unit));
            results.extend(unit.map(|unit| (number, unit)));
        }
    }
    results
}

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a sound pattern")
}

#[cfg(test)]
mod tests {
    use super::*;
    use fs_err as fs;
    use serde_json::json;

    #[test]
    fn numbers_may_differ_in_the_last_digit_and_words_may_not() {
        for (before, after) in [
            ("mse 0.130 mV²", "mse 0.131 mV²"),
            ("  8.6 MΩ", "8.6  MΩ"),
            ("3e-5 mV", "4e-5 mV"),
            ("2783.564", "2785.1"),
            ("0.9 s, 11610 neuron-seconds per second, 2 cores", "1.25 s, 9 neuron-seconds per second, 16 cores"),
            ("Epoch 100/100 - 0.3s - loss: 0.7380 - 28s left", "Epoch 100/100 - 0.2s - loss: 0.7381 - 1s left"),
        ] {
            assert!(is_equal(before, after), "{before} and {after}");
        }
        for (before, after) in [
            ("mse 0.130 mV²", "mse 0.133 mV²"),
            ("mse 0.130 mV²", "mse 0.130 mV"),
            ("conv1d_1", "conv1d_2"),
            ("3e-5 mV", "3e-4 mV"),
            ("35 trials", "37 trials"),
            ("35 samples", "36 samples"),
            ("8 seeds", "9 seeds"),
            ("1 2", "1"),
        ] {
            assert!(!is_equal(before, after), "{before} and {after}");
        }
    }

    fn notebook(markdown: &str, printed: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        let output = json!({"output_type": "stream", "name": "stdout", "text": [printed]});
        let cells = json!([
            {"cell_type": "markdown", "id": "text", "source": markdown},
            {"cell_type": "code", "id": "code", "source": "let sigma = 12.5;", "outputs": [output]},
        ]);
        fs::write(file.path(), json!({"cells": cells}).to_string()).unwrap();
        file
    }

    #[test]
    fn a_fresh_run_that_prints_something_else_is_found() {
        let committed = notebook("", "Epoch 1/9\nEpoch 4/9\nEpoch 9/9 - loss: 0.5\nmse 0.13\n");
        let same = notebook("", "Epoch 3/9\nEpoch 9/9 - loss: 0.5\nmse 0.13\n");
        assert_eq!(changed(committed.path(), same.path()).unwrap(), Vec::<String>::new());
        let quick = notebook(
            "",
            "X, Y: 10 of 10 samples, 2 trials dropped, 1 s\nX_test: 3 of 3 samples, 0 trials dropped, 1 s",
        );
        let slow = notebook(
            "",
            "X, Y: 9 of 10 samples, 1 trials dropped, 1 s\nX, Y: 10 of 10 samples, 2 trials dropped, 2 s\n\
             X_test: 3 of 3 samples, 0 trials dropped, 1 s",
        );
        assert_eq!(changed(quick.path(), slow.path()).unwrap(), Vec::<String>::new());
        for printed in
            ["Epoch 9/9 - loss: 0.7\nmse 0.13\n", "Epoch 9/9 - loss: 0.5\n", "Epoch 9/9 - loss: 0.5\nmse 0.2"]
        {
            let faults = changed(committed.path(), notebook("", printed).path()).unwrap();
            assert!(faults[0].contains("cell code now prints"), "{faults:?}");
        }
    }

    #[test]
    fn a_quoted_result_must_be_shown() {
        let faults =
            |markdown: &str, printed: &str, other: &str| unfounded(notebook(markdown, printed).path(), other).unwrap();
        let none = Vec::<String>::new();
        assert_eq!(faults("It is 0.13 mV², or $0.2$ mV² or `0.3 mV²`, for 12.5 pA.", "mse 0.1299", ""), none);
        assert_eq!(faults("It lies between 0.077 and 0.57 mV².", "", "seeds: 0.0765, 0.569"), none);
        assert!(faults("It is 0.14 mV².", "mse 0.1299", "")[0].contains("cell text says `0.14 mV²`"));
        assert!(faults("The resistance is 8.6 MΩ.", "8.7 MΩ", "")[0].contains("8.6 MΩ"));
    }
}
