"""Runs a notebook from a clean kernel: `run_notebook.py NOTEBOOK EXECUTED DIRECTORY`.

Prints a line for each cell and passes on what cells print while they run. Writes EXECUTED only when every cell succeeded. The
exit status is 1, with the reason on standard error, when a cell or the kernel failed.
"""

import os
import re
import sys
import threading
import time

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellTimeoutError, DeadKernelError

# Training may take ten minutes on a slow machine. A kernel that died is noticed within a second all the same.
CELL_SECONDS = 3600
START_SECONDS = 180
ANSI = re.compile(r"\x1b\[[0-9;]*m")


class Client(NotebookClient):
    """Passes on the lines that cells print, as they come."""

    def process_message(self, msg, cell, cell_index):
        if msg["msg_type"] == "stream" and msg["content"]["name"] == "stdout":
            for line in msg["content"]["text"].splitlines():
                print(f"      | {line}", flush=True)
        return super().process_message(msg, cell, cell_index)


class KernelMessages:
    """Passes on what the kernel itself writes to its standard error, up to its end: evcxr then reports the connection that it
    has just been told to close."""

    def __init__(self):
        reader, self.writer = os.pipe()
        self.are_wanted = True
        threading.Thread(target=self.pass_on, args=[reader], daemon=True).start()

    def pass_on(self, reader):
        with os.fdopen(reader, errors="replace") as lines:
            for line in lines:
                if self.are_wanted:
                    print(line, end="", file=sys.stderr, flush=True)


def first_line(source):
    lines = [line for line in source.splitlines() if line.strip()]
    return lines[0].strip() if lines else ""


def failure(cell):
    """What went wrong in an executed cell, or None. The kernel reports success after a panic and after an `Err` met by `?`:
    these show only as text on standard error."""
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


def tidy(notebook):
    """Leaves nothing in the notebook that differs from run to run, and counts cells from 1 (the kernel counts from 2)."""
    count = 0
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type != "code":
            continue
        count += 1
        cell.execution_count = count
        joined = []
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = count
            last = joined[-1] if joined else None
            if last and output.output_type == "stream" and last.output_type == "stream" and last.name == output.name:
                last.text += output.text
            else:
                joined.append(output)
        cell.outputs = joined
    notebook.metadata.kernelspec = {"display_name": "Rust", "language": "rust", "name": "rust"}


def main():
    path, executed, directory = sys.argv[1:4]
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    # Cells without source are not executed, hence not counted.
    notebook.cells = [cell for cell in notebook.cells if cell.cell_type != "code" or cell.source.strip()]
    client = Client(
        notebook,
        kernel_name="rust",
        timeout=CELL_SECONDS,
        startup_timeout=START_SECONDS,
        allow_errors=True,
        record_timing=False,
        resources={"metadata": {"path": directory}},
    )
    total = sum(cell.cell_type == "code" for cell in notebook.cells)
    begin = time.monotonic()
    count, source = 0, "(starting the kernel)"
    messages = KernelMessages()
    try:
        with client.setup_kernel(stderr=messages.writer):
            for index, cell in enumerate(notebook.cells):
                if cell.cell_type != "code":
                    continue
                count, source = count + 1, first_line(cell.source)
                start = time.monotonic()
                print(f"  [{count:2}/{total}] {source[:90]}", flush=True)
                client.execute_cell(cell, index)
                print(f"      {time.monotonic() - start:.1f} s", flush=True)
                failed = failure(cell)
                if failed:
                    messages.are_wanted = False
                    return stop(path, count, index, source, *failed)
            messages.are_wanted = False
    except DeadKernelError:
        return stop(path, count, None, source, "the kernel died", "")
    except CellTimeoutError:
        return stop(path, count, None, source, f"no end after {CELL_SECONDS} s", "")
    except RuntimeError as error:
        return stop(path, count, None, source, "the kernel did not start or did not answer", str(error))
    tidy(notebook)
    nbformat.write(notebook, executed)
    print(f"  {total} cells in {time.monotonic() - begin:.1f} s, kernel start included", flush=True)
    return 0


def stop(path, count, index, source, what, text):
    place = f"code cell {count}" + (f" (cell {index + 1} of all)" if index is not None else "")
    print(f"{path}: {place}: `{source}`: {what}", file=sys.stderr)
    for line in text.splitlines():
        print(f"    {line}", file=sys.stderr)
    return 1


sys.exit(main())
