"""A process that answers several questions at once: stops, limits, and whom the end of the process concerns."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from avseg.jobs.child import Child
from avseg.jobs.errors import JobError, JobStopped, WorkerDied

TOGETHER = 2


@pytest.fixture(scope="module")
def child() -> Iterator[Child]:
    made = Child("jobs.answering:Answering", TOGETHER, doing="answers", places=TOGETHER)
    yield made
    made.close()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(3) as made:
        yield made


def begun(pool: ThreadPoolExecutor, child: Child, question: str, *more: Any) -> Future[Any]:
    """A question on which the work has begun."""
    here = threading.Event()
    found = pool.submit(child.ask, question, lambda _: here.set(), *more)
    assert here.wait(60)
    return found


def test_questions_are_open_at_once_and_have_their_own_answers(child: Child, pool: ThreadPoolExecutor) -> None:
    assert list(pool.map(child.ask, ["meet"] * TOGETHER)) == ["meet"] * TOGETHER
    assert list(pool.map(child.ask, "abcdef")) == list("abcdef")  # more than there are places wait
    with pytest.raises(JobError, match="this is refused"):
        child.ask("refuse")


def test_what_stops_at_once_leaves_the_process_to_the_others(
    child: Child, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("avseg.jobs.child.POLITE", 60.0)
    child.warm()
    process, stop = child.pid, threading.Event()

    def too_long(_: Any) -> None:
        raise JobError("the video is too long")

    other = begun(pool, child, "wait", stop)
    with pytest.raises(JobError, match="the video is too long"):
        child.ask("wait", too_long)
    with pytest.raises(JobError, match=r"takes longer than the limit of 0\.1 s"):
        child.ask("wait", seconds=0.1)
    stop.set()
    with pytest.raises(JobStopped):
        other.result(60)
    assert child.ask("a") == "a" and child.pid == process


def test_what_does_not_stop_ends_the_process_and_stops_the_others(
    child: Child, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("avseg.jobs.child.POLITE", 0.05)
    child.warm()
    process, stop = child.pid, threading.Event()
    deaf, other = begun(pool, child, "deaf", stop), begun(pool, child, "wait")
    stop.set()
    with pytest.raises(JobStopped, match="the work was stopped"):
        deaf.result(60)
    with pytest.raises(JobStopped, match="ended because of another job"):
        other.result(60)
    assert child.ask("a") == "a" and child.pid != process


def test_closed_it_ends_by_itself_and_gives_back_what_it_holds(tmp_path: Path) -> None:
    ended = tmp_path / "ended"
    script = f"""
from avseg.jobs.child import Child
if __name__ == "__main__":
    child = Child("jobs.answering:Answering", 1, doing="answers")
    child.ask({str(ended)!r})
    child.close()
"""
    (tmp_path / "script.py").write_text(script)
    paths = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, str(tmp_path / "script.py")],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.exists() and done.stderr == ""


@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal")
@pytest.mark.parametrize("number", [1, TOGETHER])
def test_a_death_is_told_to_all_and_counted_once(child: Child, pool: ThreadPoolExecutor, number: int) -> None:
    found = [begun(pool, child, "wait") for _ in range(number)]
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    deaths = [one.exception(60) for one in found]
    assert all(isinstance(one, WorkerDied) and one.shared == (number > 1) for one in deaths)
    assert sorted(one.first for one in deaths if isinstance(one, WorkerDied)) == [False] * (number - 1) + [True]
    assert "answers ended unexpectedly (signal 9, possibly by the system because memory ran out)" in str(deaths[0])
    assert child.ask("a") == "a"
