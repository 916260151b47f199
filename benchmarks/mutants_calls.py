"""Notes which functions of avseg each test calls, in this process and in those that import this module first."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

SEEN: set[Any] = set()
"""Code objects that were called since it was last emptied."""
CURRENT = "PYTEST_CURRENT_TEST"
"""The variable in which pytest says which test runs, also to the processes it starts."""


def note_calls(tree: str, path: str) -> None:
    """Write each function of avseg that a test calls for the first time to a file: test, path, name by tabs."""
    package = str(Path(tree, "avseg")) + os.sep
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def called(frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if code in SEEN:
            return
        test = os.environ.get(CURRENT)
        if test and code.co_filename.startswith(package):
            name = code.co_filename[len(tree) + 1 :]
            try:
                os.write(file, f"{test.rpartition(' ')[0]}\t{name}\t{code.co_qualname}\n".encode())
            except OSError:
                return  # a test of a full disk; the next call is noted
        SEEN.add(code)

    sys.settrace(called)
    threading.settrace(called)
