"""Times notebooks: `time_notebooks.py STARTS NOTEBOOK...`.

Runs all cells of each notebook in STARTS fresh kernels, in the current directory, and prints medians of what a person
waits for. Then the same for mistakes, each as the first one in a fresh kernel that has loaded the crate.
"""

import sys
import tempfile
from pathlib import Path
from statistics import median

import nbformat
from nbformat.v4 import new_code_cell, new_notebook
from run_notebook import first_line, run

VARIABLE = "let values = vec![1.0, 2.0];"
MISTAKES = {
    "missing semicolon": "let count = values.len()\ncount",
    "wrong type": 'let count: usize = "two";',
    "unknown name": "vlaues.len()",
    "moved value": "let others = values;\nvalues.len()",
}


def has_figure(cell):
    return any("image/svg+xml" in output.get("data", {}) for output in cell.outputs)


def print_table(runs):
    """Prints medians over the runs of one notebook."""
    cells = runs[0][1]
    first_let = next(index for index, cell in enumerate(cells) if cell.source.startswith("let "))
    first_figure = next(index for index, cell in enumerate(cells) if has_figure(cell))

    def row(what, seconds):
        print(f"{median(seconds(ready, of_cells) for _, _, ready, of_cells in runs):8.2f} s  {what}")

    row("kernel ready", lambda ready, seconds: ready)
    row("first cell (`:dep`)", lambda ready, seconds: seconds[0])
    row("first `let`", lambda ready, seconds: seconds[first_let])
    row("start to first figure", lambda ready, seconds: ready + sum(seconds[: first_figure + 1]))
    row("later cells, median", lambda ready, seconds: median(seconds[first_let + 1 :]))
    row("all cells, start included", lambda ready, seconds: ready + sum(seconds))
    print("          the slowest of the later cells:")
    medians = [median(cell) for cell in zip(*(of_cells for _, _, _, of_cells in runs))]
    later = range(first_let + 1, len(cells))
    for index in sorted(later, key=lambda index: -medians[index])[:4]:
        print(f"{medians[index]:14.2f} s  {first_line(cells[index])}")


def time_mistakes(first_cell, starts):
    print(f"* mistakes, {starts} times each", flush=True)
    seconds = {}
    with tempfile.TemporaryDirectory(dir=".") as folder:
        path = Path(folder) / "mistake.ipynb"
        for what, source in MISTAKES.items():
            cells = [new_code_cell(first_cell), new_code_cell(VARIABLE)]
            cells.append(new_code_cell(source, metadata={"tags": ["raises-exception"]}))
            nbformat.write(new_notebook(cells=cells), path)
            seconds[what] = [run(path, ".")[3][-1] for _ in range(starts)]
    print(f"\nuntil the kernel has answered a first mistake, medians of {starts} starts")
    for what, of_starts in seconds.items():
        print(f"{median(of_starts):8.2f} s  {what}")


def main():
    starts, paths = int(sys.argv[1]), [Path(path) for path in sys.argv[2:]]
    results = {}
    for path in paths:
        print(f"* {path.name}, {starts} times", flush=True)
        results[path.name] = [run(path, ".") for _ in range(starts)]
    for name, runs in results.items():
        print(f"\n{name}, medians of {starts} starts")
        print_table(runs)
    first_cell = next(iter(results.values()))[0][1][0].source
    time_mistakes(first_cell, starts)


main()
