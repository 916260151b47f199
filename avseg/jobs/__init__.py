"""Jobs of a page or a service: orders to segment videos, limits, and the process that runs them.

Imports no torch; only the process of a `Worker` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from avseg.lazy import attach

if TYPE_CHECKING:
    from avseg.jobs.checker import Checker as Checker
    from avseg.jobs.errors import JobError as JobError
    from avseg.jobs.errors import JobStopped as JobStopped
    from avseg.jobs.errors import WorkerDied as WorkerDied
    from avseg.jobs.limits import Limits as Limits
    from avseg.jobs.order import JobProgress as JobProgress
    from avseg.jobs.order import Order as Order
    from avseg.jobs.worker import Worker as Worker

_HOMES = {
    "Checker": ".checker",
    "JobError": ".errors",
    "JobProgress": ".order",
    "JobStopped": ".errors",
    "Limits": ".limits",
    "Order": ".order",
    "Worker": ".worker",
    "WorkerDied": ".errors",
}

__all__ = [*_HOMES]

__getattr__, __dir__ = attach(__name__, _HOMES)
