"""What can be taken away of a result: its kinds of output as single files, folders as zip files."""

from __future__ import annotations

import re
import shutil
import zipfile
from pathlib import Path

from avseg.inference.export.files import RESULT_NAME, TRACKS_NAME
from avseg.inference.export.kinds import kinds
from avseg.io.files import write_aside

ALL = "everything"
"""The whole folder of the result as it is."""
_THERE = {RESULT_NAME: "what sounds when, with scores and boxes", TRACKS_NAME: "tracks in the form of YouTube-VIS"}
_PACKED = {".png", ".jpg", ".mp4", ".webm", ".mov", ".npz", ".zip"}
"""Suffixes of files that packing does not make smaller."""


def choices(folder: Path | None = None) -> list[tuple[str, str]]:
    """Words and name of all that there is, the kinds of `--save` among it.

    Args:
        folder: of the result.
    """
    there = [(f"{name}: {what}", name) for name, what in _THERE.items() if folder is None or (folder / name).exists()]
    known = [(f"{name}: {kind.what}", name) for name, kind in kinds().items()]
    return [*known, *there, (f"{ALL}: all files that were made so far", ALL)]


def is_made(folder: Path, name: str) -> bool:
    """Whether it lies in the folder of the result already."""
    return name == ALL or _place(folder, name).exists()


def packed(folder: Path, shelf: Path, name: str, video: str) -> Path:
    """One file to take away, called after the video and the kind.

    Args:
        folder: of the result.
        shelf: where it is written.
        name: one of `choices`.
        video: the name of the video's file.

    Raises:
        FileNotFoundError: it was not made.
    """
    place = folder if name == ALL else _place(folder, name)
    if not place.exists():
        raise FileNotFoundError(f"{name} could not be made of {video}")
    suffix = ".zip" if place.is_dir() else place.suffix
    label = "" if name == ALL or suffix == f".{name}" else f"-{Path(name).stem}"
    target = shelf / "files" / f"{safe_name(Path(video).stem)}{label.replace(':', '-')}{suffix}"
    if name == ALL or not target.exists():
        with write_aside(target) as aside:
            _write(place, aside)
    return target


def safe_name(text: str) -> str:
    """A name for a file that every disc and every browser takes: letters, digits, spaces and `-_.()`."""
    name = re.sub(r"[^\w. ()-]+", "_", text).strip(" .")[:80]
    return name or "video"


def _place(folder: Path, name: str) -> Path:
    """Where an output lies; of a data set its folder."""
    if name in _THERE:
        return folder / name
    file = kinds()[name].path(folder.name)
    return folder.parent / file.split("/")[1] if file.startswith("../") else folder / file.split("/")[0]


def _write(place: Path, target: Path) -> None:
    if place.is_file():
        shutil.copyfile(place, target)
        return
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted(place.rglob("*")):
            if path.is_file():
                packing = zipfile.ZIP_STORED if path.suffix.lower() in _PACKED else zipfile.ZIP_DEFLATED
                archive.write(path, path.relative_to(place), packing)
