"""One writer for a run folder: a lock of the operating system, which ends with the process that holds it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_held: set[Path] = set()


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Hold `folder` for the length of the block; `folder/.lock` stays behind and means nothing by itself.

    The lock is the process's own: children do not inherit it, so that a killed run's data workers, which live on for
    some seconds, do not keep the folder.

    Raises:
        RuntimeError: another process, or this one, writes to the folder now.
    """
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    sentence = f"another run writes to {folder} now; wait for it, stop it, or choose another run folder"
    if folder in _held:
        raise RuntimeError(sentence)
    handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o666)
    try:
        _lock(handle)
    except OSError as error:
        os.close(handle)
        raise RuntimeError(sentence) from error
    _held.add(folder)
    try:
        yield
    finally:
        _held.discard(folder)
        os.close(handle)


if sys.platform == "win32":

    def _lock(handle: int) -> None:
        import msvcrt

        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)

else:

    def _lock(handle: int) -> None:
        import fcntl

        # lockf and not flock: the latter's locks are shared with forked children.
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
