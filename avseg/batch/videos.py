"""The videos of a batch: what each is called, where it lies, and which part of the work it belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import PurePosixPath


@dataclass(frozen=True)
class BatchVideo:
    """One video of a list."""

    id: str
    """A relative path such as `dogs/rex.mp4`; its result stands in a folder of that name."""
    source: str
    """A path or a URL."""
    bytes: int | None = None
    """Size of the file, where the list that it comes from tells."""


def part_of_id(key: str, parts: int) -> int:
    """Which of `parts` equal parts a video belongs to, from 0: the same on every machine, whatever else is listed."""
    return int(sha256(key.encode()).hexdigest()[:15], 16) % parts


def checked_id(text: str, where: str) -> str:
    """An id without a slash at its beginning.

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
