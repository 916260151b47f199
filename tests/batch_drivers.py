"""Drivers of batches in processes of their own, which end by kill -9."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path


def words(folder: Path | str, out: Path | str, *more: str) -> list[str]:
    """A command."""
    return ["batch", str(folder), "--model", "demo", "--out", str(out), "--fps", "1", "--devices", "cpu", *more]


def started(words: Sequence[str], **environ: str) -> subprocess.Popen[str]:
    """A driver, which begins a group of processes."""
    command = [sys.executable, "-m", "avseg", *words]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, text=True, env={**os.environ, **environ}, start_new_session=True, **pipes)


def until(reached: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait; fails where the process ends before."""
    while not reached():
        assert process.poll() is None, process.communicate()
        time.sleep(0.002)


def kill_at(words: Sequence[str], reached: Callable[[], bool]) -> None:
    """Start a driver, and kill it and what it has started on this machine."""
    driver = started(words)
    until(reached, driver)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    with suppress(ProcessLookupError):  # what it had begun ends by itself, a moment later
        os.killpg(driver.pid, signal.SIGKILL)
    driver.communicate()


def results_of(out: Path) -> dict[Path, int]:
    """When each result was written."""
    return {path: path.stat().st_mtime_ns for path in out.glob("videos/**/result.json")}


def killed_before_the_end(folder: Path, work: Path, videos: int, *more: str) -> tuple[Path, dict[Path, int]]:
    """A place where a driver was killed after its first results and before its last one, and these results."""
    for attempt in range(8):  # on a busy machine the last video may be done before this process is asked again
        out = work / str(attempt)
        kill_at(words(folder, out, *more), lambda: len(results_of(out)) >= 2)  # noqa: B023
        made = results_of(out)
        if len(made) < videos:
            break
    assert 2 <= len(made) < videos and not (out / "manifest.jsonl").exists()
    return out, made
