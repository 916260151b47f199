"""Commands that are stopped at random moments and started again: do they end with the same bytes?

Every trial begins a command in an empty folder, stops it at up to three random moments, starts it again until it ends,
and compares all files with those of a run that nobody stopped. Some trials are processes of their own from the start,
whose workers outlive them; the others are forked from a warm process and killed with all that they have started.
Compared byte by byte, but for the seconds that a training and an evaluation have taken. By default they are killed
(kill -9); with `--signal term` (SIGTERM) each stop must also end with status 130 and leave nothing half-written.
Prints a table and the seed of every trial that went wrong, and JSON.

    python benchmarks/kill.py --kills 100 --seed 1
    python benchmarks/kill.py --kills 40 --fresh 40 --signal term
    python benchmarks/kill.py --trial 1000017
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

import forked
from hostile_cases import make_sources

SPACING = 1_000_000
"""Seeds of trials begin at the campaign's seed times this."""
TIMES = {"summary.json": ("seconds_since_resume",), "result.json": ("seconds",)}
"""Entries of files that are times and may differ."""
SIZE = ("--size", "64", "64")
WRITTEN = ("s4", "ms3", "avs_1s7m", "avss", "single", "vpo_ss", "vpo_ms", "vpo_msmi")
TRAIN = (
    *("train", "demo", "--out", "out", "--data.clips", "16", "--data.held-out-clips", "2", "--val.held-out-clips", "2"),
    *("--train.batch-size", "4", "--train.epochs", "2", "--train.save-every", "1", "--data.size", "64"),
    *("--val.size", "64", "--val.frames", "2", "--train.log-every", "1"),
)
VPO = (
    *("--instances", "in/vpo_ss/world/vpo_ss/instances.json", "--images", "in/vpo_ss/world/vpo_ss"),
    *("--sounds", "in/sounds.csv", "--audios", "in/audios"),
)
SEEN = ("--data.name", "s4", "--data.root", "in/s4", "--device", "cpu")
COMMANDS: dict[str, tuple[str, ...]] = {
    "train": (*TRAIN, "--train.workers", "0"),
    "predict": ("predict", "in/videos", "--model", "demo", "--out", "out", "--device", "cpu"),
    "predict npz": ("predict", "in/videos", "--model", "demo", "--out", "out", "--masks", "npz", "--no-overlay"),
    "evaluate": ("evaluate", "demo", *SEEN, "--workers", "0", "--overlays", "1", "--out", "out"),
    "codes": ("codes", "in/codes.safetensors", *SEEN, "--split", "train", "--out", "out/codes.html"),
    "prepare s4": ("data", "prepare", "s4", "--raw", "in/s4", "--root", "out"),
    "prepare ms3": ("data", "prepare", "ms3", "--raw", "in/raw_ms3", "--root", "out"),
    "prepare avss": ("data", "prepare", "avss", "--raw", "in/raw_avss", "--root", "out"),
    "prepare aviseg": ("data", "prepare", "aviseg", "--raw", "in/movies", "--root", "out"),
    "check s4": ("data", "check", "s4", "--root", "in/s4"),
    "check aviseg": ("data", "check", "aviseg", "--root", "in/aviseg"),
    "check vpo": ("data", "check", "vpo_ss", "--root", "in/vpo_ss"),
    **{f"synth {name}": ("data", "synth", name, "--root", "out", "--clips", "6", *SIZE) for name in WRITTEN},
    "synth aviseg": ("data", "synth", "aviseg", "--root", "out", "--clips", "3", *SIZE, "--seconds", "5", "8"),
    "build-vpo": ("data", "build-vpo", "ms", *VPO, "--out", "out"),
}
SIGNALS = {"kill": signal.SIGKILL, "term": signal.SIGTERM}
STOPPED = 130
"""Exit status after SIGTERM (docs/reference/command-line.md)."""


@dataclass(frozen=True)
class Trial:
    """One command, killed and started again."""

    seed: int
    command: str
    fresh: bool
    kills: int
    moments: tuple[float, ...]
    """s from the beginning of each start to its kill."""
    faults: tuple[str, ...]
    """Files that differ, are missing or are too many, and how starts ended that should have ended otherwise."""


