"""Runs notebooks again and again in one kernel: `repeat_notebooks.py ROUNDS NOTEBOOK...`.

Prints after each round the memory of the kernel (evcxr, which compiles cells) and of the process that runs the cells:
its data, and pages of libraries, which the system can drop and read again. evcxr unloads the library of no cell.
"""

import sys
import time
from pathlib import Path

import nbformat
import psutil
from jupyter_client.manager import start_new_kernel
from run_notebook import CELL_SECONDS, START_SECONDS, first_line


def memory_mb(process):
    """Resident memory of each process of evcxr below this one: its data, and its pages of files."""
    below = psutil.Process(process).children(recursive=True)
    found = [child.memory_info() for child in below if child.name().startswith("evcxr")]
    return [((memory.rss - memory.shared) / 2**20, memory.shared / 2**20) for memory in found]


def execute(client, cell, place):
    """Runs a cell. Ends the program if it fails and may not."""
    problems = []

    def hook(message):
        content = message["content"]
        if message["msg_type"] == "error" or content.get("name") == "stderr":
            problems.append(content.get("text") or content["evalue"])

    client.execute_interactive(cell.source, timeout=CELL_SECONDS, output_hook=hook)
    if problems and "raises-exception" not in cell.metadata.get("tags", []):
        sys.exit(f"{place}: `{first_line(cell)}`: {''.join(problems)}")


def main():
    rounds, paths = int(sys.argv[1]), [Path(path) for path in sys.argv[2:]]
    notebooks = [(path.name, nbformat.read(path, as_version=4)) for path in paths]
    manager, client = start_new_kernel(startup_timeout=START_SECONDS, kernel_name="rust")
    try:
        print("round  seconds  evcxr MB  cells MB  libraries MB", flush=True)
        for count in range(1, rounds + 1):
            begin = time.perf_counter()
            for name, notebook in notebooks:
                for cell in notebook.cells:
                    if cell.cell_type == "code" and cell.source.strip():
                        execute(client, cell, f"round {count}, {name}")
            evcxr, (data, libraries) = memory_mb(manager.provisioner.pid)
            seconds = time.perf_counter() - begin
            print(f"{count:5}  {seconds:7.0f}  {sum(evcxr):8.0f}  {data:8.0f}  {libraries:12.0f}", flush=True)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


main()
