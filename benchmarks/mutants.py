"""Do the tests notice? Changes one token of avseg at a time and runs the tests that go through the changed function.

The tree is taken from a commit and copied to a temporary folder; the working tree is never touched. Changes are drawn
by the seed, the same number from each room. Tests run in forks of a warm process, the quickest first, up to `--asked`
seconds of processor time a change, and stop at the first failure; a change that makes them run for more than three
times as long as without it counts as noticed. Tests of the changed room and the contracts are asked, with `--wide`
those of all rooms; tests marked slow are not. What is left may still be noticed by others. Prints a table and what is
left, and JSON.

    OMP_NUM_THREADS=1 nice -n 15 python benchmarks/mutants.py --count 200 --seed 1 --json 200.json
    ... --before 200.json          the same again: what noticed a change the last time is asked first
    ... --before 200.json --left --wide --asked 60      what was noticed is kept, the others asked more
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import forked
from mutants_changes import Mutant, changes
from mutants_tests import Known, Test, ends, start, wait_any, warm

ROOMS = ("metrics", "losses", "inference", "io", "data", "nn", "engine", "models")
CONTRACTS = {
    "metrics": ("contract/test_metrics.py",),
    "data": ("contract/test_datasets.py",),
    "models": ("contract/test_models.py",),
}
"""Tests that are asked besides those of the room."""
ALL = tuple(f"{folder}/test_*.py" for folder in (*ROOMS, "contract"))
"""Tests that are asked with `--wide`."""
ROOT = Path(__file__).parents[1]
SPARE = 30.0
"""s of processor time that collecting tests may take."""
FACTOR = 3.0
"""Tests that take so many times as long as without the change have noticed it."""
SLACK = 1.5
"""No test begins after so many times what the tests took without the change."""
WALL = 12.0
"""s by the clock for each s of processor time, as other programs may run beside."""


@dataclass(frozen=True)
class Tried:
    """What became of a change."""

    mutant: Mutant
    noticed: bool
    by: str
    """The test that failed, or why there is none."""
    tests: int
    """How many were asked."""
    cpu: float
    """s of processor time."""


def unpack(commit: str, folder: Path, tests: bool) -> None:
    """Write the tree of a commit into `folder`; with `tests`, those of the working tree in place of the commit's."""
    folder.mkdir(parents=True)
    archive = subprocess.Popen(["git", "archive", commit], cwd=ROOT, stdout=subprocess.PIPE)
    with tarfile.open(fileobj=archive.stdout, mode="r|") as tar:
        tar.extractall(folder, filter="data")
    if archive.wait():
        raise SystemExit(f"git archive {commit} failed; name a commit of this repository")
    if tests:
        subprocess.run(["cp", "-r", str(ROOT / "tests"), str(folder)], check=True)
    subprocess.run([sys.executable, "-m", "compileall", "-q", "avseg", "tests"], cwd=folder, check=False)


def drawn(tree: Path, rooms: Sequence[str], count: int, seed: int, only: str | None = None) -> list[Mutant]:
    """`count` changes, as many from each room, half of them of constants, at most one of a token.

    `only`: the path of the one file to change.
    """
    lists, sources = [], {}
    for room in rooms:
        first: dict[tuple[str, int, int], Mutant] = {}
        for path in sorted((tree / "avseg" / room).rglob("*.py")):
            name = path.relative_to(tree).as_posix()
            sources[name] = path.read_bytes()
            for mutant in changes(name, sources[name]) if only in (None, name) else []:
                place = (mutant.path, mutant.start, mutant.end)
                first[place] = min(mutant, first.get(place, mutant), key=lambda one: one.order(seed))
        ordered = sorted(first.values(), key=lambda one: one.order(seed))
        for constant in (False, True):
            fit = (one for one in ordered if (one.kind == "constant") is constant and one.parses(sources[one.path]))
            lists.append(list(itertools.islice(fit, count)))
    turns = itertools.chain.from_iterable(itertools.zip_longest(*lists))
    return [mutant for mutant in turns if mutant is not None][:count]


@contextlib.contextmanager
def ended_in_any_case(running: dict[int, tuple[float, float]]) -> Iterator[None]:
    """Processes by number; those that still run at the end of the block are ended."""
    try:
        yield
    finally:
        for pid in running:
            forked.kill(pid)