@dataclass
class Bench:
    """The inputs of all commands, and what each gives when nobody stops it."""

    work: Path
    signal: signal.Signals = signal.SIGKILL
    wholes: dict[str, dict[str, str]] = field(default_factory=dict)
    """Digests of the files of a whole run, by command."""
    seconds: dict[tuple[str, bool], float] = field(default_factory=dict)
    """How long a run takes by the clock, by command and whether the process is fresh."""

    def folder(self, name: str) -> Path:
        """A new folder with the inputs as `in`."""
        folder = self.work / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "in").symlink_to(self.work / "sources")
        return folder

    def whole(self, command: str, fresh: bool) -> dict[str, str]:
        """Digests of a whole run; measures its time as well.

        Raises:
            RuntimeError: the run fails, or two whole runs differ.
        """
        if (command, fresh) not in self.seconds:
            folder, began = self.folder("whole"), time.monotonic()
            ended = forked.run(COMMANDS[command], folder, forked.Limits(cpu=600), fresh)
            self.seconds[command, fresh] = time.monotonic() - began
            if ended.code:
                raise RuntimeError(f"{command} ended with {ended.code}: {ended.err[-2000:]}")
            found = digests(folder / "out")
            if differences(self.wholes.setdefault(command, found), found):
                raise RuntimeError(f"two whole runs of {command} differ: {differences(self.wholes[command], found)}")
        return self.wholes[command]


def make_bench(work: Path, number: signal.Signals = signal.SIGKILL) -> Bench:
    """Make the inputs."""
    root = make_sources(work / "sources").root
    shutil.copytree(root / "aviseg", root / "movies", copy_function=os.link)
    for split in ("train", "val"):
        (root / "movies" / f"{split}.json").unlink()
        shutil.rmtree(root / "movies" / split)
    shutil.rmtree(root / "movies" / "test")
    (index,) = (root / "vpo_ss" / "world" / "sounds").glob("*.csv")
    (root / "sounds.csv").write_bytes(index.read_bytes())
    (root / "audios").symlink_to(index.parent / "audios")
    for name in ("ms3", "avss"):
        _succeed(("data", "synth", name, "--root", f"raw_{name}", "--clips", "3", *SIZE), root)
    work_of_model = forked.forked(lambda: _write_model(root / "codes.safetensors"), root)
    assert forked.wait(work_of_model, root, forked.Limits()).code == 0
    return Bench(work, number)


def _succeed(words: tuple[str, ...], folder: Path) -> None:
    ended = forked.run(words, folder)
    if ended.code:
        raise RuntimeError(f"{' '.join(words)} ended with {ended.code}: {ended.err[-2000:]}")


def _write_model(path: Path) -> int:
    """A model that has codes, of random weights."""
    from avseg.models import build_model, save_model
    from avseg.recipes import get_recipe
    from avseg.types import Task

    config = replace(get_recipe("qdformer_small").model, sounding_weight=0.0)  # S4 says nothing of what else sounds
    save_model(build_model(config, Task("binary")), path)
    return 0


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file by its name below `folder`; times are left out."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            found[path.relative_to(folder).as_posix()] = hashlib.sha256(_timeless(path)).hexdigest()
        elif not any(path.iterdir()):
            found[f"{path.relative_to(folder).as_posix()}/"] = ""
    return found


def _timeless(path: Path) -> bytes:
    """The content of a file without the entries that are times."""
    if path.name not in TIMES:
        return path.read_bytes()
    entries = json.loads(path.read_bytes())
    return json.dumps({name: value for name, value in entries.items() if name not in TIMES[path.name]}).encode()


def differences(wanted: dict[str, str], found: dict[str, str]) -> tuple[str, ...]:
    """What is missing, too many, or differs."""
    missing = [f"missing: {name}" for name in wanted if name not in found]
    more = [f"too many: {name}" for name in found if name not in wanted]
    return (*missing, *more, *(f"differs: {name}" for name in wanted if found.get(name, wanted[name]) != wanted[name]))


def try_kills(bench: Bench, seed: int, fresh: bool) -> Trial:
    """One trial; a start that ends before its moment is no kill."""
    rng = Random(seed)
    command = list(COMMANDS)[seed % len(COMMANDS)]
    wanted = bench.whole(command, fresh)
    folder, moments, groups = bench.folder("killed"), [], []
    faults: tuple[str, ...] = ()
    for _ in range(rng.choice((1, 1, 2, 3))):
        moment = rng.uniform(0, bench.seconds[command, fresh])
        group, status = _stopped(bench, command, folder, moment, fresh)
        groups.append(group)
        if status is None:
            break
        moments.append(round(moment, 3))
        if bench.signal != signal.SIGKILL:
            _wait_for_workers(group)
            faults += left_behind(status, folder)
    ended = forked.run(COMMANDS[command], folder, forked.Limits(cpu=600), fresh)
    for group in groups:
        _wait_for_workers(group)
    if ended.code and not (command == "train" and "holds a finished run" in ended.err):
        faults += (f"the last start ended with {ended.code}: {ended.err[-500:]}",)
    faults += differences(wanted, digests(folder / "out"))
    return Trial(seed, command, fresh, len(moments), tuple(moments), faults)


