"""Many small jobs in several processes, with progress."""

from __future__ import annotations

import logging
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import TypeVar

log = logging.getLogger(__name__)

Job = TypeVar("Job")
Result = TypeVar("Result")


def run_jobs(
    work: Callable[[Job], Result], jobs: Sequence[Job], workers: int, title: str
) -> Iterator[tuple[int, Result]]:
    """(number of the job, result) as jobs finish; a bar on a terminal, a line every tenth elsewhere.

    Args:
        work: A function at the top level of a module.
        workers: Processes; 0 takes one for every core, 1 stays in this process.

    An error in `work`, or Ctrl-C, gives up the jobs that have not begun.
    """
    processes = min(workers or os.cpu_count() or 1, max(len(jobs), 1))
    results = enumerate(map(work, jobs)) if processes == 1 else _in_processes(work, jobs, processes)
    yield from _shown(results, len(jobs), title)


def _in_processes(work: Callable[[Job], Result], jobs: Sequence[Job], processes: int) -> Iterator[tuple[int, Result]]:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_use_one_thread) as pool:
        futures = {pool.submit(work, job): number for number, job in enumerate(jobs)}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _use_one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def _shown(results: Iterator[tuple[int, Result]], total: int, title: str) -> Iterator[tuple[int, Result]]:
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import track

        yield from track(results, title, total=total, console=Console(stderr=True))
        return
    step = max(total // 10, 1)
    for done, result in enumerate(results, start=1):
        if done % step == 0 or done == total:
            log.info("%s: %d of %d", title, done, total)
        yield result
