"""Coordination of processes: their shares of a step, and a common end of the process group."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from torch import distributed

PATIENCE = timedelta(minutes=5)

log = logging.getLogger(__name__)


@contextmanager
def leaving_together() -> Iterator[None]:
    """End the process group that the block has begun, if any, once all processes have come to the end of their block.

    A process that closes its connections right after a collective can fail a slower one, which then learns of the
    closed connection before it looks at what it has received. The processes meet in the group's store, which does not
    go through those connections. A process whose block fails leaves at once.
    """
    own = not _in_group()  # Ray Train begins the group itself, and ends it
    try:
        yield
        if own and _in_group():
            _meet()
    finally:
        if own and _in_group():
            distributed.destroy_process_group()


def _in_group() -> bool:
    return distributed.is_available() and distributed.is_initialized()


def _meet() -> None:
    store = distributed.distributed_c10d._get_default_store()
    if store.add("avseg/here", 1) == distributed.get_world_size():
        store.set("avseg/all_here", "yes")
    try:
        store.wait(["avseg/all_here"], PATIENCE)
    except distributed.DistError as error:
        # The store may live in a process that has gone since all were here.
        log.debug("not all processes reached the end: %s", error)


def share_of_step(number: int, clips: int, batch_size: int, accumulate: int, rank: int, world: int) -> float:
    """Return the share of process `rank` of `world` in the clips of the step of its batch `number`.

    A step is `accumulate` batches of up to `batch_size` clips in every process; the last one of the epoch's `clips` may
    have fewer. Zero where a process got a stand-in, because there were fewer clips than processes.
    """
    together = batch_size * world
    first = number - number % accumulate
    in_step = min((first + accumulate) * together, clips) - first * together
    each, more = divmod(min(together, clips - number * together), world)
    return (each + (rank < more)) / in_step
