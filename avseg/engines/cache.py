"""A disk cache of compiled graphs, so that the next run starts at once."""

from __future__ import annotations

import hashlib
import inspect
import logging
import os
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from torch import Tensor

from avseg.io.files import cache_folder, write_aside
from avseg.models.base import Model
from avseg.models.compiled import plain_state, uncompiled
from avseg.models.digest import update_with

log = logging.getLogger(__name__)
MOST_BYTES = 4 * 2**30
"""Largest total size; the least recently used graphs are removed first."""


def folder() -> Path:
    """Return the folder of the cache: `AVSEG_CACHE`, or `avseg` in the user's cache folder."""
    return cache_folder("engines")


def key_of(*facts: Any) -> str:
    """Return twenty digits that identify a graph."""
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:20]


def part_key(model: Model[Any], name: str) -> str:
    """Return the key of a part, from its weights, the config, and the traced code."""
    digest = hashlib.sha256(repr((name, model.config, model.task)).encode())
    update_with(digest, plain_state(uncompiled(getattr(model, name.partition(".")[0]))))
    digest.update(_code(type(model)).encode())
    return digest.hexdigest()


@cache
def _code(family: type) -> str:
    """Return a hash of the code of the family and of the shared layers."""
    digest = hashlib.sha256()
    for place in (Path(inspect.getfile(family)).parent, Path(__file__).parents[1] / "nn", Path(__file__).parent):
        for path in sorted(place.glob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def shapes_of(tensors: Sequence[Tensor] | None) -> tuple[tuple[int, ...], ...]:
    """Format shapes for keys; empty for a graph of any shape."""
    return tuple(tuple(one.shape) for one in tensors or ())


def read(name: str) -> bytes | None:
    """Read a compiled graph; None if it is not cached."""
    path = folder() / name
    try:
        found = path.read_bytes()
        os.utime(path)
    except OSError:
        return None
    return found


def write(name: str, content: bytes) -> None:
    """Cache a compiled graph; if the folder is not writable, the next run compiles again."""
    try:
        folder().mkdir(parents=True, exist_ok=True)
        with write_aside(folder() / name) as aside:
            aside.write_bytes(content)
        _prune(folder() / name)
    except OSError as error:
        log.warning("the compiled graph cannot be written to %s (%s)", folder(), error.strerror or error)


def _prune(kept: Path) -> None:
    files = [(path, path.stat()) for path in folder().iterdir() if path.is_file() and path != kept]
    total = kept.stat().st_size
    for path, stat in sorted(files, key=lambda one: one[1].st_mtime, reverse=True):
        total += stat.st_size
        if total > MOST_BYTES:
            path.unlink(missing_ok=True)


def machine() -> tuple[str, ...]:
    """Return the facts of this machine that a compiled graph depends on, besides the engine's version."""
    return sys.platform, str(os.cpu_count())
