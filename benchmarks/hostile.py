"""Spoilt inputs through the commands of avseg: does each end with a right result or with one clear sentence?

Every case spoils a small valid file (or a command line) by its seed and runs one command on it, in a process of its own
under limits of time and memory. Right outcomes are `right result` (exit status 0) and `refused` (1, or 2 for arguments,
and one sentence). Wrong ones are `traceback`, `no sentence`, `status`, `hang`, `memory`, `left behind` (a half-written
file) and `broken result` (a written file that does not open). `outside crash` is a fault inside other software, such as
FFmpeg's; it is counted by itself, and inputs are never kept. Prints a table and the seeds of what went wrong, and JSON.

    python benchmarks/hostile.py --count 1000 --seed 1
    python benchmarks/hostile.py --case 1000017        one case again, with all it prints
"""

from __future__ import annotations

import argparse
import importlib
import json
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import forked
from hostile_cases import KINDS, Case, Sources, make_case, make_sources

RIGHT = ("right result", "refused")
OUTSIDE = "outside crash"
CRASHES = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL)
SPACING = 1_000_000
"""Seeds of cases begin at the campaign's seed times this."""
LINES = 4
"""A sentence with a list in it has no more lines than this."""


@dataclass(frozen=True)
class Outcome:
    """What became of a case."""

    case: Case
    outcome: str
    detail: str
    fresh: bool
    cpu: float
    used: int

    @property
    def right(self) -> bool:
        return self.outcome in (*RIGHT, OUTSIDE)


def try_case(sources: Sources, folder: Path, seed: int, fresh: bool = False) -> tuple[Outcome, forked.Ended]:
    """Make the case of a seed in `folder`, run it and judge it; the folder is gone afterwards."""
    case = make_case(sources, folder, seed)
    ended = forked.run(case.words, folder, fresh=fresh)
    outcome, detail = judge(ended) or _judge_files(folder, ended)
    shutil.rmtree(folder)
    return Outcome(case, outcome, detail, fresh, round(ended.cpu, 2), ended.used), ended


def judge(ended: forked.Ended) -> tuple[str, str] | None:
    """What is wrong by the way the command ended; None where nothing is."""
    last = (ended.err.strip().splitlines() or [""])[-1]
    if ended.too_long:
        return "hang", f"{ended.cpu:.0f} s of processor time"
    if -ended.code in CRASHES:
        return OUTSIDE, signal.Signals(-ended.code).name
    if "Traceback (most recent call last)" in ended.err or "AVSEG_DEBUG" in ended.err:
        return "traceback", last
    if ended.code not in (0, 1, 2):
        return "status", f"{ended.code}: {last}"
    if ended.used > forked.Limits().used:
        return "memory", f"{ended.used >> 20} MB"
    if ended.code and not _is_sentence(ended):
        return "no sentence", (ended.err + ended.out)[-300:]
    return None


def _is_sentence(ended: forked.Ended) -> bool:
    """A line of `avseg: ...` that says something and ends what is printed, or a report; help for wrong arguments."""
    _, found, sentence = f"\n{ended.err}".rpartition("\navseg: ")
    if not found:
        return bool(ended.err.strip()) if ended.code == 2 else len(ended.out.split()) > 3
    return len(sentence.split()) > 3 and len(sentence.strip().splitlines()) <= LINES


def _judge_files(folder: Path, ended: forked.Ended) -> tuple[str, str]:
    left = [path.name for path in folder.rglob("*") if ".part" in path.name]
    if left:
        return "left behind", left[0]
    looked = forked.wait(forked.forked(lambda: _open_all(folder / "out"), folder), folder, forked.Limits())
    if looked.code:
        return "broken result", (looked.err.strip().splitlines() or [str(looked.code)])[-1]
    if ended.code == 0:
        return "right result", ""
    _, found, sentence = f"\n{ended.err}".rpartition("\navseg: ")
    return "refused", (sentence if found else ended.out + ended.err).strip()[-400:]


