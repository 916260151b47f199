"""Many small jobs in several processes, with progress."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

from avseg.lazy import imported
from avseg.progress import tracked

Job = TypeVar("Job")
Result = TypeVar("Result")
Runner = Callable[[Callable[[Any], Any], Sequence[Any]], Iterator[tuple[int, Any]]]
"""Gives (number of the job, result) as jobs finish: `run_on_ray` does."""
_ELSEWHERE: ContextVar[Runner | None] = ContextVar("elsewhere", default=None)
PATIENCE = 5.0
"""Seconds for a process whose parent has ended to remove its partial files."""
GRACE = 1.0
"""Seconds for a stopped process to send its last result, or to be ended by the pool."""


def run_jobs(
    work: Callable[[Job], Result], jobs: Sequence[Job], workers: int, title: str, unit: str = "clip"
) -> Iterator[tuple[int, Result]]:
    """Yield (number of the job, result) as jobs finish, with progress.

    Args:
        work: A function at the top level of a module.
        workers: Processes; 0 takes one for every core, 1 stays in this process.
        title: What is done, for the progress.
        unit: What a job is, in the singular.

    An error in `work`, Ctrl-C, or the end of this process cancels the waiting jobs and interrupts the running ones,
    which remove their partial files.

    Raises:
        RuntimeError: a process was ended from outside.
    """
    elsewhere = _ELSEWHERE.get()
    processes = min(workers or os.cpu_count() or 1, max(len(jobs), 1))
    if elsewhere is not None:
        results = elsewhere(work, jobs)
    else:
        alone = partial(in_one_thread, work)
        results = enumerate(map(alone, jobs)) if processes == 1 else _in_processes(work, jobs, processes)
    yield from tracked(results, title, unit, len(jobs))


def in_one_thread(work: Callable[[Job], Result], job: Job) -> Result:
    """`work(job)` by one thread of PyTorch: with more, the last bits of resized pictures differ (findings)."""
    one_thread = imported("avseg.device:one_thread")
    with one_thread():
        return work(job)


@contextmanager
def running_elsewhere(runner: Runner) -> Iterator[None]:
    """In the block `run_jobs` gives its jobs to `runner`, and `workers` has no effect."""
    token = _ELSEWHERE.set(runner)
    try:
        yield
    finally:
        _ELSEWHERE.reset(token)


def _in_processes(work: Callable[[Job], Result], jobs: Sequence[Job], processes: int) -> Iterator[tuple[int, Result]]:
    context = multiprocessing.get_context("spawn")
    others = set(multiprocessing.active_children())
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_begin) as pool:
        finished = False
        try:
            with _signals_held():  # until `_begin` a worker has Python's own answers to them
                futures = {pool.submit(partial(_do, work), job): number for number, job in enumerate(jobs)}
            for future in as_completed(futures):
                yield futures[future], future.result()
            finished = True
        except BrokenProcessPool as error:
            raise RuntimeError(
                "a worker process ended unexpectedly, probably because memory ran out; "
                "run the command again with fewer --workers"
            ) from error
        finally:
            if not finished:
                pool.shutdown(wait=False, cancel_futures=True)
                _interrupt(set(multiprocessing.active_children()) - others)


@contextmanager
def _signals_held() -> Iterator[None]:
    """Delay Ctrl-C and SIGTERM until the end of the block, and in processes started in it until `_begin`."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _interrupt(children: set[BaseProcess]) -> None:
    for child in children:
        child.terminate()


class _Hand:
    """State of a worker process: whether it is busy, and whether it must stop."""

    working = False
    stopped = False


def _begin() -> None:
    """Initialise a worker process."""
    # Ctrl-C in a terminal goes to all processes: the first one hears it and ends the others in order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _stop)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
    threading.Thread(target=_end_with_parent, daemon=True).start()
    import torch

    torch.set_num_threads(1)


def _stop(*_: Any) -> None:
    """Interrupt the job so that it cleans up, and end the process after it."""
    _Hand.stopped = True
    threading.Thread(target=_leave, daemon=True).start()
    if _Hand.working:
        raise KeyboardInterrupt


def _leave() -> None:
    """End the process after its job; Python 3.12 does not do so if another process was killed."""
    while _Hand.working:
        time.sleep(0.05)
    time.sleep(GRACE)
    os._exit(1)


def _do(work: Callable[[Job], Result], job: Job) -> Result:
    try:
        _Hand.working = True
        if _Hand.stopped:
            raise KeyboardInterrupt
        return work(job)
    finally:
        _Hand.working = False


def _end_with_parent() -> None:
    """End a worker whose parent was killed, which would otherwise wait forever."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
    until = time.monotonic() + PATIENCE
    while _Hand.working and time.monotonic() < until:
        time.sleep(0.05)
    os._exit(1)
