"""Batches of clips; the order, the random draws and the shares of processes depend only on (seed, epoch)."""

from __future__ import annotations

import gc
import logging
import os
import pickle
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch.utils.data import DataLoader, Dataset, Sampler, get_worker_info

from avseg.data.base import ClipDataset, need_dataset
from avseg.data.framing import FrameChooser
from avseg.data.geometry import Geometry
from avseg.data.transforms import Transform, apply
from avseg.types import Batch, Clip, Draw

log = logging.getLogger(__name__)


class _Key(NamedTuple):
    epoch: int
    place: int


class _Item(NamedTuple):
    key: _Key
    clip: Clip


class ClipSampler(Sampler[list[_Key]]):
    """Gives the keys of each batch of one process. Its position can be set; it does not move on by itself.

    With W processes, batch s of process r is its part of the clips [s * B * W, (s + 1) * B * W) of the epoch's order,
    so W processes with B clips see together what one process with W * B sees. Where the last clips are shared out
    unevenly the first processes get one more. While shuffling (training) every process gets at least one, taken from
    the front of the order where there are fewer clips than processes; otherwise no clip is given out twice.
    """

    def __init__(self, clips: int, batch_size: int, seed: int, shuffle: bool, drop_last: bool = False) -> None:
        """`drop_last` leaves out the last clips of an epoch where they do not fill the batches of all processes."""
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}, wanted at least 1")
        self.clips, self.batch_size, self.seed, self.shuffle = clips, batch_size, seed, shuffle
        self.drop_last = drop_last
        self.epoch, self.step, self.rank, self.world = 0, 0, 0, 1

    def order(self, epoch: int) -> list[int]:
        """All clips in the order of an epoch, the same for every process."""
        if not self.shuffle:
            return list(range(self.clips))
        return torch.randperm(self.clips, generator=Draw(self.seed, epoch).generator()).tolist()

    def batches(self, epoch: int) -> list[list[int]]:
        """The clips of every batch of this process.

        Raises:
            ValueError: `drop_last` would leave out all of them.
        """
        order = self.order(epoch)
        together = self.batch_size * self.world
        if self.drop_last:
            if self.clips < together:
                raise ValueError(
                    f"{self.clips} clips do not fill one batch of {together} ({self.batch_size} on each of "
                    f"{self.world} processes), so no batch is left for training; lower batch_size or drop_last"
                )
            order = order[: self.clips // together * together]
        shares = [self._share(order[begin : begin + together], order) for begin in range(0, len(order), together)]
        return [share for share in shares if share]

    def _share(self, group: list[int], order: list[int]) -> list[int]:
        if self.shuffle and len(group) < self.world:
            group = [*group, *(order * self.world)[: self.world - len(group)]]
        each, more = divmod(len(group), self.world)
        begin = self.rank * each + min(self.rank, more)
        return group[begin : begin + each + (self.rank < more)]

    def __iter__(self) -> Iterator[list[_Key]]:
        epoch = self.epoch
        return iter([[_Key(epoch, place) for place in batch] for batch in self.batches(epoch)[self.step :]])

    def __len__(self) -> int:
        """Batches of a whole epoch, wherever the position is."""
        return len(self.batches(self.epoch))


class _RemoteError(Exception):
    """Where an error came about in a worker, as text."""


@dataclass(frozen=True)
class _Failure:
    """A worker's error in place of a clip or batch; PyTorch itself would put a traceback into the message."""

    error: Exception
    trace: str

    @classmethod
    def of(cls, error: Exception) -> _Failure:
        """Wrap the current error; raises it again outside of worker processes."""
        if get_worker_info() is None:
            raise error
        trace = traceback.format_exc()
        try:
            whole = str(pickle.loads(pickle.dumps(error))) == str(error)
        except Exception:  # noqa: BLE001 whatever hinders it from being sent
            whole = False
        return cls(error if whole else RuntimeError(f"{type(error).__name__}: {error}"), trace)


class _Prepared(Dataset[_Item]):
    """Reads a clip and transforms it with the generator of (seed, epoch, index)."""

    def __init__(self, dataset: ClipDataset, transforms: Sequence[Transform], seed: int) -> None:
        self.dataset, self.transforms, self.seed = dataset, list(transforms), seed

    def __getitem__(self, key: _Key) -> _Item | _Failure:  # type: ignore[override]
        generator = Draw(self.seed, key.epoch).generator(key.place)
        try:
            clip, transforms = self._read(key.place, generator)
            return _Item(key, apply(transforms, clip, generator))
        except Exception as error:  # noqa: BLE001 it is raised in the process that asked
            return _Failure.of(error)

    def _read(self, place: int, generator: torch.Generator) -> tuple[Clip, list[Transform]]:
        """A clip after those first transforms that its reader does itself, and the others."""
        dataset, rest = self.dataset, self.transforms
        frames: list[int] | None = None
        if rest and isinstance(chooser := rest[0], FrameChooser) and dataset.knows_frames:
            frames, rest = chooser.choose(dataset.annotated(place), generator, dataset.length(place)), rest[1:]
        if rest and isinstance(geometry := rest[0], Geometry):
            return dataset.read(place, geometry, frames), rest[1:]
        return dataset.read(place, None, frames), rest


@dataclass(frozen=True)
class _Collate:
    seed: int
    frames: int | None

    def __call__(self, found: Sequence[_Item | _Failure]) -> Batch | _Failure:
        for item in found:
            if isinstance(item, _Failure):
                return item
        try:
            return self._together([item for item in found if isinstance(item, _Item)])
        except Exception as error:  # noqa: BLE001 it is raised in the process that asked
            return _Failure.of(error)

    def _together(self, items: Sequence[_Item]) -> Batch:
        batch = Batch.collate([item.clip for item in items], self.frames)
        draw = Draw(self.seed, items[0].key.epoch)
        return replace(batch, draw=draw, index=[item.key.place for item in items])


class ClipLoader(DataLoader[Batch]):
    """A loader whose place in training can be set; make it with `make_loader`.

    An error while a clip is read is raised here as it was in the worker that read it.
    """

    clip_sampler: ClipSampler

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        with _garbage_kept():
            batches: Iterator[Any] = iter(super().__iter__())
        while (batch := _next(batches)) is not None:
            yield batch

    def set_position(self, epoch: int, step: int = 0) -> None:
        """The next iteration gives the batches of `epoch` from `step` on, the same as if it had run from the start."""
        self.clip_sampler.epoch, self.clip_sampler.step = epoch, step

    def shard(self, rank: int, world: int) -> ClipLoader:
        """Give only the part of process `rank` of `world`; batch sizes are per process. Returns itself."""
        if not 0 <= rank < world:
            raise ValueError(f"rank {rank} of {world} processes does not exist")
        self.clip_sampler.rank, self.clip_sampler.world = rank, world
        return self


@contextmanager
def _garbage_kept() -> Iterator[None]:
    """Keep processes that are forked in the block from collecting garbage of this one: some of it, such as the filters
    of a sound that was resampled, has threads, and a process that frees it without them waits forever."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _next(batches: Iterator[Any]) -> Batch | None:
    try:
        batch: Batch | _Failure | None = next(batches, None)
    except RuntimeError as error:
        if not str(error).startswith("DataLoader worker"):
            raise
        raise RuntimeError(
            f"a process that reads clips ended unexpectedly ({str(error).strip()}); if memory is short, use "
            "fewer processes (--train.workers, --workers) or smaller batches"
        ) from error
    if isinstance(batch, _Failure):
        raise batch.error from _RemoteError(f"\n{batch.trace}")
    return batch


def workers_here(wanted: int) -> int:
    """`wanted` processes that read clips, but no more than this process may use cores; a log line says so."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if wanted > cores:
        log.info(
            "requested %d processes that read clips; this machine has %d cores, so %d are used",
            wanted,
            cores,
            cores,
        )
    return min(wanted, cores)


def make_loader(
    dataset: ClipDataset,
    transforms: Sequence[Transform] = (),
    *,
    batch_size: int,
    seed: int = 0,
    shuffle: bool = False,
    workers: int = 0,
    drop_last: bool = False,
) -> ClipLoader:
    """Batches of a data set; the last one may be short, or is left out (`drop_last`).

    What a clip looks like follows (seed, epoch, index), so it depends neither on the number of workers nor on the
    batch. `Batch.draw` and `Batch.index` are filled. A data set with `batch_frames` has every batch padded to it,
    unless frames of each clip are drawn.

    Raises:
        TypeError: a data set that is no `ClipDataset`.
        ValueError: batches of no clip, or fewer than no workers.
    """
    need_dataset(dataset)
    if workers < 0:
        raise ValueError(f"workers is {workers}, wanted 0 (clips are read in this process) or more")
    sampler = ClipSampler(len(dataset), batch_size, seed, shuffle, drop_last)
    drawn = any(isinstance(transform, FrameChooser) for transform in transforms)
    frames = None if drawn else dataset.batch_frames
    loader = ClipLoader(
        _Prepared(dataset, transforms, seed),  # type: ignore[arg-type]
        batch_sampler=sampler,
        num_workers=workers,
        collate_fn=_Collate(seed, frames),
        persistent_workers=workers > 0,
    )
    loader.clip_sampler = sampler
    return loader
