"""A command of avseg in a process of its own, forked from a warm one or fresh, under limits of time and memory.

Importing what the commands need takes seconds, so most runs are forked from a process that has imported it. It must
have one thread, as only the thread that forks lives on in the child.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

ROOMS = (
    "av",
    "torchvision",
    "avseg.cli",
    "avseg.inference.folder",
    "avseg.engine.evaluation.evaluate",
    "avseg.engine.training.run",
    "avseg.datasets.avsbench.folder",
    "avseg.datasets.avss.folder",
    "avseg.datasets.aviseg.prepare",
    "avseg.datasets.aviseg.check",
    "avseg.datasets.vpo.build.build",
    "avseg.datasets.vpo.check",
    "avseg.datasets.vpo.build.report",
    "avseg.datasets.avsbench.layout",
    "avseg.datasets.avss.layout",
    "avseg.datasets.single.layout",
    "avseg.datasets.vpo.write",
    "avseg.datasets.aviseg.write",
    "avseg.models.tpavi.convert",
    "avseg.models.cavp.convert",
    "avseg.models.avism.convert",
)
"""What is imported before the first fork."""
IMPORTS = 25
"""s of processor time that a fresh process may spend more than a forked one."""


@dataclass(frozen=True)
class Limits:
    """What a command may use."""

    cpu: int = 20
    """s of processor time."""
    wall: float = 300.0
    """s by the clock; generous, since other programs may run beside."""
    used: int = 3 << 29
    """Bytes of memory in use; judged afterwards. Imports take a third of this."""
    address: int = 6 << 30
    """Bytes of address space on top of what the warm process has; the system refuses more."""
    file: int = 1 << 28
    """Bytes of one written file; the system refuses more."""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    """Exit status; a negative one is the number of the signal that ended it."""
    cpu: float
    """s of processor time."""
    used: int
    """Bytes of memory in use at most."""
    out: str
    err: str
    too_long: bool = False
    """It was stopped at a limit of time."""


def warm() -> None:
    """Import what the commands need, with one thread.

    Raises:
        RuntimeError: the process has more than one thread, so that a fork of it could hang.
    """
    for name in ROOMS:
        importlib.import_module(name)
    torch = importlib.import_module("torch")
    torch.set_num_threads(1)
    if (threads := len(os.listdir("/proc/self/task"))) != 1:  # noqa: PTH208  entries are counted, not used as paths
        raise RuntimeError(f"the process has {threads} threads, wanted 1; set OMP_NUM_THREADS=1")


def address_space() -> int:
    """Bytes of this process."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def run(words: Sequence[str], folder: Path, limits: Limits | None = None, fresh: bool = False) -> Ended:
    """Run `avseg WORDS` in `folder` to its end; its output goes through files in `folder.parent`."""
    limits = limits or Limits()
    pid = start(words, folder, limits, fresh)
    return wait(pid, folder, limits)


def start(words: Sequence[str], folder: Path, limits: Limits | None, fresh: bool = False) -> int:
    """Begin `avseg WORDS` in `folder`; the number of the process, which leads a group of its own."""
    before = address_space()
    if not fresh:
        return forked(lambda: _command(words), folder, lambda: _limit(limits, before, 0))
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with _texts(folder)[0].open("wb") as out, _texts(folder)[1].open("wb") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "avseg", *words],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
            preexec_fn=lambda: _limit(limits, before, IMPORTS),
        )
    process.returncode = 0  # `wait` waits for it
    return process.pid


def forked(work: Callable[[], int], folder: Path, prepare: Callable[[], None] = lambda: None) -> int:
    """Begin `work` in a fork of this process, in `folder`; it gives the exit status."""
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.setsid()
            for number, path in enumerate(_texts(folder), start=1):
                os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), number)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.chdir(folder)
            prepare()
            code = work()
        except BaseException:  # noqa: BLE001  as the interpreter does at the end of a program
            sys.excepthook(*sys.exc_info())
        finally:
            _leave(code)
    return pid


def _leave(code: int) -> NoReturn:
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.flush()
    os._exit(code)


def _command(words: Sequence[str]) -> int:
    main = importlib.import_module("avseg.cli").main
    os.cpu_count = lambda: 1  # one process of workers: each of them would have to import everything anew
    sys.argv = ["avseg", *words]
    try:
        main()
    except SystemExit as end:
        if not isinstance(end.code, (int, type(None))):
            print(end.code, file=sys.stderr)
            return 1
        return end.code or 0
    return 0


def _limit(limits: Limits | None, before: int, imports: int) -> None:
    if limits is None:
        return
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu + imports, limits.cpu + imports + 5))
    resource.setrlimit(resource.RLIMIT_AS, (before + limits.address,) * 2)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limits.file,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _texts(folder: Path) -> tuple[Path, Path]:
    """Files of the standard output and error of what runs in `folder`."""
    return folder.with_name(f"{folder.name}.out"), folder.with_name(f"{folder.name}.err")


def wait(pid: int, folder: Path, limits: Limits) -> Ended:
    """Wait for the end of a process that `start` or `forked` began, and end it at the limit of time."""
    began, too_long = time.monotonic(), False
    while True:
        done, status, usage = os.wait4(pid, os.WNOHANG)
        if done:
            break
        if time.monotonic() - began > limits.wall:
            kill(pid)
            _, status, usage = os.wait4(pid, 0)
            too_long = True
            break
        time.sleep(0.01)
    kill(pid)  # what it has left behind
    out, err = (path.read_text(encoding="utf-8", errors="replace") for path in _texts(folder))
    code = os.waitstatus_to_exitcode(status)
    too_long = too_long or code == -signal.SIGXCPU
    return Ended(code, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, out, err, too_long)


def kill(pid: int) -> None:
    """End a process and all of its group at once, as a power cut would."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
