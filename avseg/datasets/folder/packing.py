"""Packing of a folder of videos: decoded frames, sounds and label maps, and the names of the videos."""

from __future__ import annotations

import wave
from io import BytesIO
from pathlib import Path

from avseg.data.packing import SplitTables, below
from avseg.datasets.folder.decode import INDEX
from avseg.datasets.folder.find import CLASSES, NOT_ANNOTATIONS
from avseg.datasets.folder.masks import RESULT, mask_folder, pngs_of
from avseg.datasets.folder.splits import TABLE
from avseg.io.files import is_visible
from avseg.io.video import VIDEO_SUFFIXES

CACHE = ".avseg"
"""The folder below the videos where decoded frames and sounds are kept."""


def kept_name(video: str, folder: Path, file: str) -> str:
    """The name below the root of a file that is kept of a video."""
    return f"{CACHE}/{video}/{folder.name}/{file}"


def tables_of(root: Path, split: Path | None, kept: dict[str, Path]) -> SplitTables:
    """Return the tables needed to open the folder: label files, splits, and names of videos and label maps.

    Args:
        root: The folder.
        split: A table of splits that lies elsewhere; it is called as if it lay in the folder.
        kept: Where decoded frames lie, by video.
    """
    whole, named = [], []
    for path in sorted(path for path in root.iterdir() if is_visible(path, root)):
        if path.is_dir():
            place = mask_folder(path)
            named += [] if place is None else pngs_of(place)
            whole += [path / RESULT] if place is not None and (path / RESULT).is_file() else []
        elif path.suffix.lower() in VIDEO_SUFFIXES:
            named.append(path)
        elif path.name == CLASSES or (path.suffix.lower() in (".json", ".xml") and path.name not in NOT_ANNOTATIONS):
            whole.append(path)
    listed = [TABLE] if split is not None or (root / TABLE).is_file() else []
    indices = [kept_name(video, folder, INDEX) for video, folder in kept.items()]
    return SplitTables(
        (*(below(root, path) for path in whole), *listed, *indices), tuple(below(root, path) for path in named)
    )


def place_of(name: str, root: Path, split: Path | None, cache: Path) -> Path:
    """Where a file lies that has a name below the root."""
    if name == TABLE and split is not None:
        return split
    return cache / name.removeprefix(f"{CACHE}/") if name.startswith(f"{CACHE}/") else root / name


def cut_sound(path: Path, begin: int, end: int) -> bytes:
    """A WAV file of the samples from `begin` to before `end`."""
    with wave.open(str(path), "rb") as whole:
        parameters = whole.getparams()
        begin = min(begin, parameters.nframes)
        whole.setpos(begin)
        # A file without samples is none; one of silence is the same to whoever fills up with silence.
        samples = whole.readframes(max(0, end - begin)) or bytes(parameters.sampwidth * parameters.nchannels)
    made = BytesIO()
    with wave.open(made, "wb") as part:
        part.setparams(parameters)
        part.writeframes(samples)
    return made.getvalue()
