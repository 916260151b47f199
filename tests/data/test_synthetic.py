"""The synthetic world by name, and written in each layout and read back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from avseg.data import SPLITS, DataConfig, build_dataset
from avseg.datasets import data_config
from avseg.datasets.avss.layout import class_codes
from avseg.datasets.folders import write
from avseg.synth.world import make_clip

SIZE = 48
STAND_IN = class_codes()


@pytest.fixture(scope="module", params=["s4", "ms3", "avss"])
def written(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> DataConfig:
    root: Path = tmp_path_factory.mktemp(request.param)
    write(request.param, root, 5, seed=11, workers=1, size=SIZE)
    return data_config(request.param, root=root)


def world_of(dataset: Any, i: int) -> Any:
    """The clip as the world made it, and the row that the reader found."""
    row, number = dataset.rows[i], int(dataset.ids[i].split("_")[-1])
    single = dataset.config.name == "s4" or row.get("label") == "v1s"
    frames = 10 if row.get("label") == "v2" else 5
    return make_clip(11, number, size=SIZE, frames=frames, sources=1 if single else None)


@pytest.mark.parametrize("split", SPLITS)
def test_what_was_written_is_read(written: DataConfig, split: str) -> None:
    dataset = build_dataset(written, split)
    assert len(dataset) == {"train": 3, "val": 1, "test": 1}[split]
    for i in range(len(dataset)):
        clip, world = dataset[i], world_of(dataset, i)
        frames = torch.from_numpy(world.frames).permute(0, 3, 1, 2)
        difference = (clip.frames.int() - frames.int()).abs().float()
        assert difference.max() == 0 if written.name != "avss" else difference.mean() < 6  # JPEG
        labels = STAND_IN[world.labels] if written.name == "avss" else world.labels > 0
        known = clip.target.annotated
        assert torch.equal(clip.target.labels[known], torch.from_numpy(labels).long()[known])
        assert clip.target.labels[~known].sum() == 0
        assert np.abs(clip.audio.numpy() - world.audio.clip(-1, 32767 / 32768)).max() <= 0.5001 / 32768


def test_log_mel_pickles_hold_what_the_sound_gives(written: DataConfig) -> None:
    if written.name == "avss":
        pytest.skip("AVSS ships no log-mel")
    from dataclasses import replace

    from avseg.nn.mel import log_mel_examples

    features = build_dataset(replace(written, audio="log_mel"), "test")[0].audio_features
    sound = build_dataset(written, "test")[0].audio[0]
    assert features is not None
    assert torch.allclose(features, log_mel_examples(sound)[:5], atol=1e-6)


@pytest.mark.parametrize(("kind", "classes"), [("binary", 0), ("semantic", 8)])
def test_the_world_by_name(kind: Any, classes: int) -> None:
    config = data_config("synth", kind=kind, clips=2, held_out_clips=1, size=32, frames=3, seed=4, stereo=True)
    sets = {split: build_dataset(config, split) for split in SPLITS}
    assert [len(dataset) for dataset in sets.values()] == [2, 1, 1]
    assert len({name for dataset in sets.values() for name in dataset.ids}) == 4
    clip = sets["val"][0]
    assert clip.frames.shape == (3, 3, 32, 32)
    assert clip.audio.shape[0] == 2
    assert len(sets["val"].task.classes) == classes
    assert sets["val"].config == config


def test_the_world_has_a_thousand_clips_and_forty_held_out() -> None:
    config = data_config("synth")
    assert [len(build_dataset(config, split)) for split in ("train", "val", "test")] == [1000, 40, 40]


def test_the_world_has_one_sample_rate_and_no_pickles() -> None:
    with pytest.raises(ValueError, match="16 kHz"):
        build_dataset(data_config("synth", sample_rate=8000), "train")
    with pytest.raises(ValueError, match="'synth' has no option audio"):
        build_dataset(data_config("synth", audio="log_mel"), "train")


def test_the_world_has_its_suite_and_no_slips() -> None:
    assert build_dataset(data_config("synth", suite="vpo"), "val").suite == "vpo"
    with pytest.raises(ValueError, match="compat 'relabel' of the data set 'synth' is none of"):
        build_dataset(data_config("synth", compat=("relabel",)), "val")


def test_clips_that_are_kept_are_the_same_and_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    config = data_config("synth", kind="semantic", held_out_clips=2, frames=2, size=SIZE)
    plain, keeping = build_dataset(config, "val"), build_dataset(replace(config, keep=True), "val")
    first, own = keeping[1], plain[1]
    assert torch.equal(first.frames, own.frames) and torch.equal(first.audio, own.audio)
    assert torch.equal(first.target.labels, own.target.labels)
    monkeypatch.setattr(keeping, "world", None)
    assert keeping[1] is first and plain[1] is not own
