"""Files inside shards, which readers open by the paths that they would have in a folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import BinaryIO

Read = Callable[[], bytes]
"""Gives the content of a file."""

_lock = Lock()
_held: dict[str, tuple[Read, int]] = {}
"""By path, how a file is read, and how many blocks hold it."""
_assumed: dict[str, set[str]] = {}
"""By folder, the files below it that somebody asked for."""


@contextmanager
def held(files: Mapping[str, Read]) -> Iterator[None]:
    """For the length of the block, in all threads of this process, paths are files with a given content."""
    with _lock:
        for path, read in files.items():
            _held[path] = (read, _held[path][1] + 1 if path in _held else 1)
    try:
        yield
    finally:
        with _lock:
            for path in files:
                read, count = _held.pop(path)
                if count > 1:
                    _held[path] = (read, count - 1)


@contextmanager
def assumed(folder: Path) -> Iterator[set[str]]:
    """For the length of the block `is_file` and `is_folder` take everything below `folder` to be there.

    Gives the set of the files that were asked for, which grows with the block.
    """
    asked: set[str] = set()
    with _lock:
        _assumed[str(folder)] = asked
    try:
        yield asked
    finally:
        with _lock:
            _assumed.pop(str(folder), None)


def opened(path: Path) -> Path | BytesIO:
    """Return an object that libraries can open: the path itself, or the content of a file in a shard."""
    found = _held.get(str(path))
    return path if found is None else BytesIO(found[0]())


def open_binary(path: Path) -> BinaryIO:
    """A file on the disk or in a shard, for reading."""
    source = opened(path)
    return source if isinstance(source, BytesIO) else source.open("rb")


def is_held(path: Path) -> bool:
    """Whether a path is a file in a shard."""
    return str(path) in _held


def is_file(path: Path) -> bool:
    """Whether a file is on the disk or in a shard."""
    if str(path) in _held:
        return True
    asked = _asked(path)
    if asked is not None:
        asked.add(str(path))
    return asked is not None or path.is_file()


def is_folder(path: Path) -> bool:
    """Whether a folder is on the disk, or a shard has files below it."""
    below = f"{path}{os.sep}"
    with _lock:
        inside = any(name.startswith(below) for name in _held)
    return inside or _asked(path) is not None or path.is_dir()


def is_assumed(path: Path) -> bool:
    """Whether a path is in a folder of which only the tables are on the disk, while a data set opens there."""
    return _asked(path) is not None


def _asked(path: Path) -> set[str] | None:
    for folder, asked in list(_assumed.items()):
        if str(path) == folder or str(path).startswith(f"{folder}{os.sep}"):
            return asked
    return None


def _forget() -> None:
    """A forked process has no threads of its parent that could release the lock."""
    global _lock
    _lock = Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
