"""What was to become faster, beside the tree of 4cf0a38: old, new, ratio, target, floor and verdict of each row.

    python benchmarks/targets.py --out targets.json                    all rows, about half an hour
    python benchmarks/targets.py --rows tpavi_fast film_demo           some
    python benchmarks/targets.py --quick --threads 1                   tiny models and short films, to try the script
    python benchmarks/targets_table.py targets.json --write            the table of docs/results/speed.md

Both sides are processes of their own that stay alive for a row and run once each when told to, in turn, the older one
first in every other round; one round before does not count, and the fastest run does. The older tree is a worktree
that is made for the time of the run unless `--old` names one. Rows in half precision say so where the CPU has no units
for it.

The floor is what a row cannot do without: the network's operations at the speed of a product of matrices in the row's
precision; of films the longest of decoding, encoding and network, or all of them on all cores; of memory that of a
process that has the model and no video; of the first mask that of importing torch, numpy and av. With `--profile` a
row that misses its target says where its time goes. Nothing else may run on the machine.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from harness import bf16_units, options_of, parser, tell

OLD = "4cf0a38"
HERE = Path(__file__).resolve().parent
SIDES = ("old", "new")
PATIENCE = 150.0
"""s of a row after which two rounds are enough."""


@dataclass(frozen=True)
class Row:
    """One target."""

    name: str
    what: str
    target: float
    """Ratio of new to old, at most."""
    measure: str = "call"
    unit: str = "s"


ROWS = (
    Row("tpavi_fast", "TPAVI R50, forward of 5 x 224, `fast`", 0.18),
    Row("cavp_avss_fast", "CAVP R50 AVSS, forward of 4 x 224, `fast`", 0.25),
    Row("cavp_vpo_fast", "CAVP R50 VPO, forward of 2 x 512, `fast`", 0.35),
    Row("avism_fast", "AVISM R50, whole prediction of 20 frames of 360 x 640, `fast`", 0.30),
    Row("qdformer_fast", "QDFormer R50, forward of 5 x 224, `fast`", 0.35),
    Row("avism_frames", "AVISM R50, frame stage of 3 x 384 x 640, PyTorch fp32", 0.60),
    Row("cavp_vpo", "CAVP R50 VPO, forward of 2 x 512, PyTorch fp32", 0.80),
    Row("cavp_avss_step", "CAVP R50 AVSS, training step of 4 x 224, fp32", 0.80),
    Row("cavp_vpo_step", "CAVP R50 VPO, training step of 2 x 512, fp32", 0.80),
    Row("tpavi_step_bf16", "TPAVI R50, training step of 5 x 224, `--train.precision bf16`", 0.55),
    Row("film_demo", "60 s film, demo model, masks and overlay", 0.40),
    Row("film_tpavi", "60 s film, TPAVI R50, 5 masks a second, masks and overlay, `fast`", 0.30),
    Row("avism_memory", "AVISM R50, 120 frames of 720p, peak memory", 0.60, "peak", "MiB"),
    Row("demo_start", "demo model, from command to first mask", 0.60, "start"),
)


@dataclass
class Absent(Exception):  # noqa: N818  it is no error
    """A row that cannot be measured here, and why."""

    reason: str


@dataclass
class Bench:
    """What rows share."""

    options: Namespace
    folder: Path
    trees: dict[str, Path]
    log: Path
    films: dict[str, Path] = field(default_factory=dict)

    def environment(self, side: str, row: str = "") -> dict[str, str]:
        """Of a process of a side: its tree, its threads, a cache of compiled graphs for this run alone."""
        kept = {name: value for name, value in os.environ.items() if name != "AVSEG_ENGINE"}
        if side == "new" and row.startswith("film"):
            # As the command itself sets it before it imports PyTorch, which the process of a side has done by then.
            kept.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        threads = str(self.options.threads)
        return {
            **kept,
            "PYTHONPATH": str(self.trees[side]),
            "OMP_NUM_THREADS": threads,
            "AVSEG_CACHE": str(self.folder / "cache"),
            "HF_HUB_OFFLINE": "1",
        }

    def place(self, side: str) -> Path:
        """A folder of a side."""
        place = self.folder / side
        place.mkdir(exist_ok=True)
        return place

    def film(self, seconds: int, size: tuple[int, int], fps: int) -> Path:
        """A film that both sides get, of `predict.py`."""
        from predict import SEGMENT, repeated, segment

        height, width = size
        name = f"{seconds}-{height}-{fps}"
        if name not in self.films:
            part = segment(self.folder / f"{name}-part.mp4", width, height, fps)
            whole = self.folder / f"{name}.mp4"
            self.films[name] = part if seconds <= SEGMENT else repeated(part, whole, seconds)
        return self.films[name]

    def asked(self, side: str, words: list[str]) -> Any:
        """What a side's process answers that ends by itself."""
        command = [sys.executable, str(HERE / "targets_side.py"), *words]
        with self.log.open("a") as log:
            done = subprocess.run(
                command, env=self.environment(side), stdout=subprocess.PIPE, stderr=log, text=True, check=False
            )
        return _answer(done.stdout)


