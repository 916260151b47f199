"""Order, draws and shares follow (seed, epoch, index), whatever the number of workers and processes."""

from __future__ import annotations

import gc
import os
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import multiprocessing

from avseg.data import ClipDataset, DataConfig, build_dataset, make_loader
from avseg.data.loader import ClipSampler
from avseg.data.transforms import HorizontalFlip
from avseg.datasets import data_config
from avseg.types import Batch, Clip, Draw, Task


class Numbers(ClipDataset):
    """Clip i shows nothing but i, brighter to the right."""

    task, suite = Task("binary"), "avsbench_object"
    config = DataConfig()

    def __init__(self, count: int) -> None:
        self.ids = [f"clip{i}" for i in range(count)]

    def __getitem__(self, index: int) -> Clip:
        frames = (torch.arange(4, dtype=torch.uint8) + 10 * index).expand(1, 3, 4, 4).contiguous()
        return Clip(self.ids[index], frames, torch.zeros(1, dtype=torch.float64), torch.zeros(1, 8), 8)


def loader(count: int = 10, batch_size: int = 3, workers: int = 0, **options: Any) -> Any:
    options = {"seed": 7, "shuffle": True} | options
    return make_loader(Numbers(count), [HorizontalFlip()], batch_size=batch_size, workers=workers, **options)


def pictures(batches: list[Batch]) -> torch.Tensor:
    return torch.cat([batch.frames.flatten(1) for batch in batches])


def test_what_is_no_data_set_is_refused() -> None:
    with pytest.raises(
        TypeError, match=r"list is not a data set of clips; derive its class from avseg\.data\.ClipDataset"
    ):
        make_loader([Numbers(1)[0]], batch_size=1)  # type: ignore[arg-type]


def test_workers_change_nothing_and_survive_epochs() -> None:
    alone, helped = loader(), loader(workers=2)
    for epoch in (0, 1, 5):
        alone.set_position(epoch)
        helped.set_position(epoch)
        a, b = list(alone), list(helped)
        assert [x.ids for x in a] == [x.ids for x in b]
        assert torch.equal(pictures(a), pictures(b))
        assert [x.draw for x in b] == [Draw(7, epoch)] * 4


class Freed:
    """Garbage that tells which process frees it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.self = folder, self

    def __del__(self) -> None:
        (self.folder / str(os.getpid())).touch()


class Collecting(Numbers):
    """Collects garbage while it reads."""

    def __getitem__(self, index: int) -> Clip:
        gc.collect()
        return super().__getitem__(index)


def test_workers_do_not_free_the_garbage_of_their_parent(tmp_path: Path) -> None:
    """Freed there, FFmpeg's filters with their threads would never end."""
    batches = make_loader(Collecting(8), [], batch_size=2, workers=2)
    gc.disable()
    try:
        Freed(tmp_path)
        assert len(list(batches)) == 4
        assert list(tmp_path.iterdir()) == []
        assert gc.get_freeze_count() == 0
    finally:
        gc.enable()
    gc.collect()
    assert [path.name for path in tmp_path.iterdir()] == [str(os.getpid())]


def test_epochs_and_seeds_differ_in_order_and_draws() -> None:
    first, second = loader(60), loader(60)
    second.set_position(1)
    a, b = list(first), list(second)
    c = list(loader(60, seed=8))
    assert len({tuple(i for batch in x for i in batch.index) for x in (a, b, c)}) == 3
    flips = [
        {i: bool(p[0] > p[1]) for x in run for i, p in zip(x.index, x.frames[:, 0, 0, 0], strict=True)}
        for run in (a, b)
    ]
    assert 10 < sum(flips[0].values()) < 50
    assert flips[0] != flips[1]


