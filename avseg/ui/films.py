"""The examples of the page: synthetic films, made on request."""

from __future__ import annotations

import threading
from pathlib import Path

from avseg.demo.film import write_film
from avseg.demo.listening import HELD_OUT_SEED

FILMS = {"Four shapes, one after the other": HELD_OUT_SEED, "Four other shapes": HELD_OUT_SEED + 1}
"""Seeds of the films by the labels of their buttons."""
_one = threading.Lock()


def film(folder: Path, words: str) -> Path:
    """Return the film of a button; making it takes some seconds the first time.

    Raises:
        OSError: a folder that cannot be written to.
    """
    path = folder / f"{'-'.join(words.lower().replace(',', '').split())}.mp4"
    with _one:
        return path if path.exists() else write_film(path, FILMS[words])
