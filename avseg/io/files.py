"""Files that are whole or absent."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def write_aside(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` to write to; it takes the place of `path` only when the block ends well.

    The temporary name keeps the suffix of `path`, so that writers which look at it work. Parents are made.
    On any error, an interrupt included, the half-written file is removed and `path` stays as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        yield aside
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


@contextmanager
def write_folder_aside(path: Path) -> Iterator[Path]:
    """The same for a folder: what the block wrote replaces `path` as a whole when it ends well."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent))
    aside.chmod(0o755)
    try:
        yield aside
        if path.exists():
            shutil.rmtree(path)
        aside.replace(path)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file aside, then put it in place."""
    with write_aside(path) as aside:
        aside.write_text(text, encoding="utf-8", newline="\n")


def inside(root: Path, *parts: str) -> Path:
    """`root / parts`, refusing a name that would leave `root`.

    Raises:
        ValueError: an absolute name, a drive, or `..`.
    """
    path = Path(root).joinpath(*parts)
    if not path.resolve().is_relative_to(Path(root).resolve()):
        raise ValueError(
            f"the name {'/'.join(parts)!r} leads out of {root}; names must stay inside the data set's folder"
        )
    return path
