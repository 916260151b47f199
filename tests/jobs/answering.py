"""What answers in the processes of `test_child`: starts at once, for it imports nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from multiprocessing import Lock, util
from pathlib import Path
from typing import Any

from avseg.jobs.errors import JobStopped


class Answering:
    """Questions are words."""

    def __init__(self, together: int) -> None:
        self._meeting = threading.Barrier(together)

    def __call__(self, question: str, tell: Callable[[Any], None], wants_stop: Callable[[], bool]) -> str:
        """
        Raises:
            JobStopped: `wait` was asked, and to stop.
            ValueError: `refuse` was asked.
        """
        tell("begun")
        if question == "refuse":
            raise ValueError("this is refused")
        if question == "meet":
            self._meeting.wait(60)
        if question.startswith("/"):  # a file that tells of an orderly end; and a named semaphore, as tqdm has one
            self._lock = Lock()
            util.Finalize(None, Path(question).touch, exitpriority=1)
        if question == "deaf":
            time.sleep(60)
        while question == "wait":
            if wants_stop():
                raise JobStopped
            time.sleep(0.01)
        return question
