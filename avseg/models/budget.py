"""How many pictures a network sees at once, so that a prediction keeps to a budget of memory."""

from __future__ import annotations

import ctypes
import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch

_STATM = Path("/proc/self/statm")
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
_EVERY = 0.002
"""s between two looks at the memory of this process."""
_SMALLEST = 2**20
"""Bytes that a picture takes at least."""
_HELD = 0.25
"""The share of what is left beside the model that may hold what comes out of the network until all has been seen."""


def bytes_of(text: str | int) -> int:
    """`2GiB`, `800MB` or a number of bytes.

    >>> bytes_of("2GiB")
    2147483648

    Raises:
        ValueError: another text, or none at all.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]i?)?b?\s*", str(text).lower())
    size = round(float(found[1]) * _UNITS[found[2] or ""]) if found else 0
    if not size:
        raise ValueError(f"memory is {text!r}; wanted a size such as 2GiB or 800MB")
    return size


class Budget:
    """Memory budget of one prediction; the first picture runs alone, and its memory determines the size of the next
    pieces.
    """

    def __init__(self, limit: int | None = None, device: torch.device | str = "cpu") -> None:
        """
        Args:
            limit: bytes that this process, on a GPU its tensors, may have in all, the model's among them; at least one
                picture is seen at a time however little this is. None: as many as the model likes.
            device: where the network is.
        """
        self.limit, self.device = limit, torch.device(device)
        self._each: float | None = None
        """Bytes that a picture took."""
        self._room = 0
        """Bytes that were left before the first one."""

    @property
    def to_hold(self) -> int | None:
        """Bytes that may be held of what comes out of the network; None: any number."""
        return None if self.limit is None or self._each is None else max(int(_HELD * self._room), 0)

    def at_once(self, liked: int) -> int:
        """Pictures of the next piece, of which the model likes to see `liked`."""
        if self.limit is None:
            return liked
        if self._each is None:
            return 1
        return max(1, min(liked, int((1 - _HELD) * self._room / self._each)))

    def pieces(self, count: int, liked: int, group: int = 1) -> Iterator[slice]:
        """`count` pictures in order, some at a time; the first piece is measured until the next one is asked for.

        Args:
            count: how many there are, or groups of them.
            liked: pictures that the model likes to see at once.
            group: pictures that cannot be parted.
        """
        begin = 0
        while begin < count:
            piece = slice(begin, min(begin + max(1, self.at_once(liked) // group), count))
            with self._measured(group * (piece.stop - begin)):
                yield piece
            begin = piece.stop

    @contextmanager
    def _measured(self, pictures: int) -> Iterator[None]:
        if self.limit is None or self._each is not None:
            yield
            return
        give_back()
        on_gpu = self.device.type == "cuda"
        self._room = self.limit - (torch.cuda.memory_allocated(self.device) if on_gpu else resident())
        with _Peak(self.device) as peak:
            yield
        self._each = max(peak.grown, _SMALLEST) / pictures


class _Peak:
    """How far memory grows during a block, on a GPU as PyTorch counts it, elsewhere as a thread sees it that looks
    often.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.grown = 0
        """Bytes."""
        self._before = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> _Peak:
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
            self._before = torch.cuda.memory_allocated(self.device)
        else:
            self._before = allocated()
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.device.type == "cuda":
            self.grown = torch.cuda.max_memory_allocated(self.device) - self._before
            return
        self._look()  # what a short block still holds
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        self.grown = max(self.grown, allocated() - self._before)

    def _watch(self) -> None:
        while not self._ended.wait(_EVERY):
            self._look()


def give_back() -> None:
    """Have glibc return free memory: a picture that fits into it would seem to take none."""
    with suppress(OSError, AttributeError, TypeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)


def resident() -> int:
    """Bytes of memory that this process has; where that cannot be read, the most that it has had."""
    if _STATM.exists():
        return _statm()[1]
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def allocated() -> int:
    """`resident` without pages of files: the system takes those away and brings them back whatever the process does."""
    if not _STATM.exists():
        return resident()
    _, whole, of_files, *_ = _statm()
    return whole - of_files


def _statm() -> list[int]:
    """Bytes in the order of proc(5): in all, resident, resident of files, ..."""
    page = os.sysconf("SC_PAGE_SIZE")
    return [int(pages) * page for pages in _STATM.read_text(encoding="ascii").split()]
