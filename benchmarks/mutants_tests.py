"""Which tests run through which functions of avseg, and tests run in forks of a process that has imported the rest.

The process that forks has imported torch and the like and nothing of avseg, so that a fork imports the package anew
from a tree of its own. Every test file is run once through and through, and each test is noted with its processor
time and the functions it calls, also in processes that it starts.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import importlib
import json
import os
import resource
import shutil
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import forked
import pytest
from mutants_calls import CURRENT, SEEN, note_calls

OUTSIDE = (
    "av",
    "PIL.Image",
    "accelerate",
    "huggingface_hub",
    "numpy",
    "pycocotools.mask",
    "rich.progress",
    "safetensors.torch",
    "scipy.optimize",
    "scipy.signal",
    "timm",
    "torch.utils.data",
    "torchvision.transforms.functional",
    "tyro",
)
"""What is imported before the first fork."""
GUESS = 5.0
"""s of processor time of a test file that is not known."""
ALL = "::*"
"""Stands behind the name of a file for all its tests."""
STARTED = """
import sys
sys.path.insert(0, {here!r})
import mutants_calls
mutants_calls.note_calls({tree!r}, {calls!r})
"""
"""sitecustomize.py of processes that a noted test starts."""


@dataclass(frozen=True)
class Test:
    """One test that passes, as it ran without a change."""

    name: str
    """As pytest calls it, from the root of the repository."""
    cpu: float
    """s of processor time."""
    calls: frozenset[tuple[str, str]]
    """(path, qualified name) of each function of avseg."""

    @property
    def paths(self) -> set[str]:
        return {path for path, _ in self.calls}


@dataclass(eq=False)
class _Plugin:
    """Notes how each test ended, and how long it took, in a file with one line of JSON a test."""

    path: Path
    most: float
    """s of processor time from the beginning of the first test after which no other begins."""
    _first: float | None = None
    _begun: float = 0.0
    _failed: set[str] = field(default_factory=set)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: Any) -> Any:
        self._begun = _processor()
        SEEN.clear()
        self._first = self._begun if self._first is None else self._first
        if self._begun - self._first > self.most:
            item.session.shouldfail = "the time is over"
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any, request: Any) -> Any:
        """What a fixture of several tests calls, every test of the file calls."""
        test = os.environ.get(CURRENT)
        if fixturedef.scope == "function" or test is None:
            return (yield)
        os.environ[CURRENT] = f"{test.partition('::')[0]}{ALL} (setup)"
        SEEN.clear()
        try:
            return (yield)
        finally:
            os.environ[CURRENT] = test
            SEEN.clear()

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed or report.skipped:
            self._failed.add(report.nodeid)
        if report.failed or report.when == "teardown":
            end = "failed" if report.failed else "skipped" if report.nodeid in self._failed else "passed"
            line = {"name": report.nodeid, "cpu": _processor() - self._begun, "end": end}
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"name": report.nodeid, "cpu": 0.0, "end": "failed"}) + "\n")


def _processor() -> float:
    """s of processor time of this process and of those that it has ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def warm() -> None:
    """Import what avseg imports, with one thread, and nothing of avseg.

    Raises:
        RuntimeError: avseg is imported already, or the process has several threads.
    """
    os.environ.update(HF_HUB_OFFLINE="1", WANDB_MODE="disabled", PYTHONDONTWRITEBYTECODE="1")
    sys.dont_write_bytecode = True
    for name in OUTSIDE:
        importlib.import_module(name)
    importlib.import_module("torch").set_num_threads(1)
    if any(name.partition(".")[0] == "avseg" for name in sys.modules):
        raise RuntimeError("avseg is imported already; start the program in a process of its own")
    if (threads := len(os.listdir("/proc/self/task"))) != 1:  # noqa: PTH208  entries are counted
        raise RuntimeError(f"the process has {threads} threads, wanted 1; set OMP_NUM_THREADS=1")


def start(tree: Path, work: Path, names: Sequence[str], cpu: float, most: float, noting: bool = False) -> int:
    """Begin tests of `tree` in a fork; the number of the process, which leads a group of its own.

    Args:
        tree: a copy of the repository.
        work: a folder for what the tests write; emptied before. `ended.jsonl` in it tells how each test ended.
        names: of tests or test files, from the root of the tree.
        cpu: s of processor time after which the system ends the process.
        most: s of processor time after which no further test begins; importing and collecting do not count.
        noting: note the functions that are called in `calls.txt` and go on after a failure.
    """
    shutil.rmtree(work, ignore_errors=True)
    (work / "site").mkdir(parents=True)
    words = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-m", "not slow", "--rootdir", str(tree)]
    words += [*([] if noting else ["-x"]), "--basetemp", str(work / "tmp"), "--tb=line", *names]

    def run() -> int:
        paths = [str(tree)]
        if noting:
            text = STARTED.format(here=str(Path(__file__).parent), tree=str(tree), calls=str(work / "calls.txt"))
            (work / "site" / "sitecustomize.py").write_text(text, encoding="utf-8")
            paths.insert(0, str(work / "site"))
            note_calls(str(tree), str(work / "calls.txt"))
        os.environ["PYTHONPATH"] = os.pathsep.join(paths)
        sys.path.insert(0, str(tree))
        return int(pytest.main(words, plugins=[_Plugin(work / "ended.jsonl", most)]))

    def limit() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CPU, (int(cpu) + 1, int(cpu) + 5))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.chdir(tree)

    return forked.forked(run, work, limit)


