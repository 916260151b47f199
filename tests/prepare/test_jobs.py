"""Jobs in several processes end as one: nothing half-written, no process and no traceback stay behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from avseg.prepare.jobs import run_jobs

PROGRAM = Path(__file__).parent / "many_jobs.py"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


@pytest.fixture
def program(tmp_path: Path) -> subprocess.Popen[str]:
    """The program, in a group of its own, with a job half done."""
    command = [sys.executable, str(PROGRAM), str(tmp_path)]
    started = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    wait_for(lambda: worker(tmp_path) is not None)
    assert started.poll() is None
    return started


def worker(folder: Path) -> int | None:
    """The process that has the slow job."""
    found = [path.name for path in folder.glob("process-*")]
    return int(found[0].removeprefix("process-")) if found else None


def wait_for(happened: object, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not happened():  # type: ignore[operator]
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.05)


def is_there(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    # One that has ended and waits to be asked after is there for `kill`.
    state = Path(f"/proc/{process}/stat")
    return not state.exists() or state.read_text().rsplit(")", 1)[1].split()[0] != "Z"


@pytest.mark.parametrize("whole_group", [True, False], ids=["ctrl-c in a terminal", "to the program alone"])
def test_an_interrupt_ends_all_processes_in_order(
    program: subprocess.Popen[str], tmp_path: Path, whole_group: bool
) -> None:
    hand = worker(tmp_path)
    assert hand is not None
    (os.killpg if whole_group else os.kill)(program.pid, signal.SIGINT)
    _, said = program.communicate(timeout=120)
    assert program.returncode == 130
    assert "Traceback" not in said and said.endswith("stopped\n")
    assert not is_there(hand) and not list(tmp_path.glob(".*.part*"))


def test_the_processes_of_a_killed_program_end(program: subprocess.Popen[str], tmp_path: Path) -> None:
    hand = worker(tmp_path)
    assert hand is not None
    program.kill()
    wait_for(lambda: not is_there(hand), 120)
    assert not list(tmp_path.glob(".*.part*"))


def test_a_killed_worker_is_told_in_one_sentence(program: subprocess.Popen[str], tmp_path: Path) -> None:
    hand = worker(tmp_path)
    assert hand is not None
    os.kill(hand, signal.SIGKILL)
    _, said = program.communicate(timeout=120)
    assert program.returncode == 1
    assert said.strip().splitlines()[-1].startswith("RuntimeError: a worker process ended unexpectedly")


def threads_of(_: int) -> int:
    return torch.get_num_threads()


def test_jobs_have_one_thread_in_this_process_and_in_others() -> None:
    """Resized pictures would differ by a level otherwise."""
    before = torch.get_num_threads()
    for workers in (1, 2):
        assert dict(run_jobs(threads_of, [0, 1], workers, "count")) == {0: 1, 1: 1}
    assert torch.get_num_threads() == before
