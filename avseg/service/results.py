"""The files of a finished job, by the kinds of `--save`; folders as ZIP."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

from avseg.inference.export.kinds import GATHERED
from avseg.io.files import write_aside
from avseg.service.refusal import Refusal

EVERYTHING = "all"
"""The whole folder of the result."""
PACKED = "zip"
"""Folder of ZIP files next to the result."""


def result_folder(out: Path) -> Path:
    """Return the only result in a job's folder of results.

    Raises:
        Refusal: 404, there is none.
    """
    found = sorted(out.glob("*/result.json"))
    if not found:
        raise Refusal(404, "this job has no result")
    return found[0].parent


def places(folder: Path) -> dict[str, Path]:
    """Return the file or folder of each kind of output in a result."""
    head: dict[str, Any] = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    named = {
        "result": "result.json",
        **head.get("saved", {}),
        "overlay": head.get("overlay"),
        "tracks": head.get("tracks"),
    }
    if head.get("masks"):
        named["masks"] = head["masks"]["file"].split("/")[0]  # masks/{index:06d}.png is a folder
    found = {kind: folder / name for kind, name in named.items() if name}
    for kind in found:
        if kind.startswith(GATHERED):
            found[kind] = folder.parent / f"dataset_{kind.removeprefix(GATHERED)}"
    return {EVERYTHING: folder, **{kind: place for kind, place in found.items() if place.exists()}}


def file_of(out: Path, kind: str) -> Path:
    """Return the file to send for a kind of output.

    Raises:
        Refusal: 404, the result has no such output.
    """
    known = places(result_folder(out))
    if kind not in known:
        raise Refusal(404, f"this result has no output of that kind; it has {', '.join(known)}")
    place = known[kind]
    archive = out.parent / PACKED / kind.replace(":", "_") / f"{place.name}.zip"
    return _packed(place, archive) if place.is_dir() else place


def _packed(folder: Path, archive: Path) -> Path:
    """Return the folder as a ZIP file, built on the first request."""
    if not archive.is_file():
        with write_aside(archive) as aside, zipfile.ZipFile(aside, "w", zipfile.ZIP_STORED) as packed:
            for path in sorted(path for path in folder.rglob("*") if path.is_file()):
                packed.write(path, f"{folder.name}/{path.relative_to(folder).as_posix()}")
    return archive
