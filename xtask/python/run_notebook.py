"""Runs a notebook from a clean kernel: `run_notebook.py NOTEBOOK EXECUTED DIRECTORY`.

Prints a line for each cell, and what cells print while they run. Writes EXECUTED only if every cell succeeds. Otherwise the exit
status is 1, and the reason is on standard error.
"""

import re
import sys
import tempfile
import time

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellTimeoutError, DeadKernelError

# Training may take ten minutes on a slow machine. A kernel that dies is noticed within a second nevertheless.
CELL_SECONDS = 3600
START_SECONDS = 180
ANSI = re.compile(r"\x1b\[[0-9;]*m")


class Client(NotebookClient):
    """Prints the lines that cells print, as they come."""

    def process_message(self, msg, cell, cell_index):
        if msg["msg_type"] == "stream" and msg["content"]["name"] == "stdout":
            for line in msg["content"]["text"].splitlines():
                print(f"      | {line}", flush=True)
        return super().process_message(msg, cell, cell_index)


def failure(cell):
    """What went wrong in an executed cell, or None. The kernel reports success after a panic, and after an `Err` met by `?`: these
    show only as text on standard error."""
    stderr = ""
    for output in cell.outputs:
        if output.output_type == "error":
            text = "\n".join(output.get("traceback") or []) or output.get("evalue", "")
            return "an error", ANSI.sub("", text).strip()
        if output.output_type == "stream" and output.name == "stderr":
            stderr += output.text
    if not stderr.strip():
        return None
    if re.search(r"^thread .* panicked at", stderr, re.MULTILINE):
        return "a panic", stderr.split("stack backtrace:")[0].strip()
    return "text on standard error", ANSI.sub("", stderr).strip()


def run(client, cells, messages):
    """Runs all cells. Returns None, or a place and what went wrong there, in one line and in all detail."""
    count, source = 0, "(starting the kernel)"
    try:
        with client.setup_kernel(stderr=messages):
            for index, cell in cells:
                count, source = count + 1, cell.source.strip().splitlines()[0]
                start = time.monotonic()
                print(f"  [{count:2}/{len(cells)}] {source[:90]}", flush=True)
                client.execute_cell(cell, index, execution_count=count)
                print(f"      {time.monotonic() - start:.1f} s", flush=True)
                failed = failure(cell)
                if failed:
                    return f"code cell {count} (cell {index + 1} of all): `{source}`", *failed
        return None
    except DeadKernelError:
        what, text = "the kernel died", ""
    except CellTimeoutError:
        what, text = f"no end after {CELL_SECONDS} s", ""
    except RuntimeError as error:
        what, text = "the kernel did not start or did not answer", str(error)
    # What the kernel itself wrote to its standard error.
    messages.seek(0)
    return f"code cell {count}: `{source}`", what, f"{text}\n{messages.read()}".strip()


def main():
    path, executed, directory = sys.argv[1:4]
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
    begin = time.monotonic()
    with tempfile.TemporaryFile("w+", errors="replace") as messages:
        failed = run(client, cells, messages)
    if failed:
        place, what, text = failed
        print(f"{path}: {place}: {what}", *text.splitlines(), sep="\n    ", file=sys.stderr)
        return 1
    # Nothing may differ from run to run; evcxr counts from 2.
    for count, (_, cell) in enumerate(cells, start=1):
        cell.metadata.pop("execution", None)
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = count
    notebook.metadata.kernelspec = {"display_name": "Rust", "language": "rust", "name": "rust"}
    nbformat.write(notebook, executed)
    print(f"  {len(cells)} cells in {time.monotonic() - begin:.1f} s, kernel start included", flush=True)
    return 0


sys.exit(main())
