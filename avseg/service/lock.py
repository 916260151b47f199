"""A lock that keeps a second service out of a folder."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import IO


def folder_lock(folder: Path) -> IO[str]:
    """Lock a folder until the file is closed or the process ends.

    Raises:
        ValueError: another process holds it.
    """
    file = (folder / "lock").open("w")
    if os.name == "nt":
        return file  # Windows has no such lock; SQLite's own still keeps the table whole
    fcntl = importlib.import_module("fcntl")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise ValueError(f"another avseg serve uses {folder}; choose another --folder") from error
    return file
