"""A connection to a Ray cluster: a running one, or one of this machine that lasts as long as the connection."""

from __future__ import annotations

import gc
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from avseg.lazy import imported

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
if not os.environ.get("RAY_ADDRESS"):
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")  # a cluster of this machine alone, which others cannot reach

try:
    import ray as ray
except ImportError as error:
    raise ImportError('ray is not installed; install it with: pip install "avseg[ray]"') from error

log = logging.getLogger(__name__)

Job = TypeVar("Job")
Result = TypeVar("Result")

STORE = 200 * 2**20
"""Bytes of the object store of a cluster of this machine."""
AHEAD = 4
"""Jobs that are handed out for every CPU of the cluster."""
RETRIES = 3
"""How often Ray runs a job again whose process or node is lost."""


def connect(address: str | None) -> bool:
    """Connect to the cluster at an address; without one to that of `RAY_ADDRESS`, or start one of this machine.

    Returns:
        Whether the connection is new, and for the caller to end with `disconnect`.

    Raises:
        OSError: no cluster answers.
    """
    if ray.is_initialized():
        return False
    address = address or os.environ.get("RAY_ADDRESS")
    log.info("%s, which takes ten seconds or more", "connecting to Ray" if address else "starting Ray on this machine")
    own = {} if address else {"object_store_memory": STORE, "include_dashboard": False}
    try:
        ray.init(address=address or "local", log_to_driver=False, logging_level=logging.ERROR, **own)
    except Exception as error:  # Ray raises a plain one where a node does not start in time
        raise OSError(f"no Ray cluster answers at {address or 'this machine'} ({error})") from error
    return True


def disconnect() -> None:
    """End the connection, and free what Ray has left in reference cycles.

    A process that is forked later, such as a worker of a data loader, has a copy of these clients without the threads
    of their gRPC; it ends by a segmentation fault where its garbage collector frees them.
    """
    ray.shutdown()
    gc.collect()


def run_on_ray(
    work: Callable[[Job], Result], jobs: Sequence[Job], address: str | None = None
) -> Iterator[tuple[int, Result]]:
    """(number of the job, result) as jobs finish, one CPU of the cluster each.

    All nodes must have avseg and see the folders that jobs name; relative paths are those of this process.

    Args:
        work: A function at the top level of a module.
        jobs: What it takes; they and the results are pickled.
        address: As `connect` takes it.

    Raises:
        OSError: no cluster answers, or a node does not see this folder.
        RuntimeError: a job's process was lost in every try.
        Exception: what `work` raised.
    """
    begun = connect(address)
    try:
        task = ray.remote(num_cpus=1, max_retries=RETRIES)(_do)
        places = iter(enumerate(jobs))
        running: dict[Any, int] = {}
        with _cancelled(running):
            while True:
                most = AHEAD * max(int(ray.cluster_resources().get("CPU", 1)), 1)
                for number, job in places:
                    running[task.remote(os.getcwd(), work, job)] = number  # noqa: PTH109
                    if len(running) >= most:
                        break
                if not running:
                    return
                (ready,), _ = ray.wait(list(running), num_returns=1)
                yield running.pop(ready), _result(ready)
    finally:
        if begun:
            disconnect()


@contextmanager
def _cancelled(running: dict[Any, int]) -> Iterator[None]:
    """Cancel the jobs that still run at the end of the block. A later run removes their half-written files."""
    try:
        yield
    finally:
        for reference in running:
            ray.cancel(reference)


def _result(reference: Any) -> Any:
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
    except (ray.exceptions.WorkerCrashedError, ray.exceptions.NodeDiedError, ray.exceptions.OutOfMemoryError) as error:
        raise RuntimeError(
            f"the cluster lost the process of one job {RETRIES + 1} times, perhaps for lack of memory; give the same "
            "command again, it goes on with what is left"
        ) from error


def _do(folder: str, work: Callable[[Job], Result], job: Job) -> Result:
    try:
        os.chdir(folder)
    except OSError as error:
        raise OSError(
            f"a node of the cluster does not see {folder} ({error.strerror}); --runner ray wants folders that all "
            "nodes see"
        ) from error
    one_thread = imported("avseg.device:one_thread")
    with one_thread():
        return work(job)
