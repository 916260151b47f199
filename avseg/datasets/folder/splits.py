"""Splits of videos, from a table or a hash of the name. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from avseg.config import did_you_mean
from avseg.data.tables import read_table

SPLITS = ("train", "val", "test")
TABLE = "split.csv"
HELD_OUT = 0.1
"""Share of the videos in val, and in test."""


def split_table(root: Path, given: Path | None) -> Path | None:
    """The table to go by; None: there is none, and names are hashed."""
    if given is not None:
        return given
    return root / TABLE if (root / TABLE).is_file() else None


def read_splits(path: Path, videos: Sequence[str]) -> dict[str, str]:
    """The split of each video that the table lists.

    Raises:
        FileNotFoundError: no such file.
        ValueError: an unknown split, a video that is listed twice or is not there.
    """
    splits: dict[str, str] = {}
    for number, row in enumerate(read_table(path, [("name", None), ("split", None)]), start=2):
        name, split = row["name"], row["split"]
        if name not in videos:
            stem = name.rpartition(".")[0]
            if stem not in videos:
                raise ValueError(
                    f"{path} line {number} names the video {name!r}, which does not exist; {did_you_mean(name, videos)}"
                )
            name = stem
        if split not in SPLITS:
            raise ValueError(f"{path} line {number} has the split {split!r}, wanted one of {', '.join(SPLITS)}")
        if name in splits:
            raise ValueError(f"{path} line {number} names the video {name!r} again; keep one of its lines")
        splits[name] = split
    return splits


def hash_splits(videos: Sequence[str]) -> dict[str, str]:
    """A split for each video that follows from its name: about 10 % test, 10 % val.

    From three videos on none of the splits is empty, and of two videos the second one is for test. A video keeps its
    split when others come, but for those that fill a split which would be empty.
    """
    share = {name: int.from_bytes(sha256(name.encode("utf-8")).digest()[:8], "big") / 2**64 for name in videos}
    order = sorted(videos, key=lambda name: share[name])
    splits = dict.fromkeys(order, "train")
    for name in order:
        if share[name] < 2 * HELD_OUT:
            splits[name] = "test" if share[name] < HELD_OUT else "val"
    _fill(order, splits)
    return splits


def _fill(order: Sequence[str], splits: dict[str, str]) -> None:
    """Give every split a video where there are enough: test that of the smallest share, train that of the largest."""
    if order and "train" not in splits.values():
        splits[order[-1]] = "train"
    if order[1:] and "test" not in splits.values():
        splits[order[0]] = "test"
    if "val" not in splits.values() and order[2:]:
        rest = [name for name in order if splits[name] == "train"]
        splits[rest[0] if rest[1:] else next(name for name in reversed(order) if splits[name] == "test")] = "val"
