"""The page as a program in a process of its own, small films, and a reverse proxy."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest

from avseg.demo.film import draw_film
from avseg.io.video import write_video
from avseg.synth.picture import iter_frames
from avseg.synth.soundtrack import render_sound
from avseg.synth.timbres import SAMPLE_RATE

MEGABYTES, SECONDS = 3, 120
"""The limits of the page."""
OWN = ("host", "connection", "accept-encoding")


def chromium() -> str:
    """Debian's Chromium; skipped without, unless all extras are said to be there and nobody said that it is not."""
    found = shutil.which("chromium")
    if found is None and os.environ.get("AVSEG_EXTRAS") == "all" and os.environ.get("AVSEG_CHROMIUM") != "none":
        pytest.fail("Chromium is not installed, and AVSEG_EXTRAS says that everything is; AVSEG_CHROMIUM=none says no")
    if found is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    return found


def write_short_film(path: Path, seconds: float = 4.0) -> Path:
    """The beginning of the demo's film, small: one shape sounds for 2 s, then another."""
    scene, soundtrack = draw_film(9001)
    sound = render_sound(scene, soundtrack)[:, : round(seconds * SAMPLE_RATE)]
    times = [float(time) for time in np.arange(round(5 * seconds)) / 5]
    return write_video(path, (frame for frame, _ in iter_frames(scene, times, (144, 256))), 5, sound, SAMPLE_RATE)


def write_long_film(path: Path, seconds: int = 110) -> Path:
    """Grey pictures, 25 a second."""
    pictures = (np.full((64, 96, 3), 40 + number % 160, np.uint8) for number in range(25 * seconds))
    return write_video(path, pictures, 25, np.zeros((1, seconds * 8000), np.float32), 8000)


@dataclass
class Served:
    """A page that is being served."""

    address: str
    folder: Path
    """The machine's folder for temporary files, as the program sees it."""
    process: subprocess.Popen[str]

    def files(self, room: str) -> list[str]:
        """Names of all files below uploads, results or examples."""
        return sorted(p.name for p in self.folder.glob(f".avseg-ui.*/{room}/**/*") if p.is_file())

    def ended(self) -> str:
        """What the program says when it is told to end."""
        if self.process.poll() is None:
            self.process.terminate()  # Ctrl-C is ignored where tests run in the background
        return self.process.communicate(timeout=60)[0]


@contextmanager
def served(folder: Path, *words: str) -> Iterator[Served]:
    """`avseg ui` with its files below a folder."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TMPDIR": str(folder), "AVSEG_DEBUG": "1"}
    limits = ["--max-megabytes", str(MEGABYTES), "--max-seconds", str(SECONDS)]
    process = subprocess.Popen(
        [sys.executable, "-m", "avseg", "ui", "--port", "0", *limits, *words],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    said = ""
    try:
        assert process.stdout is not None
        for line in process.stdout:
            said += line
            if found := re.search(r"http://[\d.]+:\d+/", line):
                break
        else:
            pytest.fail(f"the page did not start: {said}")
        yield Served(found[0], folder, process)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stdout.close()


@contextmanager
def behind_proxy(address: str, prefix: str) -> Iterator[str]:
    """A reverse proxy that shows `address` below a path and passes on as it comes, as nginx does unbuffered."""
    target = urlsplit(address).netloc

    class Passing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if not self.path.startswith(f"{prefix}/"):
                self.send_error(404)
                return
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            sent = {name: value for name, value in self.headers.items() if name.lower() not in OWN}
            sent |= {"Host": self.headers["Host"], "X-Forwarded-Host": self.headers["Host"]}
            onward = http.client.HTTPConnection(target, timeout=60)
            onward.request(self.command, self.path.removeprefix(prefix), body, {**sent, "X-Forwarded-Proto": "http"})
            answer = onward.getresponse()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("transfer-encoding", "connection", "date", "server"):
                    self.send_header(name, value)
            self.end_headers()
            try:
                while piece := answer.read1(1 << 16):
                    self.wfile.write(piece)
                    self.wfile.flush()
            except OSError:
                pass
            finally:
                onward.close()

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Passing)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}{prefix}/"
    finally:
        server.shutdown()
        server.server_close()