def test_draws_do_not_depend_on_the_batch_a_clip_is_in() -> None:
    by_clip = []
    for batch_size in (1, 4):
        batches = list(loader(batch_size=batch_size))
        by_clip.append({i: frame for b in batches for i, frame in zip(b.index, b.frames, strict=True)})
    assert all(torch.equal(by_clip[0][i], by_clip[1][i]) for i in range(10))


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("step", [0, 1, 3, 4])
def test_an_epoch_goes_on_from_any_step(step: int, workers: int) -> None:
    whole, rest = loader(), loader(workers=workers)
    whole.set_position(2)
    rest.set_position(2, step)
    a, b = list(whole)[step:], list(rest)
    assert [x.index for x in a] == [x.index for x in b]
    assert len(a) == 0 or torch.equal(pictures(a), pictures(b))
    assert len(rest) == 4


def test_the_last_batch_is_short_and_nothing_is_lost() -> None:
    batches = list(loader(shuffle=False))
    assert [len(b) for b in batches] == [3, 3, 3, 1]
    assert [i for b in batches for i in b.index] == list(range(10))


@pytest.mark.parametrize("count", [12, 10, 9, 1])
@pytest.mark.parametrize("world", [1, 2, 3, 4])
@pytest.mark.parametrize("shuffle", [True, False])
def test_processes_share_what_one_process_sees(count: int, world: int, shuffle: bool) -> None:
    one = ClipSampler(count, 2 * world, 7, shuffle).batches(3)
    parts = []
    for rank in range(world):
        sampler = ClipSampler(count, 2, 7, shuffle)
        sampler.rank, sampler.world = rank, world
        parts.append(sampler.batches(3))
    for step, together in enumerate(one):
        seen = [clip for part in parts if step < len(part) for clip in part[step]]
        assert seen[: len(together)] == together
        assert seen == together or (shuffle and len(together) < world == len(seen))
    if shuffle:
        assert {len(part) for part in parts} == {len(one)}  # nobody waits for a process that has no clip


def test_shard_of_a_loader() -> None:
    parts = [[b.index for b in loader(shuffle=False, batch_size=2).shard(rank, 2)] for rank in (0, 1)]
    assert parts == [[[0, 1], [4, 5], [8]], [[2, 3], [6, 7], [9]]]
    with pytest.raises(ValueError, match="rank 2 of 2"):
        loader().shard(2, 2)
    with pytest.raises(ValueError, match="batch_size is 0"):
        loader(batch_size=0)


def test_workers_can_be_spawned(s4: Any) -> None:
    dataset = build_dataset(data_config("s4", root=s4.root), "train")
    spawned = make_loader(dataset, [HorizontalFlip()], batch_size=2, seed=1, workers=1)
    spawned.multiprocessing_context = multiprocessing.get_context("spawn")
    here = make_loader(dataset, [HorizontalFlip()], batch_size=2, seed=1)
    assert torch.equal(next(iter(spawned)).frames, next(iter(here)).frames)


def test_a_faulty_clip_in_a_worker_is_named(s4: Any, tmp_path: Path) -> None:
    (s4.root / "s4_data/audio_wav/train/dog_barking/aa_1.wav").write_bytes(b"")
    dataset = build_dataset(data_config("s4", root=s4.root), "train")
    with pytest.raises(ValueError, match="zero bytes"):
        list(make_loader(dataset, batch_size=1, workers=1))


def test_the_rest_of_an_epoch_can_be_dropped() -> None:
    whole, dropped = loader(10, 3), loader(10, 3, drop_last=True)
    assert (len(whole), len(dropped)) == (4, 3)
    assert [batch.ids for batch in dropped] == [batch.ids for batch in whole][:3]
    shares = [loader(11, 2, drop_last=True).shard(rank, 2) for rank in (0, 1)]
    assert [len(share) for share in shares] == [2, 2]
    together = [batch.ids for share in shares for batch in share]
    assert all(len(ids) == 2 for ids in together)
    one = [batch.ids for batch in loader(11, 4, drop_last=True)]
    assert sorted(chain(*together)) == sorted(chain(*one))


def test_dropping_everything_is_refused() -> None:
    with pytest.raises(ValueError, match=r"5 clips do not fill one batch of 6 \(3 on each of 2 processes\)"):
        list(loader(5, 3, drop_last=True).shard(0, 2))
