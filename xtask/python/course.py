"""Writes the course version of notebooks: `course.py [--nbgrader] FOLDER NOTEBOOK...`.

It has no solutions and no outputs. Where a solution was, there is a cell for the learner's own. The notebooks may lie
in any folder, as the kernel knows where the crate is. With --nbgrader, FOLDER becomes the folder of an nbgrader course
with the assignment `hhnet`, and each check of an exercise has as many points as the exercise has stars.
"""

import re
import sys
from pathlib import Path

import nbformat
from folds import folds
from nbformat.v4 import new_code_cell

EXERCISE = re.compile(r"### (\d+)\. ")
CONFIGURATION = '''from nbgrader.converters import Autograde
from nbgrader.preprocessors import Execute


class ExecuteRust(Execute):
    """Takes the Rust kernel's reply to a cell that does not compile: it lacks the fields that nbgrader reads."""

    def on_cell_executed(self, **kwargs):
        reply = kwargs["execute_reply"]["content"]
        kwargs["execute_reply"]["content"] = {"ename": "Error", "evalue": "", "traceback": []} | reply
        super().on_cell_executed(**kwargs)


c = get_config()
c.CourseDirectory.course_id = "hhnet"
c.Autograde.autograde_preprocessors = [
    ExecuteRust if step is Execute else step for step in Autograde.autograde_preprocessors.default()
]
# What stands in the learners' cells. nbgrader has no text of its own for Rust.
c.ClearSolutions.code_stub = {"rust": "// your solution"}
# A training takes longer than nbgrader's 30 seconds.
c.Execute.timeout = 900
'''


def has_tag(cell, tag):
    return tag in cell.metadata.get("tags", [])


def without_solutions(cells):
    """Leaves out cells with the tag `solution`, and each folded section, which a cell for the learner's solution
    replaces."""
    kept = []
    for cell, fold in zip(cells, folds(cells)):
        if fold is cell:
            kept.append(new_code_cell("// your solution", id=f"my-{cell.id}", metadata={"tags": ["answer"]}))
        elif fold is None and not has_tag(cell, "solution"):
            kept.append(cell)
    return kept


def mark_for_nbgrader(cells):
    """Gives nbgrader's metadata to the cells for solutions and to checks. A check in front of the first exercise is
    what the others need: it has no points, and may not be changed."""
    points = 0
    for cell in cells:
        if EXERCISE.match(cell.source):
            points = cell.source.count("★")
        is_answer, is_check = has_tag(cell, "answer"), has_tag(cell, "check")
        if is_answer or is_check:
            cell.metadata.nbgrader = {
                "schema_version": 3,
                "grade_id": cell.id,
                "grade": is_check and points > 0,
                "solution": is_answer,
                "locked": is_check,
                "task": False,
            }
        if is_check and points > 0:
            cell.metadata.nbgrader["points"] = points


def course_version(path, for_nbgrader):
    notebook = nbformat.read(path, as_version=4)
    notebook.cells = without_solutions(notebook.cells)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    if for_nbgrader:
        mark_for_nbgrader(notebook.cells)
    return notebook


def main():
    for_nbgrader = sys.argv[1] == "--nbgrader"
    folder, *paths = map(Path, sys.argv[2:] if for_nbgrader else sys.argv[1:])
    target = folder / "source/hhnet" if for_nbgrader else folder
    files = {target / path.name: nbformat.writes(course_version(path, for_nbgrader)) + "\n" for path in paths}
    if for_nbgrader:
        files[folder / "nbgrader_config.py"] = CONFIGURATION
    # Somebody may have worked on them.
    existing = [str(file) for file in files if file.exists()]
    if existing:
        sys.exit(f"already there: {', '.join(existing)}; remove them, or give another folder")
    target.mkdir(parents=True, exist_ok=True)
    for file, text in files.items():
        file.write_text(text, encoding="utf-8")
        print(f"  {file}")


main()
