"""Runs a notebook from a clean kernel: `run_notebook.py NOTEBOOK EXECUTED DIRECTORY`.

Prints a line for each cell, and what cells print while they run. Writes EXECUTED only if every cell succeeds, apart from
those with the tag `raises-exception`. Otherwise the exit status is 1, and the reason is on standard error.
"""

import re
import sys
import tempfile
import time
from contextlib import suppress
from queue import Empty

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellTimeoutError
from nbclient.util import run_sync

# Training may take ten minutes on a slow machine. A kernel that dies is noticed within a second nevertheless.
CELL_SECONDS = 3600
START_SECONDS = 180
# The kernel may say that a cell is done before it sends the last of its standard error.
LATE_SECONDS = 0.05
ANSI = re.compile(r"\x1b\[[0-9;]*m")


class Client(NotebookClient):
    """Prints the lines that cells print, as they come."""

    def process_message(self, msg, cell, cell_index):
        if msg["msg_type"] == "stream" and msg["content"]["name"] == "stdout":
            for line in msg["content"]["text"].splitlines():
                print(f"      | {line}", flush=True)
        return super().process_message(msg, cell, cell_index)

    def add_late_stderr(self, cell):
        """Adds to a cell's outputs what comes on standard error after its end."""
        with suppress(Empty):
            while True:
                message = run_sync(self.kc.get_iopub_msg)(timeout=LATE_SECONDS)
                if message["msg_type"] == "stream" and message["content"]["name"] == "stderr":
                    cell.outputs.append(nbformat.v4.output_from_msg(message))


def failure(cell):
    """Why an executed cell failed, in one line and in all detail, or None."""
    for output in cell.outputs:
        if output.output_type == "error":
            return "an error", "\n".join(output.traceback) or output.evalue
    # The kernel reports success after a panic, and after an `Err` met by `?`: they show only here.
    stderr = "".join(output.text for output in cell.outputs if output.get("name") == "stderr")
    return ("text on standard error", stderr.split("stack backtrace:")[0]) if stderr.strip() else None


def stop(place, what, text=""):
    lines = ANSI.sub("", text).strip().splitlines()
    sys.exit("\n    ".join([f"{place}: {what}", *lines]))


def run(path, directory):
    """Runs a notebook in a fresh kernel. Returns it and its code cells, executed, the seconds until the kernel was
    ready, and those that each cell took. Ends the program if a cell fails."""
    notebook = nbformat.read(path, as_version=4)
    # A kernel does not count cells without source.
    notebook.cells = [cell for cell in notebook.cells if cell.cell_type != "code" or cell.source.strip()]
    cells = [(index, cell) for index, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    client = Client(
        notebook,
        kernel_name="rust",
        timeout=CELL_SECONDS,
        startup_timeout=START_SECONDS,
        allow_errors=True,
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": directory}},
    )
    place = f"{path}: (starting the kernel)"
    seconds = []
    begin = time.perf_counter()
    # What the kernel itself writes to its standard error.
    with tempfile.TemporaryFile("w+", errors="replace") as messages:
        try:
            with client.setup_kernel(stderr=messages):
                ready = time.perf_counter() - begin
                for count, (index, cell) in enumerate(cells, start=1):
                    source = first_line(cell)
                    place = f"{path}: code cell {count} (cell {index + 1} of all): `{source}`"
                    print(f"  [{count:2}/{len(cells)}] {source[:90]}", flush=True)
                    begin = time.perf_counter()
                    client.execute_cell(cell, index, execution_count=count)
                    seconds.append(time.perf_counter() - begin)
                    client.add_late_stderr(cell)
                    print(f"      {seconds[-1]:.1f} s", flush=True)
                    failed = failure(cell)
                    if failed and "raises-exception" not in cell.metadata.get("tags", []):
                        stop(place, *failed)
                    if failed:
                        print(f"      failed, as it may: {failed[0]}: {ANSI.sub('', failed[1]).strip()}", flush=True)
        except CellTimeoutError:
            stop(place, f"no end after {CELL_SECONDS} s")
        except RuntimeError as error:
            messages.seek(0)
            stop(place, "the kernel died or did not answer", f"{error}\n{messages.read()}")
    return notebook, [cell for _, cell in cells], ready, seconds


def first_line(cell):
    return cell.source.strip().splitlines()[0]


def main():
    path, executed, directory = sys.argv[1:4]
    notebook, cells, ready, seconds = run(path, directory)
    # Nothing may differ from run to run; evcxr counts from 2.
    for count, cell in enumerate(cells, start=1):
        cell.metadata.pop("execution", None)
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = count
    notebook.metadata.kernelspec = {"display_name": "Rust", "language": "rust", "name": "rust"}
    nbformat.write(notebook, executed)
    print(f"  {len(cells)} cells in {ready + sum(seconds):.1f} s, kernel start included", flush=True)


if __name__ == "__main__":
    main()
