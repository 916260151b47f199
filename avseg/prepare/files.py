"""Folders of data sets: how clips lie in one, and how its files are made."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avseg.data.tables import Row
from avseg.io.files import write_aside

TRUTH = "truth.json"
"""Marks a folder of the synthetic world."""
PSEUDO = "pseudo.json"
"""Marks a folder whose truth a model made (`avseg.prepare.pseudo`)."""
CONVERTED = "converted.json"
"""Marks a folder that was written from another layout (`avseg.datasets.convert`)."""


@dataclass(frozen=True)
class ClipFolder:
    """A folder of clips in the layout of AVSBench: what lies in it, what it is made of, what was published."""

    name: str
    """The data set."""
    open: Callable[[str, Path], Any]
    """(split, folder) to a data set with `rows`, `ids`, `files(index)` and `read(index, geometry)`."""
    tables: Sequence[str]
    """Files that the folder needs beside its clips; the first one lists them."""
    video: Callable[[Path, Row], Path]
    """(raw folder, line of the table) to the raw video of a clip."""
    published: Mapping[str, int]
    """Clips of each split."""
    where: str
    """Where the data come from."""
    size: tuple[int, int] | None = None
    """(H, W) of the stored frames; None: that of the video."""
    confirmed: bool = True
    """Whether the published numbers are certain."""


def copy_file(source: Path, place: Path) -> None:
    """Copy a file, whole or not at all; one that is there already with the same size stays."""
    if place.is_file() and (source.resolve() == place.resolve() or source.stat().st_size == place.stat().st_size):
        return
    with write_aside(place) as aside:
        shutil.copyfile(source, aside)


def is_fatal(error: Exception) -> bool:
    """Whether an error stops all jobs, not only its own: the disk is full, or cannot be written."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)
