"""A data set read from shards; its reader gets the same files as from a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from torch import Tensor

from avseg.data.base import ClipDataset
from avseg.data.config import DataConfig
from avseg.data.geometry import Geometry
from avseg.data.packing import ClipFile
from avseg.datasets import spec_of
from avseg.io.packed import assumed, held
from avseg.lazy import imported
from avseg.shards.layout import key_of
from avseg.shards.shelf import Shelf
from avseg.types import Clip, Target


class ShardedDataset(ClipDataset):
    """One split, equal bit for bit to the clips read from the folder."""

    def __init__(self, dataset: ClipDataset, root: Path, shelf: Shelf, rows: Sequence[int]) -> None:
        """
        Args:
            dataset: The reader, opened on the tables.
            root: Where the tables lie.
            shelf: The shards.
            rows: Where each clip stands in their index.
        """
        self.dataset, self.root, self.shelf, self.rows = dataset, root, shelf, rows
        self.task, self.suite, self.config, self.ids = dataset.task, dataset.suite, dataset.config, dataset.ids
        self.batch_frames, self.knows_frames, self.contrast = (
            dataset.batch_frames,
            dataset.knows_frames,
            dataset.contrast,
        )
        self.video_ids, self.category_ids = dataset.video_ids, dataset.category_ids

    def read(self, index: int, geometry: Geometry | None = None, frames: Sequence[int] | None = None) -> Clip:
        """Read a clip with the reader of the data set.

        Raises:
            FileNotFoundError, ValueError, OSError: what the reader refuses; a shard that is damaged, gone or out of
                reach.
        """
        with self._files(index):
            return self.dataset.read(index, geometry, frames)

    def annotated(self, index: int) -> Sequence[int]:
        if self.knows_frames:
            return self.dataset.annotated(index)
        with self._files(index):
            return self.dataset.annotated(index)

    def length(self, index: int) -> int:
        if self.knows_frames:
            return self.dataset.length(index)
        with self._files(index):
            return self.dataset.length(index)

    def extent(self, index: int) -> tuple[int, tuple[int, int]]:
        with self._files(index):
            return self.dataset.extent(index)

    def target(self, index: int) -> Target:
        with self._files(index):
            return self.dataset.target(index)

    def sound(self, index: int) -> tuple[Tensor, int]:
        with self._files(index):
            return self.dataset.sound(index)

    def heard_classes(self, index: int) -> frozenset[str]:
        with self._files(index):
            return self.dataset.heard_classes(index)

    def unseen_sound(self, index: int, seed: int) -> Tensor | None:
        with self._files(index):
            return self.dataset.unseen_sound(index, seed)

    def clip_files(self, index: int) -> Sequence[ClipFile]:
        return self.dataset.clip_files(index)

    @contextmanager
    def _files(self, index: int) -> Iterator[None]:
        """Make the files of a clip available; errors name the shard instead of the folder."""
        row = int(self.rows[index])
        files = self.shelf.files(row)
        try:
            with held({f"{self.root}{os.sep}{name.replace('/', os.sep)}": read for name, read in files.items()}):
                yield
        except (FileNotFoundError, ValueError) as error:
            text = str(error).replace(str(self.root), self.shelf.shard_of(row))
            if text == str(error):
                raise
            raise (FileNotFoundError if isinstance(error, FileNotFoundError) else ValueError)(text) from error


def open_shards(config: DataConfig, split: str, place: str) -> ShardedDataset:
    """Open one split of the data set in `config` from shards.

    Raises:
        FileNotFoundError, ValueError, OSError: shards of another data set, without all clips of the split, damaged or
            out of reach; what the reader refuses.
    """
    shelf = Shelf(place)
    if shelf.index.name != config.name:
        raise ValueError(
            f"the shards {shelf.shown('')} hold the data set {shelf.index.name!r}, not {config.name!r}; "
            f"use --data.name {shelf.index.name}, or other shards"
        )
    if split not in shelf.index.splits:
        raise ValueError(
            f"the shards {shelf.shown('')} hold {', '.join(shelf.index.splits)} "
            f"but not {split}; pack that split as well"
        )
    root = shelf.tables()
    with assumed(root) as asked:
        dataset: ClipDataset = imported(spec_of(config).open)(config.on_shards(root), split, root)
    keys = [key_of(dataset.clip_files(index)) for index in range(len(dataset))]
    rows = shelf.find(keys)
    missing = [dataset.ids[index] for index in (rows < 0).nonzero()[0]]
    if missing:
        raise ValueError(
            f"the shards {shelf.shown('')} lack {len(missing)} of {len(dataset)} clips of {split}, the first one is "
            f"{missing[0]!r}; pack the data set again with the options of the recipe"
        )
    if len(dataset):
        _check_asked(shelf, dataset, {Path(path).relative_to(root).as_posix() for path in asked})
    return ShardedDataset(dataset, root, shelf, rows.tolist())


def _check_asked(shelf: Shelf, dataset: ClipDataset, asked: set[str]) -> None:
    """Check that the records have the files that the options of the data set need."""
    clips = sum(shard.nsamples for shard in shelf.index.shardlist)
    for role in sorted({file.role for file in dataset.clip_files(0) if file.name in asked}):
        count = shelf.index.roles.get(role, 0)
        if count < clips:
            raise FileNotFoundError(
                f"the shards {shelf.shown('')} hold {role} of {count} of {clips} clips, "
                f"but the options of {dataset.config.name!r} need "
                "it for all; make the files and pack the data set again, or change the options"
            )
