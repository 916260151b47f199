"""Orders that take no step before all of them are there, and wait for each other from then on, so that no test of
common batches depends on the time that anything takes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from avseg.engines.records import FAST, Choice
from avseg.jobs.merging import Merging
from avseg.jobs.predicting import Predicting
from avseg.jobs.room import Shares

LONG = 300.0
"""s in which on any machine all comes that has to come."""


class Meeting(Predicting):
    """Of `together` orders."""

    def __init__(self, device: str, choice: Choice = FAST, together: int = 2) -> None:
        super().__init__(device, choice, together)
        self._all_here = threading.Barrier(together)

    def __call__(self, question: Any, tell: Callable[[Any], None], wants_stop: Callable[[], bool]) -> Path:
        """See `Predicting`."""

        def told(news: Any) -> None:
            tell(news)
            if isinstance(news, Shares):
                self._all_here.wait(LONG)

        return super().__call__(question, told, wants_stop)


def patient_meeting(device: str, choice: Choice, together: int) -> Meeting:
    """In the process of a worker, of which nothing is left after the test."""
    Merging.patience = LONG  # type: ignore[method-assign, assignment]
    return Meeting(device, choice, together)
