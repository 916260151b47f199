"""What every data set promises: the synthetic world written in its layout comes back through its reader."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from avseg.data import DATASETS, build_dataset
from avseg.data.config import DataConfig
from avseg.data.heard import Scenarios
from avseg.data.loader import make_loader
from avseg.data.tracks import Rasterise, SomeFrames
from avseg.data.transforms import HorizontalFlip
from avseg.datasets import data_config
from avseg.metrics import SUITES
from avseg.types import DenseTarget, TrackTarget


@pytest.fixture(scope="module", params=sorted(DATASETS))
def config(request: pytest.FixtureRequest, folder: Callable[[str], Path | None]) -> DataConfig:
    """A data set with its folder written by the synthetic world."""
    return data_config(request.param, root=folder(request.param))


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_every_split_gives_clips(config: DataConfig, split: str) -> None:
    dataset = build_dataset(config, split)
    assert len(dataset) > 0
    assert dataset.suite in SUITES
    clip = dataset[0]
    assert clip.times.tolist() == [float(t) for t in range(len(clip.frames))]
    assert clip.audio.abs().max() > 0
    highest = max(len(dataset.task.classes), 1)
    if isinstance(clip.target, TrackTarget):
        assert any(mask is not None for track in clip.target.masks for mask in track)
        assert int(clip.target.classes.min()) >= 1 and int(clip.target.classes.max()) <= highest
        return
    assert isinstance(clip.target, DenseTarget)
    assert clip.target.annotated.any()
    assert int(clip.target.labels.max()) <= highest


def test_the_splits_do_not_share_clips(config: DataConfig) -> None:
    ids = [set(build_dataset(config, split).ids) for split in ("train", "val", "test")]
    assert not (ids[0] & ids[1] or ids[0] & ids[2] or ids[1] & ids[2])


def test_a_run_does_not_depend_on_the_number_of_workers(config: DataConfig) -> None:
    dataset = build_dataset(config, "val")
    frames = [SomeFrames(2), Rasterise()] if dataset.task.kind == "instance" else []
    seen = []
    for workers in (0, 2):
        loader = make_loader(dataset, [*frames, HorizontalFlip()], batch_size=2, seed=1, shuffle=True, workers=workers)
        seen.append(torch.cat([batch.frames.flatten().float()[::997] for batch in loader]))
    assert torch.equal(seen[0], seen[1])


def test_an_unknown_split_says_what_there_is(config: DataConfig) -> None:
    with pytest.raises(ValueError, match="train"):
        build_dataset(config, "trian")


def test_it_can_sound_like_something_else(config: DataConfig) -> None:
    dataset = build_dataset(config, "train")
    own, (audio, rate) = dataset[0], dataset.sound(0)
    assert rate == own.sample_rate and torch.equal(audio, own.audio)
    assert all(isinstance(name, str) for name in dataset.heard_classes(0))
    heard = Scenarios(dataset, ("own", "silence", "noise", "swapped"))
    quiet = heard[len(dataset)]
    assert torch.equal(heard[0].audio, own.audio) and not quiet.audio.any() and quiet.audio.shape == own.audio.shape
    assert quiet.id == f"{own.id}@silence" and torch.equal(quiet.frames, own.frames)