def ends(work: Path) -> list[dict[str, Any]]:
    """name, cpu (s) and end of each test that `start` ran in `work`."""
    path = work / "ended.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


class Known:
    """Tests by the functions that they call; what was found is kept in a file for the next time."""

    def __init__(self, tree: Path, path: Path) -> None:
        """`tree`: a copy of the repository; `path`: a JSON file, made where it is missing."""
        self.tree = tree
        self.path = path
        self._kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        self.importers: dict[str, set[str]] = {}
        """By path of a module of avseg: paths of the modules and test files that import it."""
        for file, modules in _imports(tree).items():
            for module in modules:
                self.importers.setdefault(module, set()).add(file)

    def mark(self, name: str) -> str:
        """What tells that a test file is the one that was noted."""
        return hashlib.sha256((self.tree / name).read_bytes()).hexdigest()

    def missing(self, names: Iterable[str]) -> list[str]:
        """Test files that have not been run, or are no longer the same."""
        return [name for name in names if self._kept.get(name, {}).get("mark") != self.mark(name)]

    def note(self, name: str, work: Path) -> None:
        """Keep what a run of one test file left in `work`."""
        calls: dict[str, set[tuple[str, str]]] = defaultdict(set)
        with contextlib.suppress(FileNotFoundError):
            for line in (work / "calls.txt").read_text(encoding="utf-8").splitlines():
                test, path, function = line.rsplit("\t", 2)
                calls[test].add((path, function))
        tests = [{**one, "calls": sorted(calls[one["name"]] | calls[name + ALL])} for one in ends(work)]
        self._kept[name] = {"mark": self.mark(name), "tests": tests}
        aside = self.path.with_suffix(".part")
        aside.write_text(json.dumps(self._kept), encoding="utf-8")
        aside.replace(self.path)

    def tests(self, names: Iterable[str]) -> list[Test]:
        """Those of these files that are known and pass, the quickest first."""
        names = list(names)
        unknown = set(self.missing(names))
        found = [
            Test(one["name"], one["cpu"], frozenset((path, function) for path, function in one["calls"]))
            for name in names
            if name not in unknown
            for one in self._kept[name]["tests"]
            if one["end"] == "passed"
        ]
        return sorted(found, key=lambda test: test.cpu)

    def unnoted(self, names: Iterable[str], path: str) -> list[Test]:
        """Whole test files that are not known and import the module or what imports it, its namesake first."""
        direct = self.importers.get(path, set())
        further = {file for module in direct for file in self.importers.get(module, ())}
        near = [name for name in self.missing(names) if name in direct | further]
        near.sort(key=lambda name: (Path(path).stem not in name, name not in direct))
        return [Test(name, GUESS, frozenset()) for name in near]

    def concerned(self, tests: Sequence[Test], path: str, function: str) -> list[Test]:
        """Those that call the function. Of a module's own body: those that call anything of it or of its importers;
        the same where no test calls the function, which may be since one library or another calls it."""
        direct = [test for test in tests if (path, function) in test.calls]
        if function and direct:
            return direct
        near = {path, *self.importers.get(path, ())}
        inside = [test for test in tests if path in test.paths]
        return inside + [test for test in tests if path not in test.paths and near & test.paths]


def _imports(tree: Path) -> dict[str, set[str]]:
    """By path of a module of avseg or a test file: paths of the modules that it imports."""
    found: dict[str, set[str]] = defaultdict(set)
    for file in sorted([*(tree / "avseg").rglob("*.py"), *(tree / "tests").rglob("*.py")]):
        for node in ast.walk(ast.parse(file.read_bytes())):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("avseg"):
                place = Path(*node.module.split("."))
                targets = [place.with_suffix(".py"), place / "__init__.py"]
                targets += [place / f"{alias.name}.py" for alias in node.names]
                name = file.relative_to(tree).as_posix()
                found[name] |= {target.as_posix() for target in targets if (tree / target).exists()}
    return found


def wait_any(running: dict[int, tuple[float, float]]) -> tuple[int, int, float]:
    """Wait until one of the processes has ended: its number, exit status and s of processor time.

    Args:
        running: by number of the process: when it began and how many s by the clock it may take.
    """
    while True:
        for pid, (begun, wall) in running.items():
            done, status, usage = os.wait4(pid, os.WNOHANG)
            if not done and time.monotonic() - begun > wall:
                forked.kill(pid)
                done, status, usage = os.wait4(pid, 0)
            if done:
                forked.kill(pid)  # what it has left behind
                return pid, os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime
        time.sleep(0.05)
