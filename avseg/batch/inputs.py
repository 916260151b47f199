"""The inputs of a batch: folders, patterns, lists and single videos, local or at an address."""

from __future__ import annotations

import glob
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from avseg.batch.lists import LISTS, read_list
from avseg.batch.videos import BatchVideo, checked_id
from avseg.io.address import below_scheme, is_url, local_path, shown
from avseg.io.part import VIDEO_SUFFIXES
from avseg.io.remote import filesystem, reached

log = logging.getLogger(__name__)

_WILD = frozenset("*?[")


def find_batch_videos(inputs: Sequence[str], out: str | None = None) -> list[BatchVideo]:
    """Return the videos in `inputs`, each once, in the order of their ids.

    Ids are relative to the folder, or to the part of a pattern before its first wildcard; a list gives its own ids.
    Hidden files and folders are skipped, and so are files in `out`.

    Raises:
        ValueError: nothing is given, two videos have one id, or a list that is none.
        FileNotFoundError: an input that means no video.
        OSError: an address that cannot be reached.
    """
    if not inputs:
        raise ValueError("no video given; name folders, patterns, lists (.txt, .csv, .parquet) or addresses (s3://)")
    found: dict[str, BatchVideo] = {}
    doubles = 0
    for text in inputs:
        videos = _at_address(text) if is_url(text) else _here(local_path(text), out)
        for video in videos:
            known = found.setdefault(video.id, video)
            if known is video:
                continue
            if _place(known.source) != _place(video.source):
                raise ValueError(
                    f"two videos have the id {video.id}: {shown(known.source)} and {shown(video.source)}; give them as "
                    "a list (CSV) with a column id"
                )
            doubles += 1
    if doubles:
        log.warning("%d entries repeat a video; each video is used once", doubles)
    return [found[key] for key in sorted(found)]


def _place(source: str) -> str:
    return source if is_url(source) else os.path.abspath(local_path(source))  # noqa: PTH100  resolves no links


def _here(text: str, out: str | None) -> list[BatchVideo]:
    """Find the videos of a word on this machine."""
    path = Path(text)
    if path.is_dir():
        found = [BatchVideo(key, str(file), file.stat().st_size) for key, file in _below(path, out)]
        return _some(found, text, folder=True)
    if path.is_file() and path.suffix.lower() in LISTS:
        return _some(read_list(text, path.read_bytes(), str(path.parent)), text)
    if path.is_file():
        return [BatchVideo(checked_id(path.name, text), text, path.stat().st_size)]
    root = _fixed(text)
    files = [Path(match) for match in sorted(glob.glob(text, recursive=True))]  # noqa: PTH207  may be absolute
    files = [file for file in files if file.is_file()]
    return _some(
        [
            BatchVideo(checked_id(os.path.relpath(file, root or "."), text), str(file), file.stat().st_size)
            for file in files
        ],
        text,
    )


def _below(folder: Path, out: str | None) -> Iterator[tuple[str, Path]]:
    """Return id and path of the videos in a folder and its subfolders."""
    results = None if out is None or is_url(out) else Path(local_path(out)).resolve()
    for at, names, files in os.walk(folder):
        here = Path(at)
        names[:] = sorted(name for name in names if not name.startswith(".") and (here / name).resolve() != results)
        for name in sorted(files):
            file = here / name
            if not name.startswith(".") and file.suffix.lower() in VIDEO_SUFFIXES and file.is_file():
                yield checked_id(file.relative_to(folder).as_posix(), str(file)), file


def _at_address(url: str) -> list[BatchVideo]:
    """Find the videos of a word at an address."""
    files, path = filesystem(url)
    head = url[: len(url) - len(path)] if url.endswith(path) else f"{url.partition('://')[0]}://"
    name = PurePosixPath(below_scheme(url))
    with reached(url):
        files.invalidate_cache()
        if name.suffix.lower() in LISTS:
            return _some(read_list(url, files.cat_file(path), url.rpartition("/")[0]), url)
        if _WILD.isdisjoint(path) and name.suffix.lower() in VIDEO_SUFFIXES:
            return [BatchVideo(checked_id(name.name, shown(url)), url, files.info(path).get("size"))]
        wild = bool(_WILD.intersection(path))
        root = _fixed(path) if wild else path
        found = files.glob(path, detail=True) if wild else files.find(path, detail=True)
    chosen = [_of_entry(name, entry, root, head) for name, entry in found.items() if _is_video(name, entry, root)]
    return _some(chosen, url, folder=True)


def _of_entry(name: str, entry: dict[str, Any], root: str, head: str) -> BatchVideo:
    return BatchVideo(checked_id(_relative(name, root), name), f"{head}{name}", entry.get("size"))


def _is_video(name: str, entry: dict[str, Any], root: str) -> bool:
    parts = PurePosixPath(_relative(name, root)).parts
    plain = not any(part.startswith(".") for part in parts)
    return entry.get("type") == "file" and plain and PurePosixPath(name).suffix.lower() in VIDEO_SUFFIXES


def _relative(name: str, root: str) -> str:
    return name.lstrip("/").removeprefix(root.strip("/")).lstrip("/")


def _fixed(pattern: str) -> str:
    """Return the folders of a pattern before its first wildcard."""
    parts = pattern.split("/")
    fixed = next((n for n, part in enumerate(parts[:-1]) if _WILD.intersection(part)), len(parts) - 1)
    return "/".join(parts[:fixed]) or ("/" if pattern.startswith("/") else "")


def _some(found: list[BatchVideo], text: str, *, folder: bool = False) -> list[BatchVideo]:
    """
    Raises:
        FileNotFoundError: none.
    """
    if found:
        return found
    looked = f"; known suffixes: {' '.join(sorted(VIDEO_SUFFIXES))}" if folder else ""
    raise FileNotFoundError(
        f"{shown(text)!r} is not a video, a folder with videos, a list or a pattern that matches a video{looked}"
    )
