"""Mask features of a clip, frame after frame: in memory while they are few, then in a file that nobody else sees."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

import numpy as np
import torch
from torch import Tensor

LARGEST = 2.0**15
"""Largest value stored directly in half precision; maps with larger values are stored scaled down."""


@dataclass(frozen=True)
class _Block:
    """Where the maps of some frames lie in the file."""

    shape: tuple[int, ...]
    divided_by: float


class Spool:
    """Maps (D, h, w) of one size, in order. The file has no name, so that it ends with whoever holds it."""

    def __init__(self, in_memory: int) -> None:
        """`in_memory`: more frames than this go to a file in half precision, all of them."""
        self.in_memory = in_memory
        self.most: int | None = None
        """Bytes that are held in memory; more go to the file as well."""
        self._held: list[Tensor] = []
        self._blocks: list[_Block] = []
        self._file: IO[bytes] | None = None
        self._device = torch.device("cpu")
        self.frames = 0

    def add(self, maps: Tensor) -> None:
        """The next maps (t, D, h, w).

        Raises:
            OSError: the disk is full.
        """
        self.frames += len(maps)
        self._held.append(maps)
        held = sum(block.numel() * block.element_size() for block in self._held)
        if self._file or self.frames > self.in_memory or (self.most is not None and held > self.most):
            self._device = maps.device
            while self._held:
                self._write(self._held.pop(0))

    def pieces(self, count: int) -> Iterator[Tensor]:
        """All maps in order, float32, (t, D, h, w) with t at most `count`."""
        blocks: Iterator[Tensor] = iter(self._held) if self._file is None else self._read()
        for block in blocks:
            for piece in torch.split(block, count):
                yield piece.float()

    def _write(self, maps: Tensor) -> None:
        divided_by = max(1.0, float(maps.abs().amax()) / LARGEST)
        stored = (maps / divided_by if divided_by > 1 else maps).to(torch.float16)
        try:
            self._file = self._file or tempfile.TemporaryFile(prefix="avseg-")  # noqa: SIM115  ends with the spool
            self._file.write(stored.cpu().contiguous().numpy().data)
            self._file.flush()
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise
            there = sum(block.shape[0] for block in self._blocks)
            need = stored[0].numel() * stored.element_size() / 2**20
            raise OSError(
                f"{tempfile.gettempdir()} is full after the maps of {there} frames, {need:.1f} MiB each; "
                "make room there, name another folder in TMPDIR, or let more of them stay in memory (frames_in_memory)"
            ) from error
        self._blocks.append(_Block(tuple(stored.shape), divided_by))

    def _read(self) -> Iterator[Tensor]:
        assert self._file is not None
        self._file.seek(0)
        for block in self._blocks:
            stored = np.empty(block.shape, np.float16)
            self._file.readinto(stored.data)  # type: ignore[attr-defined]  # of the file that tempfile opens
            maps = torch.from_numpy(stored).to(self._device)
            yield maps.float() * block.divided_by if block.divided_by > 1 else maps