def _answer(line: str) -> Any:
    """
    Raises:
        Absent: there is none.
    """
    found = json.loads(line) if line.strip() else {"failed": "the process ended"}
    if "answer" not in found:
        raise Absent(found.get("absent") or f"failed: {found['failed']}")
    return found["answer"]


class Process:
    """A side that stays alive for a row."""

    def __init__(self, bench: Bench, side: str, row: str, given: dict[str, Any]) -> None:
        command = [sys.executable, str(HERE / "targets_side.py"), row, json.dumps(given)]
        self._log = bench.log.open("a")
        self._process = subprocess.Popen(
            command,
            env=bench.environment(side, row),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        self._read()

    def ask(self, word: str) -> Any:
        """The answer to a word; see `targets_side.py`.

        Raises:
            Absent: there is none.
        """
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> Any:
        assert self._process.stdout is not None
        try:
            return _answer(self._process.stdout.readline())
        except Absent:
            self.close()
            raise

    def close(self) -> None:
        """End it, so that its memory is free."""
        self._process.kill()
        self._process.wait()
        self._log.close()


def rounds(repeats: int, once: Callable[[str], float]) -> dict[str, list[float]]:
    """What each side took, in turn, the first round left out."""
    took: dict[str, list[float]] = {side: [] for side in SIDES}
    begin = time.perf_counter()
    for number in range(repeats + 1):
        for side in SIDES if number % 2 == 0 else reversed(SIDES):
            value = once(side)
            if number:
                took[side].append(value)
        if number >= 2 and time.perf_counter() - begin > PATIENCE:
            break
    return took


def of_calls(bench: Bench, row: Row) -> dict[str, Any]:
    """Both sides in turn, each in a process that lives as long as the row."""
    quick = bench.options.quick
    given: dict[str, Any] = {"quick": quick}
    if row.name.startswith("film"):
        given["video"] = str(bench.film(*((2, (90, 160), 5) if quick else (60, (360, 640), 25))))
    with ExitStack() as stack:
        sides: dict[str, Process] = {}
        for side in reversed(SIDES):  # the new one knows what this machine lacks
            own = {**given, "folder": str(bench.place(side))} if row.name.startswith("film") else given
            sides[side] = Process(bench, side, row.name, own)
            stack.callback(sides[side].close)
        took = rounds(bench.options.repeats, lambda side: float(sides[side].ask("run")["wall"]))
        sides["old"].close()
        found: dict[str, Any] = {"runs": took, **{side: min(values) for side, values in took.items()}}
        found["floor"] = sides["new"].ask("floor")
        if bench.options.profile and found["new"] > row.target * found["old"]:
            try:
                found["profile"] = sides["new"].ask("profile")
            except Absent as absent:
                found["profile"] = absent.reason
    return found


def of_memory(bench: Bench, row: Row) -> dict[str, Any]:
    """Peak of a fresh process of each side, and of one that has the model alone."""
    quick = bench.options.quick
    video = still_film(bench.folder / "memory.mp4", 4 if quick else 120, (90, 160) if quick else (720, 1280))
    found: dict[str, Any] = {}
    for side in SIDES:
        place = bench.place(side)
        model = bench.asked(side, ["--avism", json.dumps({"quick": quick, "folder": str(place)})])
        words = ["predict", str(video), "--model", model, "--out", str(place / "memory"), "--candidates", "10"]
        if side == "new":
            words += ["--engine", "torch", "--precision", "fp32"]
            if "--memory" in _help(bench):
                words += ["--memory", "2GiB"]
            else:
                found["note"] = "this tree has no --memory"
        found[side] = bench.asked(side, ["--peak", *words])
    alone = f"from avseg.models import load_model; model = load_model({model!r})"
    code = f"import sys; sys.path.insert(0, {str(HERE)!r}); {alone}; from harness import peak_mib; print(peak_mib())"
    said = subprocess.run(
        [sys.executable, "-c", code], env=bench.environment("new"), stdout=subprocess.PIPE, text=True, check=True
    )
    found["floor"] = {"bound": "the model without a video", "MiB": float(said.stdout)}
    return found


def _help(bench: Bench) -> str:
    words = [sys.executable, "-m", "avseg", "predict", "--help"]
    return subprocess.run(words, env=bench.environment("new"), stdout=subprocess.PIPE, text=True, check=True).stdout


def still_film(path: Path, seconds: int, size: tuple[int, int]) -> Path:
    """One picture a second, of `long_video.py`."""
    from long_video import film

    return film(path, seconds, size)


def of_start(bench: Bench, row: Row) -> dict[str, Any]:
    """From the start of a process of its own to the file of the first mask; the process is ended then."""
    video = bench.film(10, (90, 160) if bench.options.quick else (360, 640), 25)

    def once(side: str) -> float:
        out = bench.place(side) / "start"
        shutil.rmtree(out, ignore_errors=True)
        command = [sys.executable, "-m", "avseg", "predict", str(video), "--model", "demo", "--out", str(out)]
        with bench.log.open("a") as log:
            begin = time.perf_counter()
            process = subprocess.Popen(
                command, env=bench.environment(side), stdout=log, stderr=log, cwd=bench.place(side)
            )
            try:
                while not any(path.stat().st_size for path in out.rglob("000000.png")):
                    if process.poll() is not None:
                        raise Absent(f"failed: avseg predict of the {side} tree wrote no mask")
                    time.sleep(0.005)
                return time.perf_counter() - begin
            finally:
                process.kill()
                process.wait()

    took = rounds(1 if bench.options.quick else max(bench.options.repeats, 5), once)
    floor = []
    for _ in range(1 if bench.options.quick else 3):
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import torch, numpy, av"], env=bench.environment("new"), check=True)
        floor.append(time.perf_counter() - begin)
    return {
        "runs": took,
        **{side: min(values) for side, values in took.items()},
        "floor": {"bound": "importing torch, numpy and av", "seconds": min(floor)},
    }


MEASURES = {"call": of_calls, "peak": of_memory, "start": of_start}


def judged(bench: Bench, row: Row) -> dict[str, Any]:
    """A row with its verdict."""
    told: dict[str, Any] = {"what": row.what, "target": row.target, "unit": row.unit}
    try:
        told |= MEASURES[row.measure](bench, row)
    except Absent as absent:
        return {**told, "verdict": "absent", "why": absent.reason}
    told["ratio"] = told["new"] / told["old"]
    return {**told, "verdict": "met" if told["ratio"] <= row.target else "missed"}


@contextmanager
def worktree(given: Path | None, folder: Path) -> Iterator[Path]:
    """The older tree."""
    if given is not None:
        yield given.resolve()
        return
    place = folder / "tree"
    git = ["git", "-C", str(HERE.parent), "worktree"]
    subprocess.run([*git, "add", "--detach", str(place), OLD], check=True, stdout=subprocess.DEVNULL)
    try:
        yield place
    finally:
        subprocess.run([*git, "remove", "--force", str(place)], check=True)


def line(told: dict[str, Any]) -> str:
    """A row of the table on the terminal."""
    if told["verdict"] == "absent":
        return f"{told['what']:<68} {'-':>9} {'-':>9} {'-':>6} {told['target']:>6.2f} {'-':>9}  absent: {told['why']}"
    floor = told["floor"].get("seconds", told["floor"].get("MiB"))
    digits = 0 if told["unit"] == "MiB" else 3
    old, new, least = (f"{value:>9.{digits}f}" for value in (told["old"], told["new"], floor))
    note = f" ({told['note']})" if "note" in told else ""
    return (
        f"{told['what']:<68} {old} {new} {told['ratio']:>6.2f} {told['target']:>6.2f} {least}  {told['verdict']}{note}"
    )


def main() -> None:
    shared = parser(__doc__, threads=2)
    shared.add_argument("--rows", nargs="+", choices=[row.name for row in ROWS], default=[row.name for row in ROWS])
    shared.add_argument("--old", type=Path, metavar="PATH", help=f"a worktree of {OLD}; made by default")
    shared.add_argument("--repeats", type=int, default=5, help="rounds that count")
    shared.add_argument("--quick", action="store_true", help="tiny models, short films, one round: to try the script")
    shared.add_argument("--profile", action="store_true", help="of a row that misses: where its time goes")
    options = options_of(shared)
    options.repeats = 1 if options.quick else options.repeats
    from avseg.jobs.speeds import machine

    units = ", ".join(bf16_units()) or "no units for bf16"
    told: dict[str, Any] = {
        "benchmark": "targets",
        "machine": f"{machine()} ({units}), {options.threads} threads, Python {platform.python_version()}",
        "packages": {name: _version(name) for name in ("torch", "openvino", "timm", "av")},
        "old": OLD,
        "quick": options.quick,
        "date": time.strftime("%Y-%m-%d"),
        "rows": {},
    }
    with tempfile.TemporaryDirectory(prefix="avseg-targets-") as name, worktree(options.old, Path(name)) as old:
        log = options.out.with_suffix(".log") if options.out else Path(name) / "log"
        bench = Bench(options, Path(name), {"old": old, "new": HERE.parent}, log)
        log.write_text("")
        print(f"{'':<68} {'old':>9} {'new':>9} {'ratio':>6} {'target':>6} {'floor':>9}", file=sys.stderr)
        for row in ROWS:
            if row.name in options.rows:
                told["rows"][row.name] = judged(bench, row)
                print(line(told["rows"][row.name]), file=sys.stderr, flush=True)
                if options.out:
                    options.out.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    tell(told, options.out)


def _version(package: str) -> str:
    try:
        return version(package)
    except ImportError:
        return "not installed"


if __name__ == "__main__":
    main()
