"""Downloads a wheel from an index on this machine that fails in several ways: `downloads.py FOLDER PIP...`.

PIP is set-up's command for downloads. Prints a line for each way. If pip does not do what set-up relies on, the exit
status is 1, and the reason is on standard error.
"""

import hashlib
import io
import re
import shutil
import subprocess
import sys
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

NAME = "hhnet_probe-1.0-py3-none-any.whl"
LIST = "--index-url http://127.0.0.1:{port}/simple/\nhhnet-probe==1.0 --hash=sha256:{hash}\n"
FILES = {
    "hhnet_probe.py": "#" * 1_000_000,
    "hhnet_probe-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: hhnet-probe\nVersion: 1.0\n",
    "hhnet_probe-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "hhnet_probe-1.0.dist-info/RECORD": "",
}


def make_wheel():
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in FILES.items():
            archive.writestr(name, text)
    return content.getvalue()


WHEEL = make_wheel()
CHANGED = WHEEL[:1000] + b"!" + WHEEL[1001:]


class Index(BaseHTTPRequestHandler):
    """Answers with the page of the package, and with the wheel as `self.server.way` says."""

    def do_GET(self):
        if not self.path.endswith(NAME):
            return self.answer(200, f'<a href="/{NAME}">{NAME}</a>'.encode())
        self.server.requests += 1
        way, is_early = self.server.way, self.server.requests <= 2
        if way == "always 500" or (way == "500 twice" and is_early):
            return self.answer(500, b"")
        begin = int(re.sub(r"\D.*", "", self.headers.get("Range", "bytes=0")[len("bytes=") :]))
        wheel = CHANGED if way == "one byte wrong" else WHEEL
        self.server.sent.append(begin)
        self.answer(206 if begin else 200, wheel[begin:], begin, 300_000 if way == "cut twice" and is_early else None)

    def answer(self, status, content, begin=0, most=None):
        self.send_response(status)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", '"1"')
        if status == 206:
            self.send_header("Content-Range", f"bytes {begin}-{begin + len(content) - 1}/{begin + len(content)}")
        self.end_headers()
        self.wfile.write(content[:most])

    def log_message(self, *_):
        pass


def main():
    folder, pip = Path(sys.argv[1]), sys.argv[2:]
    hashes = [hashlib.sha256(wheel).hexdigest() for wheel in (WHEEL, CHANGED)]
    # What pip must say, and how often it must have asked.
    ways = {
        "cut twice": (None, 3),
        "500 twice": (None, 3),
        "always 500": ([NAME, "500"], 2),
        "one byte wrong": ([*hashes, NAME], 1),
    }
    for way, (complaint, requests) in ways.items():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        server = ThreadingHTTPServer(("127.0.0.1", 0), Index)
        server.way, server.requests, server.sent = way, 0, []
        Thread(target=server.serve_forever, daemon=True).start()
        packages = folder / "packages.txt"
        packages.write_text(LIST.format(port=server.server_port, hash=hashes[0]))
        options = ["--no-deps", "--no-cache-dir", "--retries", str(requests - 1)]
        options += ["--dest", folder / "out", "-r", packages]
        output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        result = subprocess.run([*pip, *options], **output, check=False)
        server.shutdown()
        server.server_close()
        there = [path.read_bytes() for path in (folder / "out").glob("*")]
        is_sound = there == [WHEEL] if complaint is None else not there and result.returncode != 0
        says_all = all(word in result.stdout for word in complaint or [])
        # A download that was cut goes on where it stopped.
        goes_on = server.sent == sorted(set(server.sent)) and server.requests == requests
        if not (is_sound and says_all and goes_on):
            sys.exit(f"{way}: {server.requests} requests, for the bytes from {server.sent}; pip says:\n{result.stdout}")
        print(f"  {way}: {'refused' if complaint else 'downloaded'} after {requests} requests", flush=True)


main()
