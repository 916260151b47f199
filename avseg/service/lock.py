"""One service in one folder."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import IO


def folder_lock(folder: Path) -> IO[str]:
    """Held until the file is closed, or its process ends in whatever way.

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
        raise ValueError(f"another avseg serve works in {folder}; give this one another --folder") from error
    return file
