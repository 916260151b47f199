"""The examples of the page: films of the synthetic world, made when somebody asks for them."""

from __future__ import annotations

import threading
from pathlib import Path

from avseg.demo.film import write_film
from avseg.demo.listening import HELD_OUT_SEED

FILMS = {"Four shapes, one after the other": HELD_OUT_SEED, "Four other shapes": HELD_OUT_SEED + 1}
"""By the words on its button: the seed of a film."""
_one = threading.Lock()


def film(folder: Path, words: str) -> Path:
    """The film of a button; seconds the first time.

    Raises:
        OSError: a folder that cannot be written to.
    """
    path = folder / f"{'-'.join(words.lower().replace(',', '').split())}.mp4"
    with _one:
        return path if path.exists() else write_film(path, FILMS[words])
