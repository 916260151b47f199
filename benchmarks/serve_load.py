"""Many clients at once against `avseg serve` on loopback: is anything lost, done twice, or other than avseg predict's?

Every client sends one job after another, asks for its state until it has ended, and fetches the whole result. With
`--kill` the process of the worker is killed (kill -9) when a third of the jobs has ended, and the server itself when
two thirds have; it is started again in the same folder at once. A client whose connection breaks sends its request
again with the same Idempotency-Key. At the end the table of jobs must hold each request once, every job must be done,
and the files of every result must be, byte by byte, those that `avseg predict` makes of its video.
Prints JSON: seconds from request to result (median, 95 %), jobs a second, kills, how often work began; exits with 1
where anything is wrong.

    python benchmarks/serve_load.py --clients 32 --jobs 300 --kill
    python benchmarks/serve_load.py --clients 8 --jobs 40 --kill
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import re
import signal
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from served import Server

KINDS = 6
"""Different videos."""
FPS = 1.0
SAVE = ("masks", "csv")
RATE = 16000
PATIENCE = 120.0
"""s in which a request is sent again where the server does not answer."""
Digests = dict[str, str]


@dataclass
class Campaign:
    """What is sent, what came back, and what went wrong."""

    server: Server
    videos: list[Path]
    expected: list[Digests]
    jobs: int
    took: dict[int, float] = field(default_factory=dict)
    """s from request to result, by number of the job."""
    ids: dict[int, str] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    again: Counter[str] = field(default_factory=Counter)
    """Requests that were sent again, by why."""
    killed: list[str] = field(default_factory=list)

    def one(self, number: int) -> None:
        """Send a job, wait for its end, and look at its result."""
        begun, kind = time.monotonic(), number % len(self.videos)
        try:
            sent = self._patiently(lambda: self._send(number, self.videos[kind]))
            self.ids[number] = job = sent.json()["id"]
            state = self._ended(job)
            if state["state"] != "done":
                self.wrong.append(f"job {number} is {state['state']}: {state['error']}")
                return
            packed = self._patiently(lambda: self.server.call("GET", f"/v1/predictions/{job}/files/all")).content
        except (TimeoutError, KeyError, ValueError) as error:
            self.wrong.append(f"job {number} is lost ({type(error).__name__}: {error})")
            return
        self.took[number] = time.monotonic() - begun
        if _of_archive(packed) != self.expected[kind]:
            self.wrong.append(f"job {number} differs from avseg predict's result")

    def _send(self, number: int, video: Path) -> httpx.Response:
        return self.server.send(video, token=f"job {number}", save=",".join(SAVE), fps=str(FPS))

    def _ended(self, job: str) -> dict[str, Any]:
        """The last of its events."""
        while True:
            told = self._patiently(lambda: self.server.call("GET", f"/v1/predictions/{job}/events")).text
            found: dict[str, Any] = json.loads(told.rstrip().rpartition("\ndata: ")[2])
            if found["state"] not in ("queued", "running"):
                return found

    def _patiently(self, request: Callable[[], httpx.Response]) -> httpx.Response:
        """A request that is sent again where the server is gone or full; every other answer is one."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            try:
                answer = request()
            except httpx.TransportError:
                self.again["no answer"] += 1
                time.sleep(0.2)
                continue
            if answer.status_code in (429, 503):
                self.again[f"status {answer.status_code}"] += 1
                time.sleep(0.5)
            elif answer.is_success:
                return answer
            else:
                raise ValueError(f"status {answer.status_code}: {answer.text[:200]}")
        raise TimeoutError(f"the server did not answer within {PATIENCE:g} s")

    def kill(self) -> None:
        """Kill the worker, then the server, when their share of the jobs has ended."""
        self._wait(self.jobs // 3)
        worker = int(re.findall(r"process (\d+) works", self.server.log.read_text())[-1])
        os.kill(worker, signal.SIGKILL)
        self.killed.append(f"worker after {len(self.took)} jobs")
        self._wait(2 * self.jobs // 3)
        self.server.end(signal.SIGKILL)
        self.killed.append(f"server after {len(self.took)} jobs")
        self.server.start()

    def _wait(self, ended: int) -> None:
        while len(self.took) + len(self.wrong) < ended:
            time.sleep(0.05)

    def check(self, table: Path) -> dict[str, int]:
        """How the table of jobs ended, and whether it holds each request once."""
        with sqlite3.connect(table) as base:
            rows = base.execute("SELECT id, token, state, starts FROM jobs").fetchall()
        if sorted(row[1] for row in rows) != sorted(f"job {number}" for number in range(self.jobs)):
            self.wrong.append(f"the table holds {len(rows)} jobs for {self.jobs} requests")
        if {row[0] for row in rows} != {*self.ids.values()} or len({*self.ids.values()}) != len(self.ids):
            self.wrong.append("ids of the table are not those that were answered")
        again = sum(row[3] - 1 for row in rows)
        if again > len(self.killed):
            self.wrong.append(f"work began {again} times more than once a job, for {len(self.killed)} kills")
        return {"jobs_in_table": len(rows), "begun_again": again}


def make_videos(folder: Path, kinds: int) -> list[Path]:
    """Small films of a moving bar, each with a tone of its own."""
    from avseg.io.video import write_video

    folder.mkdir(parents=True)
    paths = []
    for kind in range(kinds):
        pictures = np.full((20, 48, 64, 3), 40, np.uint8)
        for number in range(20):
            pictures[number, :, 2 * number : 2 * number + 6 + kind] = 220
        time_of = np.arange(2 * RATE) / RATE
        sound = 0.4 * np.sin(2 * np.pi * 200 * (kind + 1) * time_of).astype(np.float32)[None]
        paths.append(write_video(folder / f"film {kind}.mp4", list(pictures), 10, sound, RATE))
    return paths


def own_results(videos: list[Path], out: Path) -> list[Digests]:
    """Digests of what `avseg predict` makes of each video."""
    from avseg.inference.folder import predict_paths

    predict_paths(list(map(str, videos)), "demo", out, save=SAVE, fps=FPS, device="cpu")
    return [_of_folder(out / video.stem) for video in videos]


def _of_folder(folder: Path) -> Digests:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _of_archive(content: bytes) -> Digests:
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        names = packed.namelist()
        return {name.partition("/")[2]: hashlib.sha256(packed.read(name)).hexdigest() for name in names}


def run(clients: int, jobs: int, kill: bool, work: Path) -> dict[str, Any]:
    """One campaign in a new folder."""
    videos = make_videos(work / "films", min(KINDS, jobs))
    expected = own_results(videos, work / "own")
    server = Server(work / "state", "--queue", str(jobs), key="a-key-of-the-load-on-loopback")
    campaign = Campaign(server, videos, expected, jobs)
    server.start()
    begun = time.monotonic()
    killer = threading.Thread(target=campaign.kill, daemon=True)
    if kill:
        killer.start()
    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(campaign.one, range(jobs)))
    seconds = time.monotonic() - begun
    if kill:
        killer.join(PATIENCE)
    status = server.end()
    if status or "Traceback" in server.log.read_text():
        campaign.wrong.append(f"the server ended with {status}, its log: {server.log.read_text()[-1000:]}")
    found = campaign.check(work / "state" / "jobs.sqlite")
    took = sorted(campaign.took.values())
    return {
        "clients": clients,
        "jobs": jobs,
        "killed": campaign.killed,
        "done": len(took),
        **found,
        "seconds": round(seconds, 2),
        "jobs_per_second": round(len(took) / seconds, 3),
        "seconds_of_a_job": {
            "median": round(statistics.median(took), 3) if took else None,
            "95 %": round(float(np.quantile(took, 0.95)), 3) if took else None,
        },
        "sent_again": dict(campaign.again),
        "load_of_the_machine": os.getloadavg()[0],
        "wrong": campaign.wrong,
    }


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=32, help="that send at once")
    parser.add_argument("--jobs", type=int, default=300, help="in all")
    parser.add_argument("--kill", action="store_true", help="kill the worker and the server once each")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="avseg-load-") as work:
        found = run(options.clients, options.jobs, options.kill, Path(work))
    text = json.dumps(found, indent=2)
    print(text)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")
    return 1 if found["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
