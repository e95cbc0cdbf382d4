"""Works with notebooks as a person does: `browser.py CHROMIUM DIRECTORY RESULTS STOPPED NOTEBOOK...`.

Starts JupyterLab in DIRECTORY, opens each of DIRECTORY's notebooks in Chromium, runs all cells, unfolds what is folded,
moves the sliders and saves; in the first one then restarts the kernel and runs all cells again. Opens the page in RESULTS that
was exported from the notebook, without a network. At last stops a training in a notebook of its own. Prints as JSON what there was to see, and keeps screenshots and the saved
notebooks in RESULTS. Judges nothing.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Error, TimeoutError, sync_playwright

START_SECONDS = 120
LOST_SECONDS = 30
RUN_SECONDS = 1800
# JupyterLab and exported pages use the same names.
CELL = ".jp-Notebook .jp-CodeCell"
OUTPUT = ".jp-OutputArea-output"
# What unfolds something folded: in JupyterLab the button with the number of hidden cells, on an exported page the
# heading.
FOLDED = ".jp-Notebook .jp-showHiddenCellsButton:visible, details:not([open]) > summary"
# For each code cell, whether it can be seen.
ARE_VISIBLE = "cell => [...document.querySelectorAll(cell)].map(cell => cell.checkVisibility())"
# What a page shows of its code cells.
LOOK = """([cell, output]) => [...document.querySelectorAll(cell)].map(cell => ({
    figures: [...cell.querySelectorAll(`${output} svg, ${output} img`)].map(figure => {
        const box = figure.getBoundingClientRect();
        const drawn = figure.tagName.toLowerCase() !== "img" || figure.naturalWidth > 0;
        return drawn ? [Math.round(box.width), Math.round(box.height)] : [0, 0];
    }),
}))"""
# What is done with a notebook: its name, and the item of the menu.
RUNS = [("run", "Run All Cells"), ("restart and run", "Restart Kernel and Run All Cells")]
# What stands in front of a cell.
PROMPT = f"{CELL} .jp-InputArea-prompt"
IS_DONE = "prompt => ![...document.querySelectorAll(prompt)].some(found => found.textContent.includes('[*]'))"


@contextmanager
def jupyterlab(directory, log):
    """Starts JupyterLab, and ends it and its kernels at the end. Gives its address and its token."""
    command = ["jupyter", "lab", "--no-browser", "--port", "0", "--notebook-dir", str(directory)]
    if os.getuid() == 0:
        command.append("--allow-root")
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=directory, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    facts = Path(os.environ["JUPYTER_RUNTIME_DIR"], f"jpserver-{process.pid}.json")
    is_written = lambda: facts.exists() and facts.read_text().endswith("}")
    try:
        wait_for(lambda: is_written() or process.poll() is not None, "JupyterLab does not start")
        if not is_written():
            sys.exit(f"JupyterLab does not start: see {log}")
        found = json.loads(facts.read_text())
        yield f"http://127.0.0.1:{found['port']}/", found["token"]
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()


def wait_for(condition, problem):
    end = time.monotonic() + START_SECONDS
    while not condition():
        if time.monotonic() > end:
            raise Error(problem)
        time.sleep(0.1)


def choose(page, menu, item):
    page.locator(".lm-MenuBar-item", has_text=re.compile(f"^{menu}$")).click()
    page.locator(".lm-Menu-item", has_text=re.compile(f"^{item}")).first.click()


def wait_for_cells(page):
    """Waits until every cell has run, or one has failed."""
    running = page.locator(PROMPT, has_text="[*]")
    running.first.wait_for(state="attached", timeout=START_SECONDS * 1000)
    page.wait_for_function(IS_DONE, arg=PROMPT, timeout=RUN_SECONDS * 1000, polling=200)
    page.wait_for_timeout(500)


def unfold(page):
    """Unfolds all that is folded; for each code cell, whether it could be seen before."""
    visible = page.evaluate(ARE_VISIBLE, CELL)
    while page.locator(FOLDED).count():
        page.locator(FOLDED).first.click(timeout=10_000)
    return visible


def look(page, pictures):
    """What there is to see before and after unfolding, and for each slider whether a click on another value changes the
    figure."""
    visible = unfold(page)
    moved = []
    for output in page.locator(f"{CELL} {OUTPUT}").filter(has=page.locator("input[type=range]")).all():
        figure = output.locator("svg, img").first
        for slider in output.locator("input[type=range]").all():
            shown = []
            for part in [0.1, 0.9]:
                slider.scroll_into_view_if_needed()
                box = slider.bounding_box()
                slider.click(position={"x": part * box["width"], "y": box["height"] / 2}, timeout=10_000)
                shown.append(figure.screenshot())
            moved.append(shown[0] != shown[1])
    cells = page.evaluate(LOOK, [CELL, OUTPUT])
    for cell, was_visible in zip(cells, visible, strict=True):
        cell["folded"] = not was_visible
    for index, cell in enumerate(page.locator(CELL).all()):
        if cells[index]["figures"]:
            cell.scroll_into_view_if_needed()
            cell.screenshot(path=f"{pictures}-cell-{index + 1:02}.png")
    return {"cells": cells, "sliders moved": moved}


def save(page, notebook, folder):
    """Saves a notebook, and keeps a copy in a folder."""
    before = notebook.stat().st_mtime_ns
    choose(page, "File", "Save Notebook")
    wait_for(lambda: notebook.stat().st_mtime_ns != before, "the notebook was not saved")
    page.wait_for_timeout(500)
    folder.mkdir(exist_ok=True)
    shutil.copy(notebook, folder)


def open_page(browser):
    return browser.new_page(viewport={"width": 1400, "height": 1000})


def sessions(server):
    return server.get("api/sessions").json()


def open_notebook(page, server, address, notebook):
    """Opens a notebook, and waits for its kernel."""
    page.goto(address)
    # JupyterLab shows the cells one after the other.
    cells = sum(cell["cell_type"] == "code" for cell in json.loads(notebook.read_text())["cells"])
    page.locator(CELL).nth(cells - 1).wait_for(state="attached", timeout=START_SECONDS * 1000)
    # The page says `idle` also before it has begun to look for a kernel.
    is_connected = lambda: any(session["kernel"]["connections"] for session in sessions(server))
    wait_for(is_connected, "the kernel did not start")
    is_idle = page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]")
    try:
        is_idle.wait_for(timeout=LOST_SECONDS * 1000)
    except TimeoutError:
        # Rarely JupyterLab misses the kernel's first answer and shows `Unknown`, until the page is loaded again.
        print(f"  {notebook.name}: JupyterLab shows no state of the kernel: loading the page again", file=sys.stderr, flush=True)
        page.reload()
        is_idle.wait_for(timeout=START_SECONDS * 1000)


def work(page, server, address, notebook, results, runs):
    """Opens the notebook at an address, and runs and saves it as `runs` says. Returns what was seen after each run. If cells were
    left out because one failed, there is no further run."""
    open_notebook(page, server, address, notebook)
    seen = {}
    for what, item in runs:
        begin = time.monotonic()
        choose(page, "Run", item)
        if what == "restart and run":
            page.locator(".jp-Dialog button", has_text="Restart").click()
        wait_for_cells(page)
        print(f"  {notebook.name}: {what}: {time.monotonic() - begin:.1f} s", file=sys.stderr, flush=True)
        pictures = results / f"{notebook.stem}-{what.replace(' ', '-')}"
        seen[what] = look(page, pictures)
        save(page, notebook, results / what)
        if page.locator(PROMPT, has_text="[ ]").count():
            break
    page.close()
    for session in sessions(server):
        server.delete(f"api/sessions/{session['id']}")
    return seen


def stop(page, server, address, notebook, results):
    """Opens a notebook, runs all cells and, as soon as one trains, interrupts the kernel. Returns the texts that cells show
    then."""
    open_notebook(page, server, address, notebook)
    choose(page, "Run", "Run All Cells")
    page.locator(OUTPUT, has_text="Epoch").first.wait_for(timeout=START_SECONDS * 1000)
    choose(page, "Kernel", "Interrupt Kernel")
    wait_for_cells(page)
    page.screenshot(path=results / "interrupted.png")
    return page.locator(OUTPUT).all_inner_texts()


def read(page, export, results):
    """Opens an exported page where there is no network."""
    page.route(re.compile("^(https?|wss?):"), lambda route: route.abort())
    page.goto(export.as_uri())
    pictures = results / f"{export.stem}-export"
    page.screenshot(path=f"{pictures}.png", full_page=True)
    return look(page, pictures)


def main():
    chromium, directory, results = sys.argv[1], Path(sys.argv[2]).resolve(), Path(sys.argv[3]).resolve()
    log = results / "jupyterlab.log"
    seen = {"notebooks": {}}
    with jupyterlab(directory, log) as (url, token), sync_playwright() as playwright:
        server = playwright.request.new_context(base_url=url, extra_http_headers={"Authorization": f"token {token}"})
        browser = playwright.chromium.launch(executable_path=chromium)
        seen["browser"] = browser.version
        for number, notebook in enumerate(directory / name for name in sys.argv[5:]):
            # A workspace of its own, so that the previous notebook's tab does not come back.
            address = f"{url}lab/workspaces/{notebook.stem}/tree/{notebook.name}?token={token}"
            page = open_page(browser)
            try:
                found = work(page, server, address, notebook, results, RUNS if number == 0 else RUNS[:1])
                page = open_page(browser)
                found["export"] = read(page, results / f"{notebook.stem}.html", results)
            except Error as error:
                page.screenshot(path=results / "stopped.png")
                sys.exit(f"{notebook.name}: {error}\nsee stopped.png and {log.name} beside the screenshots")
            seen["notebooks"][notebook.name] = found
        stopped = directory / sys.argv[4]
        address = f"{url}lab/workspaces/stopped/tree/{stopped.name}?token={token}"
        seen["interrupted"] = stop(open_page(browser), server, address, stopped, results)
    json.dump(seen, sys.stdout)


main()
