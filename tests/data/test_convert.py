"""From layout to layout: masks stay as they are, sound within what its codec changes, and what cannot be is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from avseg.data import build_dataset
from avseg.datasets import data_config
from avseg.datasets.convert import convert
from avseg.datasets.folders import check, write
from avseg.datasets.pieces import codes_of
from avseg.io.rle import decode

SPLITS = ("train", "val", "test")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of the synthetic world."""
    root = tmp_path_factory.mktemp("convert")
    for name in ("s4", "avss", "aviseg"):
        more = {"seconds": (6, 7)} if name == "aviseg" else {}
        write(name, root / name, 5, 4, workers=1, size=(36, 48), **more)
    return root


def clips(name: str, root: Path) -> dict[str, Any]:
    sets = {split: build_dataset(data_config(name, root=root), split) for split in SPLITS}
    return {f"{split}/{dataset.ids[i]}": dataset[i] for split, dataset in sets.items() for i in range(len(dataset))}


def changed(source: Path, name: str, to: str, target: Path) -> dict[str, Any]:
    convert(source, target, origin=name, layout=to)
    return clips(to, target)


def distance(one: torch.Tensor, other: torch.Tensor) -> float:
    """Of two sounds, as a share of the first."""
    length = min(one.shape[1], other.shape[1])
    return float((one - other)[:, :length].norm() / one[:, :length].norm())


def test_s4_through_a_folder_of_videos_and_back(made: Path, tmp_path: Path) -> None:
    before = clips("s4", made / "s4")
    between = changed(made / "s4", "s4", "folder", tmp_path / "videos")
    after = changed(tmp_path / "videos", "folder", "s4", tmp_path / "s4")
    assert set(before) == set(between) == set(after)
    for name, clip in before.items():
        for other in (between[name], after[name]):
            assert torch.equal(other.target.labels, clip.target.labels)
            assert torch.equal(other.target.annotated, clip.target.annotated)
            assert other.audio.shape == clip.audio.shape and distance(clip.audio, other.audio) < 0.25
            assert (other.frames.float() - clip.frames.float()).abs().mean() < 8
        assert torch.equal(after[name].frames, between[name].frames)
    for name, folder in (("s4", "s4"), ("folder", "videos")):
        report = check(name, tmp_path / folder, workers=1)
        assert report.ok, report.faults
    assert "clips of another layout, checked against its own table" in check("s4", tmp_path / "s4", workers=1).notes


def test_tracks_through_a_folder_of_videos_and_back(made: Path, tmp_path: Path) -> None:
    before = clips("aviseg", made / "aviseg")
    between = changed(made / "aviseg", "aviseg", "folder", tmp_path / "videos")
    after = changed(tmp_path / "videos", "folder", "aviseg", tmp_path / "aviseg")
    assert set(before) == set(between) == set(after)
    for name, clip in before.items():
        for other in (between[name], after[name]):
            assert other.target.classes.tolist() == clip.target.classes.tolist()
            for mine, its in zip(clip.target.masks, other.target.masks, strict=True):
                assert [mask and decode(mask).tolist() for mask in mine] == [m and decode(m).tolist() for m in its]
    assert check("aviseg", tmp_path / "aviseg", workers=1).ok
    union = changed(made / "aviseg", "aviseg", "s4", tmp_path / "s4")
    first = next(iter(before.values()))
    expected = codes_of(first, binary=True)[:1] > 0
    found = union[f"train/{first.id}_000000"].target.labels[:1].numpy() > 0
    assert np.array_equal(found, expected)


def test_classes_through_a_folder_of_videos_and_back(made: Path, tmp_path: Path) -> None:
    before = clips("avss", made / "avss")
    between = changed(made / "avss", "avss", "folder", tmp_path / "videos")
    classes = build_dataset(data_config("avss", root=made / "avss"), "train").task.classes
    dataset = build_dataset(data_config("folder", root=tmp_path / "videos", clip_seconds=10), "train")
    assert dataset.task.classes == classes
    whole = {name: dataset[place] for place, name in enumerate(dataset.ids)}
    for name, clip in before.items():
        split, _, own = name.partition("/")
        if split == "train":
            assert torch.equal(whole[own].target.labels, clip.target.labels)
            assert torch.equal(whole[own].target.annotated, clip.target.annotated)
    after = changed(tmp_path / "videos", "folder", "avss", tmp_path / "avss")
    assert check("avss", tmp_path / "avss", workers=1).ok
    assert set(after) == set(between)
    assert all(torch.equal(after[name].target.labels, clip.target.labels) for name, clip in between.items())


def test_avss_takes_other_classes_under_their_own_names(tmp_path: Path) -> None:
    write("folder", tmp_path / "videos", 3, 1, workers=1, size=(32, 48))
    after = changed(tmp_path / "videos", "folder", "avss", tmp_path / "avss")
    before = clips("folder", tmp_path / "videos")
    task = build_dataset(data_config("avss", root=tmp_path / "avss"), "train").task
    assert task.classes[:2] == ("disc", "ring") and len(task.classes) == 70
    assert all(torch.equal(after[name].target.labels, clip.target.labels) for name, clip in before.items())


@pytest.mark.parametrize(
    ("name", "to", "sentence"),
    [
        ("s4", "aviseg", "binary masks do not separate objects, and aviseg needs tracks"),
        ("avss", "aviseg", "semantic masks do not separate objects, and aviseg needs tracks"),
        ("s4", "avss", "binary masks have no classes, and avss needs them"),
        ("s4", "ms4", "no data set 'ms4' that can be converted; did you mean 's4'"),
    ],
)
def test_what_a_layout_cannot_hold_is_refused_and_nothing_is_left(
    made: Path, tmp_path: Path, name: str, to: str, sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        convert(made / name, tmp_path / "out", origin=name, layout=to)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_in_it_is_not_touched(made: Path) -> None:
    with pytest.raises(ValueError, match="already exists and is not empty; choose a new folder"):
        convert(made / "s4", made / "avss", origin="s4", layout="folder")
