"""The check of VPO folders: counts, files, and rows that contradict each other or their masks."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from avseg.datasets.folders import check
from avseg.datasets.vpo.build import BuildOptions, build_vpo
from avseg.io.audio import write_wav
from avseg.io.image import write_png
from coco_world import usual


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    world, out = usual(tmp_path_factory.mktemp("inputs"), 12), tmp_path_factory.mktemp("built")
    options = BuildOptions(workers=1, fractions=(0.5, 0.25, 0.25), examples=1)
    for kind in ("ss", "msmi"):
        build_vpo(kind, *world.inputs, out, 5, options=options)
    return Path(out)


@pytest.fixture
def copy(built: Path, tmp_path: Path) -> Path:
    shutil.copytree(built, tmp_path / "copy")
    return tmp_path / "copy"


def edit(root: Path, kind: str, old: str, new: str) -> None:
    path = root / "VPO" / f"VPO-{kind.upper()}" / f"vpo_{kind}_data_stereo.csv"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize("name", ["vpo_ss", "vpo_ms", "vpo_msmi"])
def test_what_was_built_is_whole(built: Path, name: str) -> None:
    report = check(name, built, workers=1)
    assert report.ok and report.exit_code == 0, str(report)
    assert report.found == report.whole == report.expected
    assert min(report.found.values()) > 0
    assert "built here" in str(report) and "train: " in str(report)


def test_a_downloaded_folder_is_held_against_numbers_that_are_not_confirmed(copy: Path) -> None:
    (copy / "VPO" / "VPO-SS" / "manifest.jsonl").unlink()
    report = check("vpo_ss", copy, workers=1)
    assert report.ok and report.expected == {"train": 11312, "val": 0, "test": 890}
    assert "not confirmed" in str(report)


def test_missing_and_broken_files_are_named(copy: Path) -> None:
    folder = copy / "VPO" / "VPO-MS"
    pictures = sorted((folder / "data").iterdir())
    pictures[0].unlink()
    pictures[1].write_bytes(pictures[1].read_bytes()[:60])
    write_png(folder / "mask" / f"{pictures[2].stem}.png", np.full((5, 5), 18, np.uint8))
    write_png(folder / "mask" / f"{pictures[3].stem}.png", np.full((40, 60), 18, np.uint8))
    write_png(folder / "mask" / f"{pictures[4].stem}.png", np.full((40, 60), 1, np.uint8))
    reasons = {fault.clip: fault.reason for fault in check("vpo_ms", copy, workers=1).faults}
    said = ("is missing", "not a complete picture", "they must agree", "shows dog, but the rows say", "no class of VPO")
    for picture, words in zip(pictures, said, strict=False):
        assert words in reasons[picture.stem]
    assert len(reasons) == 5


def test_a_missing_sound_names_its_file_and_unusual_ones_are_remarks(copy: Path) -> None:
    rows = (copy / "VPO" / "VPO-SS" / "vpo_ss_data_stereo.csv").read_text().splitlines()[1:]
    folder = copy / "vggsound_bench" / "VGGSound" / "audios"
    sounds = [folder / f"{name}.wav" for name in sorted({row.split(",")[4] for row in rows})]
    write_wav(sounds[0], torch.rand(2, 44100) - 0.5, 44100)
    sounds[1].unlink()
    report = check("vpo_ss", copy, workers=1)
    assert any(sounds[1].stem in fault.reason for fault in report.faults)
    for words in ("shorter than three seconds", "not of 16000 Hz", "of several channels"):
        assert words in str(report)


@pytest.mark.parametrize(
    ("kind", "column", "value", "words"),
    [
        ("ss", 6, "1.2", "the audio_pos '1.2', wanted a number from 0"),
        ("ss", 3, "wolf", "the class 'wolf', which is not in VPO"),
        ("ms", 2, "99", "the cateId 99"),
    ],
)
def test_rows_out_of_range_are_faults(copy: Path, kind: str, column: int, value: str, words: str) -> None:
    path = copy / "VPO" / f"VPO-{kind.upper()}" / f"vpo_{kind}_data_stereo.csv"
    lines = path.read_text().splitlines()
    cells = lines[1].split(",")
    cells[column] = value
    path.write_text("\n".join([lines[0], ",".join(cells), *lines[2:]]) + "\n")
    report = check(f"vpo_{kind}", copy, workers=1)
    assert not report.ok and words in str(report)


def test_a_picture_or_a_sound_in_two_splits_is_a_fault(copy: Path) -> None:
    path = copy / "VPO" / "VPO-SS" / "vpo_ss_data_stereo.csv"
    lines = path.read_text().splitlines()
    train = next(line for line in lines if ",train," in line)
    path.write_text("\n".join([*lines, train.replace(",train,", ",test,"), train]) + "\n")
    said = str(check("vpo_ss", copy, workers=1))
    assert "the picture is in train as well" in said
    assert "the sound is in train as well" in said
    assert "is listed 2 times" in said
    assert "are in another split of VPO-MS" in said


def test_mixed_multi_instance_is_a_fault(copy: Path) -> None:
    edit(copy, "msmi", ",0\n", ",1\n")
    report = check("vpo_msmi", copy, workers=1)
    assert not report.ok and "multi_instance '0' and '1'" in str(report)


def test_a_class_twice_is_a_fault_in_ms_alone(copy: Path) -> None:
    path = copy / "VPO" / "VPO-MS" / "vpo_ms_data_stereo.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines, lines[-1]]) + "\n")
    assert "two sources have the same class" in str(check("vpo_ms", copy, workers=1))


def test_a_missing_table_is_a_fault(tmp_path: Path) -> None:
    report = check("vpo_ms", tmp_path, workers=1)
    assert report.exit_code == 1 and "build-vpo" in str(report)