def note_missing(known: Known, names: Sequence[str], work: Path, workers: int, most: float) -> None:
    """Run test files that are not known once, each up to `most` s of processor time, noting what they call."""
    left, places = known.missing(names), [work / f"noted{i}" for i in range(workers)]
    running: dict[int, tuple[float, float]] = {}
    at: dict[int, tuple[str, Path]] = {}
    with ended_in_any_case(running):
        while left or running:
            while left and places:
                name, place = left.pop(0), places.pop()
                pid = start(known.tree, place, [name], 600, most, noting=True)
                running[pid], at[pid] = (time.monotonic(), 3600.0), (name, place)
            pid, code, cpu = wait_any(running)
            del running[pid]
            name, place = at.pop(pid)
            if code not in (0, 1, 5):  # all passed, some failed, none is there
                raise SystemExit(f"tests of {name} without a change ended with status {code}; run pytest {name}")
            known.note(name, place)
            places.append(place)
            _say(f"noted {name}: status {code}, {cpu:.1f} s, {len(left)} files left")


def asked(concerned: Sequence[Test], most: float, first: str) -> list[Test]:
    """Tests for a change: the one that noticed it before, then the quickest, up to `most` s."""
    concerned = sorted(concerned, key=lambda test: (test.name != first, test.cpu))
    sums = itertools.accumulate(test.cpu + 0.02 for test in concerned)
    return [test for test, used in zip(concerned, sums, strict=True) if used <= most] or concerned[:1]


def judged(mutant: Mutant, tests: Sequence[Test], code: int, cpu: float, work: Path) -> Tried:
    """What a run of tests in `work` says, which ended with the exit status `code`."""
    failed = [one["name"] for one in ends(work) if one["end"] == "failed"]
    if code == 0 or (code == 1 and not failed):  # all passed, or the time was over
        return Tried(mutant, False, "", len(tests), cpu)
    by = failed[0] if failed else "takes too long" if code == -signal.SIGXCPU else f"ends with status {code}"
    return Tried(mutant, True, by, len(tests), cpu)


def campaign(trees: Sequence[Path], plan: Sequence[tuple[Mutant, list[Test]]], work: Path) -> Iterator[Tried]:
    """Try the changes, each in one of the `trees`, which are as before afterwards."""
    left, free = list(plan), list(trees)
    running: dict[int, tuple[float, float]] = {}
    at: dict[int, tuple[Mutant, list[Test], Path, bytes]] = {}
    with ended_in_any_case(running):
        while left or running:
            while left and free:
                mutant, tests = left.pop(0)
                if not tests:
                    yield Tried(mutant, False, "no test goes near it", 0, 0.0)
                    continue
                tree = free.pop()
                file = tree / mutant.path
                source = file.read_bytes()
                file.write_bytes(mutant.applied(source))
                for compiled in file.parent.glob(f"__pycache__/{file.stem}.*"):
                    compiled.unlink()
                cpu = FACTOR * sum(test.cpu for test in tests) + SPARE
                pid = start(
                    tree, work / f"of-{tree.name}", [test.name for test in tests], cpu, SLACK * (cpu - SPARE) / FACTOR
                )
                running[pid], at[pid] = (time.monotonic(), WALL * cpu), (mutant, tests, tree, source)
            if running:
                pid, code, cpu = wait_any(running)
                del running[pid]
                mutant, tests, tree, source = at.pop(pid)
                (tree / mutant.path).write_bytes(source)
                free.append(tree)
                yield judged(mutant, tests, code, cpu, work / f"of-{tree.name}")


def table(tried: Sequence[Tried]) -> str:
    """Rooms by what was noticed, and what is left, as lines of text."""
    lines = [f"{'room':12}{'changes':>9}{'noticed':>9}{'share':>9}"]
    for room in [*ROOMS, "all"]:
        here = [one for one in tried if room in (one.mutant.room, "all")]
        if here:
            seen = sum(one.noticed for one in here)
            lines.append(f"{room:12}{len(here):>9}{seen:>9}{seen / len(here):>9.1%}")
    for one in tried:
        if not one.noticed:
            lines += [_place(one), f"  - {one.mutant.text}", f"  + {one.mutant.changed}"]
    return "\n".join(lines)


def _place(one: Tried) -> str:
    mutant = one.mutant
    change = f"{mutant.old or 'nothing'} -> {mutant.new or 'nothing'}"
    return f"{mutant.path}:{mutant.line} {mutant.function or 'body'}: {mutant.kind}, {change}; {one.tests} tests"


