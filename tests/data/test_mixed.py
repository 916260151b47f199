"""S4 and MS3 as one data set."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from avseg.config import InputSpec
from avseg.data import build_dataset
from avseg.data.geometry import Geometry
from avseg.data.loader import make_loader
from avseg.data.transforms import train_transforms
from avseg.datasets import data_config
from avseg.datasets.avsbench.mixed import MixedAVSBench
from avseg.datasets.folders import write
from avseg.synth.summary import WriteSummary
from avseg.types import DenseTarget


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven clips of each part, of which five are for training."""
    folder = tmp_path_factory.mktemp("avsbench_data")
    summary = write("avs_1s7m", folder, 14, seed=1, workers=1, video=False, size=32)
    assert isinstance(summary, WriteSummary) and summary.counts == {"train": 10, "val": 2, "test": 2}
    return folder


def opened(root: Path, split: str = "train", **changes: object) -> MixedAVSBench:
    dataset = build_dataset(data_config("avs_1s7m", root=root, **changes), split)  # type: ignore[arg-type]
    assert isinstance(dataset, MixedAVSBench)
    return dataset


def test_training_has_s4_once_and_ms3_seven_times(root: Path) -> None:
    dataset = opened(root)
    names = [dataset.part(index) for index in range(len(dataset))]
    assert (names.count("s4"), names.count("ms3")) == (5, 35)
    single, several = (build_dataset(data_config(n, root=root / f), "train") for n, f in FOLDERS)
    assert dataset.ids == [*single.ids, *several.ids * 7]
    for index, (of, place) in {0: (single, 0), 4: (single, 4), 5: (several, 0), 12: (several, 2)}.items():
        one, other = dataset[index], of[place]
        assert one.id == other.id and torch.equal(one.frames, other.frames) and torch.equal(one.audio, other.audio)
        assert isinstance(one.target, DenseTarget) and isinstance(other.target, DenseTarget)
        assert torch.equal(one.target.labels, other.target.labels)
        assert torch.equal(one.target.annotated, other.target.annotated)
    assert dataset.annotated(0) == range(1) and dataset.annotated(5) == range(5) and dataset.length(0) == 5


FOLDERS = (("s4", "Single-source"), ("ms3", "Multi-sources"))


def test_other_splits_have_every_clip_once(root: Path) -> None:
    for split in ("val", "test"):
        dataset = opened(root, split)
        assert [dataset.part(index) for index in range(len(dataset))] == ["s4", "ms3"]


def test_the_mix_may_be_another(root: Path) -> None:
    assert len(opened(root, mix={"s4": 2, "ms3": 3})) == 25
    only = opened(root, "val", mix={"ms3": 1})
    assert [only.part(index) for index in range(len(only))] == ["ms3"]
    assert len(opened(root, mix={"s4": 1, "ms3": 0})) == 5


def test_a_mix_that_is_none_is_refused(root: Path) -> None:
    with pytest.raises(ValueError, match=r"data.mix names 'ms3s'; did you mean 'ms3'\?"):
        opened(root, mix={"ms3s": 1})
    for mix in ({"s4": 0}, {"s4": -1, "ms3": 1}):
        with pytest.raises(ValueError, match="one of them at least once"):
            opened(root, mix=mix)
    with pytest.raises(ValueError, match=r"'s4' has no option mix"):
        build_dataset(data_config("s4", root=root / "Single-source", mix={"s4": 1}), "train")


def test_both_tables_may_lie_in_one_folder(root: Path, tmp_path: Path) -> None:
    for _, folder in FOLDERS:
        shutil.copytree(root / folder, tmp_path, dirs_exist_ok=True)
    assert opened(tmp_path).ids == opened(root).ids


def test_a_missing_part_is_named(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / "Single-source", tmp_path / "Single-source")
    with pytest.raises(FileNotFoundError, match=r"ms3_meta_data\.csv is missing"):
        opened(tmp_path)
    assert len(opened(tmp_path, mix={"s4": 1})) == 5


def test_it_is_read_in_pieces_and_in_batches(root: Path) -> None:
    dataset = opened(root)
    assert dataset.knows_frames
    geometry = Geometry(InputSpec((16, 16)))
    assert torch.equal(dataset.read(6, geometry, [1, 3]).frames, geometry(dataset[6].take([1, 3])).frames)
    transforms = train_transforms(data_config("avs_1s7m", augment=("flip", "photometric")), InputSpec((16, 16)))
    loader = make_loader(dataset, transforms, batch_size=8, seed=0, shuffle=True)
    seen = [place for batch in loader for place in batch.index]
    assert sorted(seen) == list(range(40))
    assert all(batch.targets is not None and batch.frames.shape[1:] == (5, 3, 16, 16) for batch in loader)
