"""Many clients at once against `avseg serve` on loopback: is anything lost, done twice, or other than avseg predict's?

Every client sends one job after another, asks for its state until it has ended, and fetches the whole result. With
`--kill` the process of the worker is killed (kill -9) when a third of the jobs has ended, and the server itself when
two thirds have; it is started again in the same folder at once. A client whose connection breaks sends its request
again with the same Idempotency-Key. At the end the table of jobs must hold each request once, every job must be done,
and the files of every result must be, byte by byte, those that `avseg predict` makes of its video.
With `--batch N` the same is done by a server with `--batch 1` and by one with `--batch N` in turn, twice each, in the
order 1, N, N, 1; of the second labels may differ from those of `avseg predict` in one pixel of ten thousand.
Prints JSON: seconds from request to result (median, 95 %), jobs a second, kills, how often work began, and how many
jobs the batches were of; exits with 1 where anything is wrong.

    python benchmarks/serve_load.py --clients 32 --jobs 300 --kill
    python benchmarks/serve_load.py --clients 8 --jobs 40 --kill
    python benchmarks/serve_load.py --clients 8 --jobs 60 --batch 4 --fps 10
"""

from __future__ import annotations

import argparse
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
from PIL import Image
from served import Server

KINDS = 6
"""Different videos."""
SAVE = ("masks", "csv")
MOST_PIXELS = 1e-4
"""Share of pixels in which labels of batches of several jobs may differ."""
PATIENCE = 120.0
"""s in which a request is sent again where the server does not answer."""
Files = dict[str, bytes]


@dataclass(frozen=True)
class Load:
    """What the clients do."""

    clients: int
    jobs: int
    fps: float
    kill: bool


