"""Times notebooks: `time_notebooks.py STARTS NOTEBOOK...`.

Runs all cells of each notebook in STARTS fresh kernels, in the current directory, and prints medians of what a person
waits for.
"""

import sys
import time
from pathlib import Path
from statistics import median

import nbformat
from nbclient import NotebookClient


def run(path):
    """Runs a notebook in a fresh kernel: the seconds until the kernel was ready, and the executed cells with their
    `seconds`."""
    notebook = nbformat.read(path, as_version=4)
    cells = [(index, cell) for index, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    client = NotebookClient(notebook, kernel_name="rust", timeout=3600, startup_timeout=180, record_timing=False)
    begin = time.perf_counter()
    with client.setup_kernel():
        ready = time.perf_counter() - begin
        for index, cell in cells:
            begin = time.perf_counter()
            client.execute_cell(cell, index)
            cell.seconds = time.perf_counter() - begin
            print(f"{cell.seconds:7.2f} s  {first_line(cell)[:80]}", file=sys.stderr, flush=True)
            # A panic shows only there.
            errors = [output.text for output in cell.outputs if output.get("name") == "stderr"]
            if errors:
                sys.exit(f"the cell failed:\n{cell.source}\n{''.join(errors)}")
    return ready, [cell for _, cell in cells]


def first_line(cell):
    return cell.source.strip().splitlines()[0]


def has_figure(cell):
    return any("image/svg+xml" in output.get("data", {}) for output in cell.outputs)


def print_table(runs):
    """Prints medians over the runs of one notebook."""
    cells = runs[0][1]
    first_let = next(index for index, cell in enumerate(cells) if cell.source.startswith("let "))
    first_figure = next(index for index, cell in enumerate(cells) if has_figure(cell))

    def row(what, seconds):
        print(f"{median(seconds(ready, [cell.seconds for cell in cells]) for ready, cells in runs):8.2f} s  {what}")

    row("kernel ready", lambda ready, seconds: ready)
    row("first cell (`:dep`)", lambda ready, seconds: seconds[0])
    row("first `let`", lambda ready, seconds: seconds[first_let])
    row("start to first figure", lambda ready, seconds: ready + sum(seconds[: first_figure + 1]))
    row("later cells, median", lambda ready, seconds: median(seconds[first_let + 1 :]))
    row("all cells, start included", lambda ready, seconds: ready + sum(seconds))
    print("          the slowest of the later cells:")
    medians = [median(cells[index].seconds for _, cells in runs) for index in range(len(cells))]
    later = range(first_let + 1, len(cells))
    for index in sorted(later, key=lambda index: -medians[index])[:4]:
        print(f"{medians[index]:14.2f} s  {first_line(cells[index])}")


def main():
    starts, paths = int(sys.argv[1]), [Path(path) for path in sys.argv[2:]]
    results = {}
    for path in paths:
        print(f"* {path.name}, {starts} times", flush=True)
        results[path.name] = [run(path) for _ in range(starts)]
    for name, runs in results.items():
        print(f"\n{name}, medians of {starts} starts")
        print_table(runs)


main()
