"""The synthetic world through the VPO builder, read back by the readers of VPO."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from avseg.data import build_dataset
from avseg.datasets import data_config
from avseg.datasets.folders import write
from avseg.datasets.vpo.classes import vpo_classes
from avseg.datasets.vpo.options import StillOptions
from avseg.datasets.vpo.write import STAND_INS, TWIN_GAP, draw_picture
from avseg.io.audio import read_wav
from avseg.nn.mel import log_mel_examples
from avseg.synth.classes import CLASSES

SIZE = 64


def manifest(root: Path, folder: str) -> list[dict]:
    return [json.loads(line) for line in (root / "VPO" / folder / "manifest.jsonl").read_text().splitlines()]


def digests(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All three sets of the world 4 in one folder."""
    folder: Path = tmp_path_factory.mktemp("vpo")
    for name in ("vpo_ss", "vpo_ms", "vpo_msmi"):
        write(name, folder, 20, 4, workers=1, size=SIZE, sounds=6)
    return folder


@pytest.mark.parametrize("name", ["vpo_ss", "vpo_ms", "vpo_msmi"])
@pytest.mark.parametrize("stereo", [False, True])
def test_the_sets_read_back(root: Path, name: str, stereo: bool) -> None:
    played = {vpo_classes().index(STAND_INS[name]) for name in CLASSES}
    total = 0
    for split in ("train", "val", "test"):
        dataset = build_dataset(data_config(name, stereo=stereo), split, root)
        total += len(dataset)
        for i in range(len(dataset)):
            clip = dataset[i]
            assert clip.frames.shape == (1, 3, SIZE, SIZE) and clip.audio.shape == (2 if stereo else 1, 48000)
            loud = set(clip.target.labels.unique().tolist()) - {0}
            assert loud and loud <= played
            assert float(clip.audio.abs().max()) > 0.02
    # MSMI refers to the 20 samples of VPO-MS that are there already.
    assert total == (35 if name == "vpo_msmi" else 20)


def test_numbers_of_sounding_objects(root: Path) -> None:
    assert {len(line["sources"]) for line in manifest(root, "VPO-SS")[1:]} == {1}
    several = [len({source["class"] for source in line["sources"]}) for line in manifest(root, "VPO-MS")[1:]]
    assert set(several) <= {2, 3} and 2 in several
    assert all(line["silent"] for line in manifest(root, "VPO-SS")[1:]), "every picture has a silent distractor"


def test_twins_stand_apart_and_one_of_them_is_silent(root: Path) -> None:
    sides = []
    for line in manifest(root, "VPO-MSMI")[1:]:
        heard = {source["class"]: source["position"] for source in line["sources"]}
        pairs = [(heard[s["class"]], s["position"]) for s in line["silent"] if s["class"] in heard]
        assert len(pairs) == 1, line
        assert abs(pairs[0][0] - pairs[0][1]) >= TWIN_GAP
        sides.append(pairs[0][0] < pairs[0][1])
    assert len(sides) == 15 and 3 <= sum(sides) <= 12, "the left one sounds about as often as the right one"


def test_loudness_in_stereo_is_on_the_side_of_the_mask(root: Path) -> None:
    dataset = build_dataset(data_config("vpo_ss", stereo=True), "train", root)
    for i in range(len(dataset)):
        clip = dataset[i]
        left, right = clip.audio.square().mean(1).sqrt().tolist()
        columns = (clip.target.labels[0] > 0).nonzero()[:, 1].double()
        middle = float((columns.min() + columns.max() + 1) / 2 / SIZE)
        assert right / (left + right) == pytest.approx(middle, abs=0.01)


@pytest.mark.slow
def test_one_seed_is_one_world_however_many_processes(tmp_path: Path) -> None:
    for name, workers, seed in (("one", 1, 7), ("two", 2, 7), ("other", 1, 8)):
        write("vpo_ss", tmp_path / name, 6, seed, workers=workers, size=32, sounds=3)
    assert digests(tmp_path / "one") == digests(tmp_path / "two")
    assert digests(tmp_path / "one") != digests(tmp_path / "other")


def test_without_singles_there_is_no_vpo_ms(tmp_path: Path) -> None:
    write("vpo_msmi", tmp_path, 6, 0, workers=1, size=(32, 48), sounds=3, singles=0, sources=(1, 1))
    assert not (tmp_path / "VPO" / "VPO-MS").exists()
    lines = manifest(tmp_path, "VPO-MSMI")[1:]
    assert len(lines) == 6 and {len(line["sources"]) for line in lines} == {1}
    assert build_dataset(data_config("vpo_msmi"), "test", tmp_path)[0].frames.shape == (1, 3, 32, 48)


def test_the_label_of_a_sound_is_its_timbre(root: Path) -> None:
    """Clips of a class sound more alike than clips of different classes."""
    features, names = [], []
    for kind in CLASSES:
        for path in sorted((root / "world" / "sounds" / "audios").glob(f"{kind}-*.wav")):
            features.append(log_mel_examples(read_wav(path)[0]).flatten(0, 2).mean(0))
            names.append(kind)
    distances = cdist(torch.stack(features), torch.stack(features))
    np.fill_diagonal(distances, np.inf)
    nearest = [names[i] for i in distances.argmin(1)]
    assert np.mean([a == b for a, b in zip(nearest, names, strict=True)]) > 0.8


def test_instances_read_as_a_file_of_coco(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from pycocotools.coco import COCO

    coco = COCO(root / "world" / "vpo_ss" / "instances.json")
    coco.info()
    assert "synthetic world" in capsys.readouterr().out
    assert coco.loadRes([{**one, "score": 1.0} for one in coco.dataset["annotations"]]).imgs == coco.imgs


def test_twin_pictures_hold_two_of_a_class_and_others_none() -> None:
    for twins in (True, False):
        for number in range(6):
            picture, kinds = draw_picture(1, number, twins, StillOptions(size=(48, 48)))
            assert len(kinds) - len(set(kinds)) == int(twins)
            assert set(np.unique(picture.owners)) == set(range(len(kinds) + 1))


def test_pictures_without_room_are_given_up_in_a_sentence() -> None:
    with pytest.raises(ValueError, match="use a larger or wider size, or an easier difficulty"):
        draw_picture(3, 7, True, StillOptions(difficulty="hard", size=(16, 200)))


def test_options_and_numbers_out_of_range_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least 3, one for each split"):
        write("vpo_ss", tmp_path, 2, 0)
    with pytest.raises(ValueError, match="did you mean 'vpo_ss'"):
        write("vpo_s", tmp_path, 5, 0)
    for options in ({"size": 8}, {"sounds": 2}, {"singles": 1.0}, {"difficulty": "esay"}):
        with pytest.raises(ValueError, match=r"got size|got singles 1.0|did you mean 'easy'"):
            write("vpo_msmi", tmp_path, 5, 0, **options)