def report(tried: Sequence[Tried], commit: str, seed: int) -> dict[str, Any]:
    """The figures, ready for JSON."""
    counts = collections.Counter((one.mutant.room, one.noticed) for one in tried)
    kinds = collections.Counter((one.mutant.kind, one.noticed) for one in tried)
    return {
        "commit": commit,
        "seed": seed,
        "changes": len(tried),
        "noticed": sum(one.noticed for one in tried),
        "rooms": {room: [counts[room, True], counts[room, True] + counts[room, False]] for room in ROOMS},
        "kinds": {kind: [kinds[kind, True], kinds[kind, True] + kinds[kind, False]] for kind, _ in sorted(kinds)},
        "cpu_s": round(sum(one.cpu for one in tried), 1),
        "all": [{"key": one.mutant.key, **asdict(one)} for one in tried],
    }


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--commit", default="HEAD", help="whose avseg is changed")
    parser.add_argument("--working-tests", action="store_true", help="ask the tests of the working tree")
    parser.add_argument("--rooms", nargs="+", default=ROOMS, choices=ROOMS)
    parser.add_argument("--file", help="change only this file, as avseg/io/rle.py")
    parser.add_argument("--quick", action="store_true", help="note nothing anew: ask whole files by what they import")
    parser.add_argument("--wide", action="store_true", help="ask the tests of all rooms, not of the room alone")
    parser.add_argument("--asked", type=float, default=20.0, help="s of processor time of tests for a change")
    parser.add_argument(
        "--noted", type=float, default=60.0, help="s of processor time of a test file while it is noted"
    )
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--known", type=Path, help="JSON file for what tests call, kept for the next time")
    parser.add_argument("--before", type=Path, help="JSON file of an earlier run")
    parser.add_argument("--left", action="store_true", help="keep what was noticed --before, try the others")
    parser.add_argument("--json", type=Path, help="file for the figures and all changes")
    return parser.parse_args()


def _before(options: argparse.Namespace) -> dict[str, Tried]:
    """By key of the change, what an earlier run found."""
    read = json.loads(options.before.read_text(encoding="utf-8"))["all"] if options.before else []
    entries = [{name: value for name, value in one.items() if name != "key"} for one in read]
    found = [Tried(**{**one, "mutant": Mutant(**one["mutant"])}) for one in entries]
    return {one.mutant.key: one for one in found}


def _test_files(tree: Path, patterns: Sequence[str]) -> list[str]:
    files = [path for pattern in patterns for path in sorted((tree / "tests").glob(pattern))]
    return [path.relative_to(tree).as_posix() for path in files]


def _tried(options: argparse.Namespace, known: Known, trees: Sequence[Path], work: Path) -> Iterator[Tried]:
    before = _before(options)
    drew = drawn(trees[0], options.rooms, options.count, options.seed, options.file)
    kept = {one.key for one in drew if options.left and one.key in before and before[one.key].noticed}
    yield from (before[one.key] for one in drew if one.key in kept)
    for room in options.rooms:
        mutants = [one for one in drew if one.room == room and one.key not in kept]
        near = (f"{room}/test_*.py", *(() if options.quick else CONTRACTS.get(room, ())))
        names = _test_files(trees[0], ALL if options.wide else near)
        if mutants and not options.quick:
            note_missing(known, names, work, options.workers, options.noted)
        tests = known.tests(names)
        first = {key: one.by for key, one in before.items()}
        plan = []
        for one in mutants:
            concerned = [*known.concerned(tests, one.path, one.function), *known.unnoted(names, one.path)]
            plan.append((one, asked(concerned, options.asked, first.get(one.key, ""))))
        for one in campaign(trees, plan, work):
            _say(f"{'noticed by ' + one.by if one.noticed else 'LEFT'} {one.cpu:.1f} s {_place(one)}")
            yield one


def main() -> None:
    options = _options()
    commit = subprocess.run(["git", "rev-parse", options.commit], cwd=ROOT, capture_output=True, text=True, check=True)
    name, tried = commit.stdout.strip(), []
    warm()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped by a signal"))
    with tempfile.TemporaryDirectory(prefix="avseg-mutants-") as folder:
        work = Path(folder)
        trees = [work / f"tree{i}" for i in range(options.workers)]
        for tree in trees:
            unpack(name, tree, options.working_tests)
        known = Known(trees[0], options.known or work / "known.json")
        for one in _tried(options, known, trees, work):
            tried.append(one)
            if options.json:
                options.json.write_text(json.dumps(report(tried, name, options.seed), indent=1), encoding="utf-8")
    print(table(tried))
    found = report(tried, name, options.seed)
    print(json.dumps({key: value for key, value in found.items() if key != "all"}, indent=1))


if __name__ == "__main__":
    main()
