"""Descriptions of a data set's files, for packing clips into shards. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple


class ClipFile(NamedTuple):
    """A file that a clip may be read from."""

    role: str
    """frame, label, sound, or a word of the data set's own."""
    name: str
    """Where it lies below the root of the data set, with forward slashes."""
    needed: bool = True
    """It must be there; others, which only some options read, are packed where they are."""


@dataclass(frozen=True)
class SplitTables:
    """The tables needed to open a split, besides the files of its clips."""

    whole: tuple[str, ...]
    """Files that are read when the data set opens, by their names below the root."""
    named: tuple[str, ...] = ()
    """Files of which the name, the size and the time matter then, and not what is in them."""


def below(root: Path, path: Path) -> str:
    """The name of a file below `root`, with forward slashes.

    Raises:
        ValueError: it lies elsewhere.
    """
    try:
        return path.relative_to(root).as_posix()
    except ValueError:
        raise ValueError(
            f"{path} is outside of {root}, the folder of its data set; move it inside to pack it"
        ) from None
