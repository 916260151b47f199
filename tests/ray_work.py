"""Jobs for processes of a Ray cluster."""

from __future__ import annotations

import os
import signal
from pathlib import Path


def end_once(path: Path) -> int:
    """End this process the first time that a path is given."""
    if not path.exists():
        path.write_bytes(b"")
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid()


def refuse(name: str) -> None:
    raise ValueError(f"{name} is refused")
