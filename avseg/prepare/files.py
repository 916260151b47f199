"""Folders of data sets: layout of clips, and writing of files."""

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
"""Marks a folder with ground truth made by a model (`avseg.prepare.pseudo`)."""
CONVERTED = "converted.json"
"""Marks a folder converted from another layout (`avseg.datasets.convert`)."""


@dataclass(frozen=True)
class ClipFolder:
    """A folder of clips in the layout of AVSBench: its content, its sources and the published numbers."""

    name: str
    """The data set."""
    open: Callable[[str, Path], Any]
    """(split, folder) to a data set with `rows`, `ids`, `files(index)` and `read(index, geometry)`."""
    tables: Sequence[str]
    """Files that the folder needs in addition to its clips; the first one lists the clips."""
    video: Callable[[Path, Row], Path]
    """(raw folder, line of the table) to the raw video of a clip."""
    published: Mapping[str, int]
    """Published number of clips in each split."""
    where: str
    """Where the data come from."""
    size: tuple[int, int] | None = None
    """(H, W) of the stored frames; None: that of the video."""
    confirmed: bool = True
    """Whether the published numbers are certain."""


def copy_file(source: Path, place: Path) -> None:
    """Copy a file atomically; an existing file of the same size is kept."""
    if place.is_file() and (source.resolve() == place.resolve() or source.stat().st_size == place.stat().st_size):
        return
    with write_aside(place) as aside:
        shutil.copyfile(source, aside)


def is_fatal(error: Exception) -> bool:
    """Whether an error stops all jobs: the disk is full or not writable."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)
