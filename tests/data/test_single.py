"""AVSBench-Single+: a picture and a second of sound a sample, in classes or binary."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from avseg.config import InputSpec
from avseg.data import build_dataset
from avseg.data.geometry import Geometry
from avseg.datasets import data_config
from avseg.datasets.avsbench.classes import s4_categories
from avseg.datasets.folders import write
from avseg.datasets.single.classes import single_classes
from avseg.datasets.single.layout import STAND_INS
from avseg.datasets.world.clips import SPLITS
from avseg.synth.world import make_clip
from avseg.types import Task


def open_single(writer: Any, split: str = "train", **options: Any) -> Any:
    return build_dataset(data_config("single", root=writer.root, **options), split)


def test_the_classes_are_the_categories_of_s4_in_order() -> None:
    assert single_classes()[0] == "background"
    assert list(single_classes()[1:]) == sorted(s4_categories())


def test_a_sample_is_a_picture_and_its_whole_sound(single: Any) -> None:
    dataset = open_single(single)
    assert dataset.ids == ["s_1", "s_2"]
    assert dataset.task == Task("semantic", single_classes()[1:])
    assert dataset.suite == "vpo"
    clip = dataset[0]
    assert clip.frames.shape == (1, 3, 24, 32)
    assert (clip.times.tolist(), clip.audio_start) == ([0.0], 0.0)
    assert np.array_equal(clip.target.labels[0].numpy(), single.truth["s_1"])
    assert np.allclose(clip.audio.numpy(), single.truth["audios/s_1.wav"].T.mean(0) / 32768, atol=1e-7)
    assert open_single(single, stereo=True)[0].audio.shape == (2, 16000)
    named = [single_classes()[1 + place] for place in clip.target.sounding[0].nonzero().flatten()]
    assert named == ["male_speech"]


def test_binary_labels_have_a_folder_of_their_own_and_keep_the_classes(single: Any) -> None:
    dataset = open_single(single, "val", binary=True)
    assert dataset.task == Task("binary")
    clip = dataset[0]
    assert np.array_equal(clip.target.labels[0].numpy(), single.truth["s_3"] > 11)
    assert clip.target.sounding[0].nonzero().flatten().tolist() == [single_classes().index("helicopter") - 1]


def test_sizing_while_reading(single: Any) -> None:
    dataset, geometry = open_single(single), Geometry(InputSpec((8, 8)))
    assert torch.equal(dataset.read(1, geometry).frames, geometry(dataset[1]).frames)


def test_faults_are_named(single: Any) -> None:
    single.save("labels/s_1.png", np.full((24, 32), 24, np.uint8))
    with pytest.raises(ValueError, match=r"s_1\.png hold 24, wanted class ids from 0 to 23"):
        open_single(single)[0]
    single.save("labels/s_1.png", np.full((24, 32), 255, np.uint8))
    assert open_single(single)[0].target.labels.unique().tolist() == [255]
    single.save("labels/s_2.png", np.zeros((24, 30), np.uint8))
    with pytest.raises(ValueError, match="must agree"):
        open_single(single)[1]
    (single.root / "audios/s_1.wav").unlink()
    with pytest.raises(FileNotFoundError, match=r"s_1\.wav is missing"):
        open_single(single)[0]
    table = single.root / "data.csv"
    table.write_text(table.read_text().replace("helicopter", "helikopter"))
    with pytest.raises(ValueError, match="line 4 has the category 'helikopter'; did you mean 'helicopter'"):
        open_single(single)
    with pytest.raises(ValueError, match="'single' has no option compat"):
        open_single(single, compat=("relabel",))


def test_the_synthetic_world_comes_back(tmp_path: Path) -> None:
    write("single", tmp_path, 6, 4, workers=1, size=48)
    for split, first in SPLITS.items():
        config = data_config("single", root=tmp_path)
        clip = build_dataset(config, split)[0]
        world = make_clip(4, first, frames=1, size=48, sources=1)
        assert clip.id == world.id
        assert np.array_equal(clip.frames.permute(0, 2, 3, 1).numpy(), world.frames)
        codes = np.array([0, *(single_classes().index(name) for name in STAND_INS.values())])
        assert np.array_equal(clip.target.labels.numpy(), codes[world.labels])  # type: ignore[union-attr]
        assert clip.target.sounding.sum() == (world.labels > 0).any()  # type: ignore[union-attr]
