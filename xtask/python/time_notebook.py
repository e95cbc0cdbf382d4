"""Times a notebook: `time_notebook.py NOTEBOOK DIRECTORY STARTS`. Starts a kernel STARTS times, runs every code cell in it, and
prints as JSON, for each start, the seconds until the kernel was ready, the seconds of each cell, and whether a cell showed a
figure."""

import json
import sys
import time

import nbformat
from jupyter_client.manager import start_new_kernel


def seconds(client, source):
    """Runs a cell; its time, and whether an SVG image came back."""
    figure = []

    def look(message):
        content = message["content"]
        if "image/svg+xml" in content.get("data", {}):
            figure.append(True)
        if message["msg_type"] == "error" or content.get("name") == "stderr":
            sys.exit(f"the cell failed:\n{source}\n{content.get('text') or content}")

    begin = time.perf_counter()
    client.execute_interactive(source, timeout=3600, output_hook=look)
    return time.perf_counter() - begin, bool(figure)


def main():
    path, directory, starts = sys.argv[1], sys.argv[2], int(sys.argv[3])
    cells = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    runs = []
    for _ in range(starts):
        begin = time.perf_counter()
        manager, client = start_new_kernel(startup_timeout=180, kernel_name="rust", cwd=directory)
        run = {"ready": time.perf_counter() - begin, "cells": []}
        try:
            for source in cells:
                took, figure = seconds(client, source)
                run["cells"].append({"source": source, "seconds": took, "figure": figure})
                print(f"{took:7.2f} s  {source.strip().splitlines()[0][:80]}", file=sys.stderr, flush=True)
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)
        runs.append(run)
    json.dump(runs, sys.stdout)


main()
