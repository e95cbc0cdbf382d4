//! The course version of the notebooks: is it complete, and does it give nothing away?

use std::collections::BTreeSet;

use anyhow::Result;
use serde_json::Value;

use crate::check::report;
use crate::course;
use crate::files::remove;
use crate::notebook::{code_cells, has_tag, list, read, text};
use crate::paths::{NOTEBOOKS, Paths};

/// Writes both kinds of course version into `target/course/`, and examines them.
pub fn check(paths: &Paths) -> Result<()> {
    let folder = paths.scratch.join("course");
    remove(&folder)?;
    course::write(paths, &folder, &[])?;
    course::write(paths, &folder.join("nbgrader"), &["--nbgrader"])?;
    let mut faults = Vec::new();
    for name in NOTEBOOKS {
        let committed = read(&paths.notebooks.join(name))?;
        let plain = read(&folder.join(name))?;
        let graded = read(&folder.join("nbgrader/source/hhnet").join(name))?;
        for found in
            [course_faults(&committed, &plain), course_faults(&committed, &graded), grading_faults(&committed, &graded)]
        {
            faults.extend(found.into_iter().map(|fault| format!("{name}: {fault}")));
        }
    }
    report(&faults, "xtask/python/course.py writes it; the written ones are in target/course")
}

/// What a course version gives away, or lacks.
fn course_faults(committed: &Value, course: &Value) -> Vec<String> {
    let is_solution = |cell: &&Value| has_tag(cell, "solution");
    let solutions = list(&committed["cells"]).iter().filter(is_solution).map(|cell| text(&cell["source"]));
    let sources: BTreeSet<String> = list(&course["cells"]).iter().map(|cell| text(&cell["source"])).collect();
    let mut faults = Vec::new();
    for solution in solutions.filter(|solution| sources.contains(solution)) {
        faults.push(format!("the solution `{}` is in it", solution.lines().next().unwrap_or_default()));
    }
    let is_exercise = |cell: &&Value| text(&cell["id"]).starts_with("exercise-");
    let exercises = list(&committed["cells"]).iter().filter(is_exercise).count();
    for (what, tag) in [("cells for a solution", "answer"), ("solutions", "solution")] {
        let found = list(&course["cells"]).iter().filter(|cell| has_tag(cell, tag)).count();
        let expected = if tag == "answer" { exercises } else { 0 };
        if found != expected {
            faults.push(format!("{found} {what}, not {expected}"));
        }
    }
    // All that is no solution is as it was.
    let kept = code_cells(committed).filter(|cell| !is_solution(cell)).map(|cell| text(&cell["source"]));
    for source in kept.filter(|source| !sources.contains(source)) {
        faults.push(format!("the cell `{}` is missing", source.lines().next().unwrap_or_default()));
    }
    if code_cells(course).any(|cell| !list(&cell["outputs"]).is_empty() || !cell["execution_count"].is_null()) {
        faults.push("it holds outputs".to_string());
    }
    faults
}

/// What nbgrader would refuse or count wrongly. A check of the committed notebook, whose solutions are right, ends with
/// all points.
fn grading_faults(committed: &Value, course: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    let mut ids = BTreeSet::new();
    let (mut answers, mut graded) = (0, 0);
    for cell in code_cells(course) {
        let marks = &cell["metadata"]["nbgrader"];
        if marks.is_null() {
            continue;
        }
        if !ids.insert(text(&marks["grade_id"])) {
            faults.push(format!("two cells have the grade_id {}", marks["grade_id"]));
        }
        answers += usize::from(marks["solution"] == true);
        graded += usize::from(marks["grade"] == true);
        let check = code_cells(committed).find(|check| check["id"] == cell["id"]);
        let results = check.into_iter().flat_map(|check| list(&check["outputs"]));
        let reached = results.map(|result| text(&result["data"]["text/plain"])).find(|reached| !reached.is_empty());
        if marks["grade"] == true && reached != Some(marks["points"].to_string()) {
            let reached = reached.unwrap_or("none".to_string());
            faults
                .push(format!("{} has {} points, its solution reaches {reached}", marks["grade_id"], marks["points"]));
        }
    }
    if answers == 0 || answers != graded {
        faults.push(format!("{answers} cells for a solution, {graded} graded checks"));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn committed() -> Value {
        json!({"cells": [
            {"cell_type": "code", "id": "a", "source": ":dep hhnet = { workspace = true }", "outputs": [1]},
            {"cell_type": "markdown", "id": "exercise-1", "source": "### 1. Think"},
            {"cell_type": "code", "id": "b", "source": "let x = 42;", "metadata": {"tags": ["solution"]}},
            {"cell_type": "code", "id": "c", "source": "points(1, check(x))", "metadata": {"tags": ["check"]},
                "outputs": [{"data": {"text/plain": ["1"]}}]},
        ]})
    }

    fn course() -> Value {
        let answer = json!({"solution": true, "grade": false, "grade_id": "my-b"});
        let check = json!({"solution": false, "grade": true, "grade_id": "c", "points": 1});
        json!({"cells": [
            {"cell_type": "code", "source": ":dep hhnet = { workspace = true }", "outputs": []},
            {"cell_type": "markdown", "id": "exercise-1", "source": "### 1. Think"},
            {"cell_type": "code", "source": "// mine", "metadata": {"tags": ["answer"], "nbgrader": answer}},
            {"cell_type": "code", "id": "c", "source": "points(1, check(x))", "outputs": [],
                "metadata": {"tags": ["check"], "nbgrader": check}},
        ]})
    }

    /// Plants a fault at a place (a JSON pointer) and expects one message that holds all of `words`.
    fn planted(pointer: &str, value: Value, words: &[&str]) {
        let mut course = course();
        *course.pointer_mut(pointer).unwrap() = value;
        let found = [course_faults(&committed(), &course), grading_faults(&committed(), &course)].concat();
        assert!(found.iter().any(|fault| words.iter().all(|word| fault.contains(word))), "{words:?} not in {found:?}");
    }

    #[test]
    fn each_planted_fault_is_found_and_a_sound_course_has_none() {
        assert_eq!(course_faults(&committed(), &course()), Vec::<String>::new());
        assert_eq!(grading_faults(&committed(), &course()), Vec::<String>::new());
        planted("/cells/2/source", json!("let x = 42;"), &["let x = 42;", "is in it"]);
        planted("/cells/2/metadata/tags", json!([]), &["0 cells for a solution, not 1"]);
        planted("/cells/2/metadata/tags", json!(["answer", "solution"]), &["1 solutions"]);
        planted("/cells/3/source", json!("check(y)"), &["points(1, check(x))", "missing"]);
        planted("/cells/0/outputs", json!([1]), &["outputs"]);
        planted("/cells/3/metadata/nbgrader/grade_id", json!("my-b"), &["my-b", "two cells"]);
        planted("/cells/3/metadata/nbgrader/points", json!(2), &["\"c\"", "2 points", "reaches 1"]);
        planted("/cells/3/metadata/nbgrader", Value::Null, &["1 cells for a solution, 0 graded"]);
    }
}
