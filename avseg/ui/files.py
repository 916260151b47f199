"""Downloads of a result: its kinds of output as single files, folders as ZIP files."""

from __future__ import annotations

import re
import shutil
import zipfile
from pathlib import Path

from avseg.inference.export.files import RESULT_NAME, TRACKS_NAME
from avseg.inference.export.kinds import kinds
from avseg.io.files import write_aside

ALL = "everything"
"""The whole folder of the result."""
_THERE = {
    RESULT_NAME: "when each object sounds, with scores and boxes",
    TRACKS_NAME: "tracks in the YouTube-VIS format",
}
_PACKED = {".png", ".jpg", ".mp4", ".webm", ".mov", ".npz", ".zip"}
"""Suffixes of files that compression does not make smaller."""


def choices(folder: Path | None = None) -> list[tuple[str, str]]:
    """Return label and name of every download, including the kinds of `--save`.

    Args:
        folder: of the result.
    """
    there = [(f"{name}: {what}", name) for name, what in _THERE.items() if folder is None or (folder / name).exists()]
    known = [(f"{name}: {kind.what}", name) for name, kind in kinds().items()]
    return [*known, *there, (f"{ALL}: all files made so far", ALL)]


def is_made(folder: Path, name: str) -> bool:
    """Whether the output exists in the folder of the result."""
    return name == ALL or _place(folder, name).exists()


def packed(folder: Path, shelf: Path, name: str, video: str) -> Path:
    """Return one file to download, named after the video and the kind.

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
        raise FileNotFoundError(f"{name} could not be made for {video}")
    suffix = ".zip" if place.is_dir() else place.suffix
    label = "" if name == ALL or suffix == f".{name}" else f"-{Path(name).stem}"
    target = shelf / "files" / f"{safe_name(Path(video).stem)}{label.replace(':', '-')}{suffix}"
    if name == ALL or not target.exists():
        with write_aside(target) as aside:
            _write(place, aside)
    return target


def safe_name(text: str) -> str:
    """Return a file name that all systems and browsers accept: letters, digits, spaces and `-_.()`."""
    name = re.sub(r"[^\w. ()-]+", "_", text).strip(" .")[:80]
    return name or "video"


def _place(folder: Path, name: str) -> Path:
    """Return the path of an output; for a data set, its folder."""
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
