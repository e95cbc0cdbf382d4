"""Runs notebooks in a JupyterHub, as several users of this machine at once: `hub.py PROXY FOLDER NOTEBOOK...`.

PROXY is the program configurable-http-proxy; in FOLDER, JupyterHub keeps its files. The users are made for this and
removed at the end, so it must run as root. Each runs all notebooks in one JupyterLab server, each notebook in a kernel
of its own, and all kernels live until the last notebook has run. Prints a line for each notebook, and how much disk
each user's kernels take. If something fails, the exit status is 1, and the reason is on standard error.
"""

import json
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
from jupyter_client.jsonutil import json_default
from jupyter_client.session import Session
from websocket import create_connection

USERS = ["hhnet-check-1", "hhnet-check-2", "hhnet-check-3"]
START_SECONDS = 120
CELL_SECONDS = 1800
MOST_MB = 100
CONFIGURATION = """
c = get_config()
c.JupyterHub.bind_url = "http://127.0.0.1:{port}"
c.JupyterHub.hub_port = {hub_port}
c.JupyterHub.db_url = "sqlite:///:memory:"
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.ConfigurableHTTPProxy.command = [{proxy!r}]
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{proxy_port}"
c.Spawner.cmd = [{server!r}]
c.Spawner.start_timeout = {seconds}
c.Spawner.http_timeout = {seconds}
c.JupyterHub.services = [{{"name": "check", "api_token": {token!r}}}]
c.JupyterHub.load_roles = [
    {{"name": "check", "scopes": ["admin:users", "admin:servers", "access:servers"], "services": ["check"]}}
]
"""


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def until(what, condition):
    """Waits for a condition; an exception counts as not yet."""
    end = time.monotonic() + START_SECONDS
    while True:
        try:
            if condition():
                return
        except httpx.HTTPError:
            pass
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {START_SECONDS} s")
        time.sleep(0.5)


class User:
    def __init__(self, name, notebooks):
        self.name = name
        # A run that was killed may have left it.
        self.remove()
        subprocess.run(["useradd", "--create-home", "--shell", "/bin/sh", name], check=True)
        entry = pwd.getpwnam(name)
        self.home = Path(entry.pw_dir)
        for notebook in notebooks:
            shutil.copy(notebook, self.home)
            os.chown(self.home / notebook.name, entry.pw_uid, entry.pw_gid)

    def remove(self):
        subprocess.run(["userdel", "--force", "--remove", self.name], check=False, stderr=subprocess.DEVNULL)

    def run(self, hub, notebooks):
        """Runs all notebooks; returns what went wrong."""
        hub.post(f"/hub/api/users/{self.name}").raise_for_status()
        hub.post(f"/hub/api/users/{self.name}/server").raise_for_status()
        until(f"{self.name}: the server", lambda: hub.get(f"/user/{self.name}/api/status").status_code == 200)
        for notebook in notebooks:
            fault = self.run_notebook(hub, notebook)
            if fault:
                return f"{self.name}, {notebook.name}: {fault}"
        return self.judge_kernels()

    def run_notebook(self, hub, notebook):
        begin = time.monotonic()
        session = {"path": notebook.name, "name": notebook.name, "type": "notebook", "kernel": {"name": "rust"}}
        reply = hub.post(f"/user/{self.name}/api/sessions", json=session).raise_for_status().json()
        url = f"/user/{self.name}/api/kernels/{reply['kernel']['id']}/channels"
        address = str(hub.base_url).rstrip("/").replace("http", "ws", 1) + url
        headers = [f"Authorization: {hub.headers['Authorization']}"]
        cells = [cell for cell in json.loads(notebook.read_text())["cells"] if cell["cell_type"] == "code"]
        first = 0
        kernel = create_connection(address, header=headers, timeout=CELL_SECONDS)
        for number, cell in enumerate(cells, 1):
            fault = execute(kernel, "".join(cell["source"]))
            first = first or time.monotonic() - begin
            if fault and "raises-exception" not in cell["metadata"].get("tags", []):
                return f"cell {number}: {fault}"
        seconds = time.monotonic() - begin
        print(f"{self.name}: {notebook.name}: {len(cells)} cells in {seconds:.0f} s, the first in {first:.1f} s", flush=True)
        return None

    def judge_kernels(self):
        """Nothing of the installation may have been compiled again, and little disk be used."""
        files = [path for path in (self.home / ".cache/hhnet").rglob("*") if path.is_file() and not path.is_symlink()]
        size = sum(path.stat().st_blocks * 512 for path in files) / 1e6
        kernels = len(list((self.home / ".cache/hhnet").glob("*/kernel-*.lock")))
        print(f"{self.name}: {kernels} kernels, {size:.0f} MB of disk", flush=True)
        compiled = [path.name for path in files if path.suffix in (".rlib", ".a") and "ctx" not in path.name]
        if compiled:
            return f"{self.name}: compiled again: {', '.join(compiled)}"
        if size > MOST_MB * max(kernels, 1):
            return f"{self.name}: more than {MOST_MB} MB of disk for a kernel"
        return None


def execute(kernel, code):
    """Runs a cell. Returns what went wrong."""
    content = {"code": code, "silent": False, "store_history": True, "allow_stdin": False, "stop_on_error": True}
    message = Session().msg("execute_request", content) | {"channel": "shell"}
    kernel.send(json.dumps(message, default=json_default))
    fault, replied, idle = None, False, False
    while not (replied and idle):
        reply = json.loads(kernel.recv())
        if reply["parent_header"].get("msg_id") != message["header"]["msg_id"]:
            continue
        kind, content = reply["msg_type"], reply["content"]
        replied |= kind == "execute_reply"
        idle |= kind == "status" and content["execution_state"] == "idle"
        if kind == "error":
            fault = "\n".join(content["traceback"]) or content["evalue"]
        elif kind == "stream" and content["name"] == "stderr":
            fault = (fault or "") + content["text"]
    return fault


def start_hub(proxy, folder, token):
    port = free_port()
    configuration = folder / "jupyterhub_config.py"
    server = str(Path(sys.executable).parent / "jupyterhub-singleuser")
    values = {"port": port, "hub_port": free_port(), "proxy_port": free_port(), "seconds": START_SECONDS}
    configuration.write_text(CONFIGURATION.format(proxy=proxy, server=server, token=token, **values))
    log = (folder / "jupyterhub.log").open("w")
    command = [sys.executable, "-m", "jupyterhub", "-f", str(configuration)]
    process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT)
    return process, f"http://127.0.0.1:{port}"


def main():
    proxy, folder = sys.argv[1], Path(sys.argv[2])
    notebooks = [Path(path) for path in sys.argv[3:]]
    token = secrets.token_hex(32)
    hub_process, address = start_hub(proxy, folder, token)
    users = []
    try:
        with httpx.Client(base_url=address, headers={"Authorization": f"token {token}"}, timeout=START_SECONDS) as hub:
            until("JupyterHub", lambda: hub.get("/hub/api/").status_code == 200)
            for name in USERS:
                users.append(User(name, notebooks))
            with ThreadPoolExecutor(len(users)) as threads:
                faults = list(threads.map(lambda user: user.run(hub, notebooks), users))
    finally:
        hub_process.terminate()
        hub_process.wait()
        for user in users:
            user.remove()
    faults = [fault for fault in faults if fault]
    if faults:
        sys.exit("\n".join([*faults, f"JupyterHub's log: {folder / 'jupyterhub.log'}"]))


main()