def _open_all(folder: Path) -> int:
    """Open every file that a command has written."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix in OPENERS:
            try:
                OPENERS[path.suffix](path)
            except Exception as error:
                raise ValueError(f"{path.relative_to(folder)} does not open: {error}") from error
    return 0


def _lazily(module: str, name: str) -> Callable[[Path], Any]:
    return lambda path: getattr(importlib.import_module(module), name)(path)


OPENERS: dict[str, Callable[[Path], Any]] = {
    ".json": lambda path: json.loads(path.read_text(encoding="utf-8")),
    ".jsonl": lambda path: [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()],
    ".csv": lambda path: path.read_text(encoding="utf-8"),
    ".png": _lazily("avseg.io.image", "open_image"),
    ".jpg": _lazily("avseg.io.image", "open_image"),
    ".wav": _lazily("avseg.io.audio", "read_wav"),
    ".pkl": _lazily("avseg.io.pickles", "read_tensor"),
    ".npy": _lazily("numpy", "load"),
    ".npz": lambda path: {name: array.size for name, array in importlib.import_module("numpy").load(path).items()},
    ".mp4": lambda path: [time for time, _ in importlib.import_module("avseg.io.video").iter_frames(path)],
    ".pt": _lazily("avseg.engine.training.checkpoint", "read_checkpoint"),
    ".safetensors": _lazily("avseg.models", "load_model"),
}
"""How what is written is opened."""


def campaign(work: Path, count: int, seed: int, fresh: int = 0) -> Iterator[Outcome]:
    """Outcomes of `count` cases; the last `fresh` of them run in processes of their own from the start."""
    forked.warm()
    sources = make_sources(work / "sources")
    for number in range(count):
        yield try_case(sources, work / "cases" / "case", seed * SPACING + number, number >= count - fresh)[0]


def table(outcomes: list[Outcome]) -> str:
    """Kinds by outcomes, as lines of text."""
    names = [*RIGHT, *sorted({one.outcome for one in outcomes} - set(RIGHT))]
    counts = Counter((one.case.kind, one.outcome) for one in outcomes)
    lines = [f"{'kind':12}" + "".join(f"{name:>16}" for name in names)]
    lines += [f"{kind:12}" + "".join(f"{counts[kind, name]:>16}" for name in names) for kind in KINDS]
    lines.append(f"{'all':12}" + "".join(f"{sum(counts[kind, name] for kind in KINDS):>16}" for name in names))
    return "\n".join(lines)


def report(outcomes: list[Outcome], seconds: float) -> dict[str, Any]:
    """The figures of a campaign, ready for JSON."""
    wrong = [one for one in outcomes if not one.right]
    return {
        "cases": len(outcomes),
        "fresh": sum(one.fresh for one in outcomes),
        "failures": len(wrong),
        "outside_crashes": sum(one.outcome == OUTSIDE for one in outcomes),
        "outcomes": dict(Counter(one.outcome for one in outcomes)),
        "most_cpu_s": max((one.cpu for one in outcomes), default=0),
        "most_memory_mb": max((one.used for one in outcomes), default=0) >> 20,
        "seconds": round(seconds, 1),
        "wrong": [asdict(one) for one in wrong],
    }


def _show(work: Path, seed: int) -> None:
    forked.warm()
    outcome, ended = try_case(make_sources(work / "sources"), work / "cases" / "case", seed)
    print(" ".join(map(repr, outcome.case.words)).encode(errors="replace").decode(), ended.out, ended.err, sep="\n")
    print(outcome.outcome, outcome.detail, f"{outcome.cpu} s", f"{outcome.used >> 20} MB", sep="; ")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fresh", type=int, help="cases in fresh processes; by default a tenth")
    parser.add_argument("--case", type=int, help="seed of one case, which is run and shown")
    parser.add_argument("--json", type=Path, help="file for the figures and all outcomes")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        if options.case is not None:
            _show(Path(name), options.case)
            return
        began, outcomes = time.monotonic(), []
        fresh = options.count // 10 if options.fresh is None else options.fresh
        for outcome in campaign(Path(name), options.count, options.seed, fresh):
            outcomes.append(outcome)
            if len(outcomes) % 50 == 0:
                print(f"{len(outcomes)} cases, {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
            if not outcome.right:
                print(f"{outcome.case.seed} {outcome.case.kind}: {outcome.outcome}: {outcome.detail}", flush=True)
    print(table(outcomes))
    found = report(outcomes, time.monotonic() - began)
    print(json.dumps({key: value for key, value in found.items() if key != "wrong"}, indent=1))
    if options.json:
        text = json.dumps({**found, "all": [asdict(one) for one in outcomes]}, indent=1)
        options.json.write_text(text.encode(errors="replace").decode())
    raise SystemExit(1 if found["failures"] else 0)


if __name__ == "__main__":
    main()