@dataclass
class Campaign:
    """What is sent, what came back, and what went wrong."""

    server: Server
    videos: list[Path]
    expected: list[Files]
    load: Load
    batch: int
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
        fault = fault_of(_of_archive(packed), self.expected[kind], exact=self.batch == 1)
        if fault:
            self.wrong.append(f"job {number} differs from avseg predict's result: {fault}")

    def _send(self, number: int, video: Path) -> httpx.Response:
        return self.server.send(video, token=f"job {number}", save=",".join(SAVE), fps=str(self.load.fps))

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
        self._wait(self.load.jobs // 3)
        worker = int(re.findall(r"process (\d+) works", self.server.log.read_text())[-1])
        os.kill(worker, signal.SIGKILL)
        self.killed.append(f"worker after {len(self.took)} jobs")
        self._wait(2 * self.load.jobs // 3)
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
        if sorted(row[1] for row in rows) != sorted(f"job {number}" for number in range(self.load.jobs)):
            self.wrong.append(f"the table holds {len(rows)} jobs for {self.load.jobs} requests")
        if {row[0] for row in rows} != {*self.ids.values()} or len({*self.ids.values()}) != len(self.ids):
            self.wrong.append("ids of the table are not those that were answered")
        again = sum(row[3] - 1 for row in rows)
        if again > len(self.killed) * self.batch:
            self.wrong.append(f"work began {again} times more than once a job, for {len(self.killed)} kills")
        return {"jobs_in_table": len(rows), "begun_again": again}


def make_videos(folder: Path, kinds: int) -> list[Path]:
    """Two seconds of small films of the synthetic world, in each of which another object sounds."""
    from avseg.demo.film import draw_film
    from avseg.io.video import write_video
    from avseg.synth.picture import iter_frames
    from avseg.synth.soundtrack import render_sound
    from avseg.synth.timbres import SAMPLE_RATE

    folder.mkdir(parents=True)
    paths = []
    for kind in range(kinds):
        scene, soundtrack = draw_film(kind)
        pictures = (frame for frame, _ in iter_frames(scene, [number / 10 for number in range(20)], (96, 160)))
        sound = render_sound(scene, soundtrack)[:, : 2 * SAMPLE_RATE]
        paths.append(write_video(folder / f"film {kind}.mp4", pictures, 10, sound, SAMPLE_RATE))
    return paths


def own_results(videos: list[Path], out: Path, fps: float) -> list[Files]:
    """What `avseg predict` makes of each video.

    Raises:
        ValueError: labels that hold no object, so that nothing would be compared.
    """
    from avseg.inference.folder import predict_paths

    predict_paths(list(map(str, videos)), "demo", out, save=SAVE, fps=fps, device="cpu")
    found = [_of_folder(out / video.stem) for video in videos]
    if not any(_labels(content).any() for files in found for name, content in files.items() if name.endswith(".png")):
        raise ValueError("avseg predict finds no object in any of the films")
    return found


def fault_of(found: Files, expected: Files, *, exact: bool) -> str:
    """How files differ from those that are expected more than they may; empty: they do not.

    Args:
        found, expected: name -> content.
        exact: whether every byte must be equal, or labels in all but `MOST_PIXELS`.
    """
    if found.keys() != expected.keys():
        return f"other files, {', '.join(sorted(found.keys() ^ expected.keys()))}"
    if exact:
        return ", ".join(sorted(name for name, content in expected.items() if found[name] != content))
    names = [name for name in expected if name.endswith(".png")]
    pairs = [(_labels(found[name]), _labels(expected[name])) for name in names]
    if any(one.shape != other.shape for one, other in pairs):
        return "masks of another size"
    share = sum(int((one != other).sum()) for one, other in pairs) / sum(one.size for one, _ in pairs)
    return f"{share:.2%} of the pixels of masks" if share > MOST_PIXELS else ""


def _labels(content: bytes) -> Any:
    return np.asarray(Image.open(io.BytesIO(content)))


def _of_folder(folder: Path) -> Files:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def _of_archive(content: bytes) -> Files:
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        return {name.partition("/")[2]: packed.read(name) for name in packed.namelist()}


def batches_of(server: Server) -> dict[str, int]:
    """How many batches were of how many jobs, since the server was started last; by the upper end of each bin."""
    told = server.call("GET", "/metrics").text
    bins = re.findall(r'avseg_batch_jobs_bucket{le="(.+?)"} (.+)', told)
    counts = np.diff([0, *(int(float(count)) for _, count in bins)])
    return {end: int(count) for (end, _), count in zip(bins, counts, strict=True) if count}


def run(load: Load, batch: int, videos: list[Path], expected: list[Files], state: Path) -> dict[str, Any]:
    """One campaign in a new folder."""
    server = Server(state, "--queue", str(load.jobs), "--batch", str(batch), key="a-key-of-the-load-on-loopback")
    campaign = Campaign(server, videos, expected, load, batch)
    server.start()
    begun = time.monotonic()
    killer = threading.Thread(target=campaign.kill, daemon=True)
    if load.kill:
        killer.start()
    with ThreadPoolExecutor(load.clients) as pool:
        list(pool.map(campaign.one, range(load.jobs)))
    seconds = time.monotonic() - begun
    if load.kill:
        killer.join(PATIENCE)
    batches = batches_of(server)
    if batch > 1 and not {*batches} - {"1.0"}:
        campaign.wrong.append("no batch was of several jobs")
    status = server.end()
    if status or "Traceback" in server.log.read_text():
        campaign.wrong.append(f"the server ended with {status}, its log: {server.log.read_text()[-1000:]}")
    found = campaign.check(state / "jobs.sqlite")
    took = sorted(campaign.took.values())
    return {
        "clients": load.clients,
        "jobs": load.jobs,
        "batch": batch,
        "jobs_of_batches": batches,
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
    parser.add_argument("--jobs", type=int, default=300, help="of one campaign in all")
    parser.add_argument("--fps", type=float, default=1.0, help="masks a second")
    parser.add_argument("--batch", type=int, default=1, help="compare servers with this --batch and with 1")
    parser.add_argument("--kill", action="store_true", help="kill the worker and the server once each")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    options = parser.parse_args()
    load = Load(options.clients, options.jobs, options.fps, options.kill)
    sides = [1] if options.batch == 1 else [1, options.batch, options.batch, 1]
    with tempfile.TemporaryDirectory(prefix="avseg-load-") as work:
        videos = make_videos(Path(work) / "films", min(KINDS, load.jobs))
        expected = own_results(videos, Path(work) / "own", load.fps)
        states = [Path(work) / f"state {number}" for number in range(len(sides))]
        found = [run(load, side, videos, expected, state) for side, state in zip(sides, states, strict=True)]
    text = json.dumps(found[0] if len(found) == 1 else found, indent=2)
    print(text)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")
    return 1 if any(one["wrong"] for one in found) else 0


if __name__ == "__main__":
    sys.exit(main())
