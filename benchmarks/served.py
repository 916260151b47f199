"""`avseg serve` as a process on loopback, as its owner starts it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[1]


class Server:
    """Started by `start`; `call` sends a request with the key."""

    def __init__(self, folder: Path, *words: str, key: str = "", models: tuple[str, ...] = ("demo",)) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.folder, self.log = folder, folder.with_suffix(".log")
        self.url = f"http://127.0.0.1:{self.port}"
        self.headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._words = ("serve", *models, "--folder", str(folder), "--devices", "cpu", "--port", str(self.port), *words)
        self._environment = {**os.environ, "PYTHONPATH": str(ROOT), "AVSEG_API_KEYS": key}
        self.process: subprocess.Popen[bytes] | None = None
        self.client = httpx.Client(base_url=self.url, timeout=60, limits=httpx.Limits(max_connections=200))

    def start(self) -> None:
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "avseg", *self._words]
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=self._environment)
        for _ in range(600):
            assert self.process.poll() is None, self.log.read_text()
            try:
                self.client.get("/healthz")
                return
            except httpx.TransportError:
                time.sleep(0.1)
        raise AssertionError(self.log.read_text())

    def end(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(30)

    def call(self, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {**self.headers, **more.pop("headers", {})}
        return self.client.request(method, path, headers=headers, **more)

    def send(self, video: Path, name: str | None = None, token: str = "", **fields: Any) -> httpx.Response:
        headers = {"Idempotency-Key": token} if token else {}
        files = {"video": (name or video.name, video.read_bytes())}
        return self.call("POST", "/v1/predictions", files=files, data=fields, headers=headers)

    def job(self, number: str) -> dict[str, Any]:
        answer = self.call("GET", f"/v1/predictions/{number}")
        return {**answer.json(), "status": answer.status_code}

    def ended(self, number: str) -> dict[str, Any]:
        """The job when it has ended."""
        for _ in range(3000):
            found = self.job(number)
            if found.get("state") not in ("queued", "running"):
                return found
            time.sleep(0.05)
        raise AssertionError(found)

    def working(self, number: str) -> int:
        """The number of the worker's process, when it has done a part of the job."""
        for _ in range(3000):
            found = self.job(number)
            if found["progress"] and found["progress"]["done"] > 0:
                return int(re.findall(r"process (\d+) works", self.log.read_text())[-1])
            assert found["state"] in ("queued", "running"), found
            time.sleep(0.02)
        raise AssertionError(found)


@contextmanager
def serving(folder: Path, *words: str, **more: Any) -> Iterator[Server]:
    """A server while the block lasts."""
    server = Server(folder, *words, **more)
    server.start()
    try:
        yield server
    finally:
        server.end()