def left_behind(status: int, folder: Path) -> tuple[str, ...]:
    """What is wrong after a SIGTERM; one that comes before the command listens ends Python at once."""
    told = folder.with_name(f"{folder.name}.err").read_text(encoding="utf-8", errors="replace")
    pieces = tuple(f"left: {path.name}" for path in folder.rglob(".*.part*"))
    right = status == -signal.SIGTERM or (status == STOPPED and "avseg: stopped" in told)
    if right and "Traceback" not in told:
        return pieces
    return (f"a stopped start ended with {status}: {told[-1500:]}", *pieces)


def _stopped(bench: Bench, command: str, folder: Path, moment: float, fresh: bool) -> tuple[int, int | None]:
    """Begin the command and stop it `moment` seconds later; its number, and how it ended, None if before that."""
    pid = forked.start(COMMANDS[command], folder, None, fresh)
    end = time.monotonic() + moment
    while time.monotonic() < end:
        if os.wait4(pid, os.WNOHANG)[0]:
            return pid, None
        time.sleep(0.002)
    os.kill(pid, bench.signal)
    if bench.signal == signal.SIGKILL and not fresh:
        forked.kill(pid)
    _, waited, _ = os.wait4(pid, 0)
    return pid, os.waitstatus_to_exitcode(waited) or None


def _wait_for_workers(group: int, seconds: float = 60.0) -> None:
    """Wait until what a killed process had started has ended by itself."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)


def campaign(work: Path, kills: int, seed: int, fresh: int, number: signal.Signals) -> Iterator[Trial]:
    """Trials until there were `kills` kills, `fresh` of them (or somewhat more) of fresh processes."""
    forked.warm()
    bench, trials, done = make_bench(work, number), 0, Counter[bool]()
    while (late := done[True] < fresh) or done.total() < kills:
        trial = try_kills(bench, seed * SPACING + trials, late)
        done[late] += trial.kills
        trials += 1
        yield trial


def report(trials: list[Trial], seconds: float) -> dict[str, Any]:
    """The figures of a campaign, ready for JSON."""
    wrong = [trial for trial in trials if trial.faults]
    return {
        "kills": sum(trial.kills for trial in trials),
        "of_fresh_processes": sum(trial.kills for trial in trials if trial.fresh),
        "trials": len(trials),
        "failures": len(wrong),
        "seconds": round(seconds, 1),
        "wrong": [asdict(trial) for trial in wrong],
    }


def table(trials: list[Trial]) -> str:
    """Kills and trials that went wrong, by command."""
    lines = [f"{'command':16}{'trials':>8}{'kills':>8}{'wrong':>8}"]
    for command in COMMANDS:
        mine = [trial for trial in trials if trial.command == command]
        wrong = sum(bool(trial.faults) for trial in mine)
        lines.append(f"{command:16}{len(mine):>8}{sum(trial.kills for trial in mine):>8}{wrong:>8}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fresh", type=int, help="kills of fresh processes; by default a fifth")
    parser.add_argument("--signal", choices=SIGNALS, default="kill")
    parser.add_argument("--trial", type=int, help="seed of one trial, which is run and shown")
    parser.add_argument("--json", type=Path, help="file for the figures and all trials")
    options = parser.parse_args()
    began, trials, number = time.monotonic(), [], SIGNALS[options.signal]
    with tempfile.TemporaryDirectory() as name, contextlib.suppress(KeyboardInterrupt):
        if options.trial is not None:
            forked.warm()
            print(
                json.dumps(
                    asdict(try_kills(make_bench(Path(name), number), options.trial, number != signal.SIGKILL)), indent=1
                )
            )
            return
        fresh = options.kills // 5 if options.fresh is None else options.fresh
        for trial in campaign(Path(name), options.kills, options.seed, fresh, number):
            trials.append(trial)
            if len(trials) % 10 == 0:
                done = sum(trial.kills for trial in trials)
                print(f"{done} of {options.kills}, {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
            if trial.faults:
                print(json.dumps(asdict(trial)), flush=True)
    print(table(trials))
    found = report(trials, time.monotonic() - began)
    print(json.dumps({key: value for key, value in found.items() if key != "wrong"}, indent=1))
    if options.json:
        options.json.write_text(json.dumps({**found, "all": [asdict(trial) for trial in trials]}, indent=1))
    raise SystemExit(1 if found["failures"] else 0)


if __name__ == "__main__":
    main()
