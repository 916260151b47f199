"""The videos of a batch: id, source, and part of the work."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import PurePosixPath


@dataclass(frozen=True)
class BatchVideo:
    """One video of a list."""

    id: str
    """A relative path such as `dogs/rex.mp4`, which is also the name of its result folder."""
    source: str
    """A path or a URL."""
    bytes: int | None = None
    """Size of the file, if the list or folder gives it."""


def part_of_id(key: str, parts: int) -> int:
    """Return the part of a video, from 0 to `parts` - 1: the same on every machine and for every list."""
    return int(sha256(key.encode()).hexdigest()[:15], 16) % parts


def checked_id(text: str, where: str) -> str:
    """Check an id and return it without a leading slash.

    Args:
        text: what somebody wrote, or a path.
        where: where it comes from, for the sentence.

    Raises:
        ValueError: a name that would leave the folder of the results, or that no file can have.
    """
    parts = PurePosixPath(text.lstrip("/")).parts
    if not parts or ".." in parts or any(ord(letter) < 32 or letter == "\x7f" for letter in text):
        raise ValueError(
            f"{where}: {text!r} cannot name a result; give a list with a column id, of relative paths such as dogs/rex"
        )
    return "/".join(parts)
