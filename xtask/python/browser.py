"""Works with notebooks as a person does: `browser.py CHROMIUM DIRECTORY RESULTS NOTEBOOK...`.

Starts JupyterLab in DIRECTORY, asks it what nobody but its user may ask, opens each of DIRECTORY's notebooks in Chromium, runs all
cells, unfolds what is folded, moves the sliders, restarts the kernel and runs all cells again. Then opens the page in RESULTS that
was exported from the notebook, without a network. Prints as JSON what was there to see; keeps screenshots in RESULTS. Judges
nothing.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from playwright.sync_api import Error, sync_playwright

START_SECONDS = 120
RUN_SECONDS = 1800
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# JupyterLab and exported pages use the same names.
CELL = ".jp-Notebook .jp-CodeCell"
OUTPUT = ".jp-OutputArea-output"
PROMPT = ".jp-InputArea-prompt"
# What unfolds something folded: in JupyterLab the button with the number of hidden cells, on an exported page the heading.
FOLDED = ".jp-Notebook .jp-showHiddenCellsButton:visible, details:not([open]) > summary"
# For each code cell, whether it can be seen.
ARE_VISIBLE = "cell => [...document.querySelectorAll(cell)].map(cell => cell.checkVisibility())"
# What a page shows of its code cells.
LOOK = """([cell, output, prompt]) => [...document.querySelectorAll(cell)].map(cell => ({
    prompt: cell.querySelector(prompt)?.textContent.trim() ?? "",
    figures: [...cell.querySelectorAll(`${output} svg, ${output} img`)].map(figure => {
        const box = figure.getBoundingClientRect();
        const drawn = figure.tagName.toLowerCase() !== "img" || figure.naturalWidth > 0;
        return drawn ? [Math.round(box.width), Math.round(box.height)] : [0, 0];
    }),
    errors: [...cell.querySelectorAll('[data-mime-type$="jupyter.error"], [data-mime-type$="jupyter.stderr"]')]
        .map(error => error.textContent.trim()),
}))"""
IS_DONE = """([cell, prompt]) =>
    ![...document.querySelectorAll(`${cell} ${prompt}`)].some(found => found.textContent.includes("[*]"))"""


def say(text):
    print(f"  {text}", file=sys.stderr, flush=True)


class Server:
    """JupyterLab as its user starts it: no option about tokens or addresses."""

    def __init__(self, directory, results):
        runtime = results / "jupyter/runtime"
        own = {
            "JUPYTER_CONFIG_DIR": "config",
            "JUPYTER_DATA_DIR": "data",
            "JUPYTER_RUNTIME_DIR": "runtime",
            "JUPYTERLAB_SETTINGS_DIR": "settings",
            "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        }
        environment = os.environ | {name: str(results / "jupyter" / folder) for name, folder in own.items()}
        command = ["jupyter", "lab", "--no-browser", "--port", "0", "--notebook-dir", str(directory)]
        if os.getuid() == 0:
            command.append("--allow-root")
        self.log = results / "jupyterlab.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command, cwd=directory, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        facts = runtime / f"jpserver-{self.process.pid}.json"
        end = time.monotonic() + START_SECONDS
        while True:
            try:
                found = json.loads(facts.read_text())
                break
            except (OSError, ValueError):
                if self.process.poll() is not None or time.monotonic() > end:
                    self.stop()
                    sys.exit(f"JupyterLab does not start: see {self.log}")
                time.sleep(0.1)
        self.port, self.token = found["port"], found["token"]
        self.url = f"http://127.0.0.1:{self.port}/"

    def stop(self):
        """Ends the server, which ends its kernels."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()

    def ask(self, path, method="GET", token=True, **headers):
        """The status and the answer."""
        if token:
            headers["Authorization"] = f"token {self.token}"
        request = urllib.request.Request(self.url + path, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, b""

    def sessions(self):
        return json.loads(self.ask("api/sessions")[1])

    def wait_for_connection(self):
        """Until a page is connected with its kernel."""
        end = time.monotonic() + START_SECONDS
        while not any(session["kernel"]["connections"] for session in self.sessions()):
            if time.monotonic() > end:
                raise Error("the kernel did not start")
            time.sleep(0.2)

    def probe(self):
        """The answers to who may ask and to who may not, and on which addresses beside the loopback it listens."""
        cookie = self.cookie()
        return {
            "token": self.ask("api/contents")[0],
            "no token": self.ask("api/contents", token=False)[0],
            "wrong token": self.ask("api/contents", token=False, Authorization="token 0")[0],
            "foreign host": self.ask("api/contents", Host="example.org")[0],
            "cookie": self.ask("api/contents", token=False, Cookie=cookie)[0],
            "cookie of a foreign page": self.ask(
                "api/contents", token=False, Cookie=cookie, Origin="http://example.org", Referer="http://example.org/"
            )[0],
            "open addresses": [address for address in foreign_addresses() if is_open(address, self.port)],
        }

    def cookie(self):
        """What a browser sends after its user has logged in."""
        with urllib.request.urlopen(f"{self.url}lab?token={self.token}", timeout=60) as answer:
            return "; ".join(cookie.split(";")[0] for cookie in answer.headers.get_all("Set-Cookie", []))


def foreign_addresses():
    """Addresses at which a server that listens on all of them would answer."""
    addresses = ["127.0.0.2"]
    # Connecting a datagram socket sends nothing; it tells which address of this machine would be the sender's.
    for family, far in [(socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")]:
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((far, 9))
                addresses.append(probe.getsockname()[0])
        except OSError:
            pass
    return addresses


def is_open(address, port):
    try:
        socket.create_connection((address, port), timeout=5).close()
        return True
    except OSError:
        return False


def choose(page, menu, item):
    page.locator(".lm-MenuBar-item", has_text=re.compile(f"^{menu}$")).click()
    page.locator(".lm-Menu-item", has_text=re.compile(f"^{item}")).click()


def wait_for_cells(page):
    """Until every cell has run, or none goes on because one failed."""
    running = page.locator(f"{CELL} {PROMPT}", has_text="[*]")
    running.first.wait_for(state="attached", timeout=START_SECONDS * 1000)
    page.wait_for_function(IS_DONE, arg=[CELL, PROMPT], timeout=RUN_SECONDS * 1000, polling=200)
    page.wait_for_timeout(500)


def unfold(page):
    """Unfolds all that is folded; for each code cell, whether it could be seen before."""
    visible = page.evaluate(ARE_VISIBLE, CELL)
    while page.locator(FOLDED).count():
        page.locator(FOLDED).first.click(timeout=10_000)
    return visible


def look(page, pictures):
    """What there is to see before and after unfolding, and for each slider whether a click on another value changes the figure."""
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
    cells = page.evaluate(LOOK, [CELL, OUTPUT, PROMPT])
    for cell, was_visible in zip(cells, visible, strict=True):
        cell["folded"] = not was_visible
    for index, cell in enumerate(page.locator(CELL).all()):
        if cells[index]["figures"] or cells[index]["errors"]:
            cell.scroll_into_view_if_needed()
            cell.screenshot(path=f"{pictures}-cell-{index + 1:02}.png")
    return {"cells": cells, "sliders moved": moved}


def open_page(browser):
    return browser.new_page(viewport={"width": 1400, "height": 1000})


def work(page, server, notebook, results):
    """Opens a notebook, runs it, restarts it and runs it again."""
    # A workspace of its own: no tab of the notebook before comes back.
    page.goto(f"{server.url}lab/workspaces/{notebook.stem}/tree/{notebook.name}?token={server.token}")
    # JupyterLab makes the cells one after the other.
    cells = sum(cell["cell_type"] == "code" for cell in json.loads(notebook.read_text())["cells"])
    page.locator(CELL).nth(cells - 1).wait_for(state="attached", timeout=START_SECONDS * 1000)
    # The page says `idle` before it has begun to look for a kernel, too.
    server.wait_for_connection()
    page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").wait_for(timeout=START_SECONDS * 1000)
    runs = []
    for what, item in [("run", "Run All Cells"), ("restart and run", "Restart Kernel and Run All Cells")]:
        begin = time.monotonic()
        choose(page, "Run", item)
        if what == "restart and run":
            page.locator(".jp-Dialog button", has_text="Restart").click()
        wait_for_cells(page)
        seconds = time.monotonic() - begin
        say(f"{notebook.name}: {what}: {seconds:.1f} s")
        pictures = results / f"{notebook.stem}-{what.replace(' ', '-')}"
        runs.append({"what": what, "seconds": seconds} | look(page, pictures))
    page.close()
    for session in server.sessions():
        server.ask(f"api/sessions/{session['id']}", method="DELETE")
    return runs


def read(page, export, results):
    """Opens an exported page where there is no network."""
    page.route(re.compile("^(https?|wss?):"), lambda route: route.abort())
    page.goto(export.as_uri())
    pictures = results / f"{export.stem}-export"
    page.screenshot(path=f"{pictures}.png", full_page=True)
    return {"what": "export"} | look(page, pictures)


def main():
    chromium, directory, results = sys.argv[1], Path(sys.argv[2]).resolve(), Path(sys.argv[3]).resolve()
    notebooks = [directory / name for name in sys.argv[4:]]
    server = Server(directory, results)
    try:
        seen = {"server": server.probe(), "notebooks": []}
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS, headless=True)
            seen["browser"] = browser.version
            for notebook in notebooks:
                page = open_page(browser)
                try:
                    runs = work(page, server, notebook, results)
                    page = open_page(browser)
                    runs.append(read(page, results / f"{notebook.stem}.html", results))
                except Error as error:
                    page.screenshot(path=results / "stopped.png")
                    sys.exit(f"{notebook.name}: {error}\nsee stopped.png and {server.log.name} beside the screenshots")
                seen["notebooks"].append({"name": notebook.name, "runs": runs})
    finally:
        server.stop()
    json.dump(seen, sys.stdout)


main()
