"""The check of AVISeg reads everything and lists every fault with its video."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import wavfile

from aviseg_folder import AVISegFolder, make
from avseg.cli import run
from avseg.datasets.folders import check
from avseg.prepare.report import CheckReport


@pytest.fixture
def folder(tmp_path: Path) -> AVISegFolder:
    """Marked as a synthetic world, so that neither its numbers nor its categories are faults."""
    made = make(tmp_path)
    (tmp_path / "truth.json").write_text("{}")
    return made


def reasons(report: CheckReport) -> dict[tuple[str, str], list[str]]:
    found: dict[tuple[str, str], list[str]] = {}
    for fault in report.faults:
        found.setdefault((fault.split, fault.clip), []).append(fault.reason)
    return found


def test_a_whole_folder_is_fine(folder: AVISegFolder, capsys: pytest.CaptureFixture[str]) -> None:
    report = check("aviseg", folder.root, workers=1)
    assert report.ok and report.whole == report.found == report.expected == {"train": 2, "val": 1, "test": 2}
    assert "2 videos have no mask to train on, and training leaves them out" in report.notes
    assert run(["data", "check", "aviseg", "--root", str(folder.root)]) == 0
    assert "all files exist" in capsys.readouterr().out


def test_the_published_numbers_and_names_are_wanted_of_a_real_folder(folder: AVISegFolder) -> None:
    (folder.root / "truth.json").unlink()
    for truth in folder.truth.values():
        truth["categories"][0]["name"] = "gong"
    folder.save()
    report = check("aviseg", folder.root, workers=1)
    found = reasons(report)
    assert report.exit_code == 1
    assert "the file lists 2 videos, the published number is 616" in found["train", "train.json"]
    assert "the file lists 2 videos, the published number is 205" in found["test", "test.json"]
    assert found["val", "val.json"] == ["names categories outside of the 26 of AVISeg: gong"]
    assert any("val: the file lists 1 videos" in note and "not confirmed" in note for note in report.notes)
    assert "ruohaoguo/avis" in str(report)


def test_every_kind_of_fault_is_found_at_once(folder: AVISegFolder) -> None:
    root = folder.root
    [first, second] = folder.truth["test"]["annotations"]
    first["category_id"] = 4
    second["segmentations"].pop()
    folder.track("test", "dd", 3, [None] * 4)
    folder.track("test", "dd", 3, [None, (0, 0, 4, 4), None, None], "compressed")["segmentations"][1]["size"] = [1, 2]
    folder.track("train", "aa", 3, [(0, 0, 4, 4)] * 6)["bboxes"].pop()
    folder.track("train", "aa", 3, [(0, 0, 4, 4)] * 6)["bboxes"][0] = None
    folder.truth["val"]["categories"].pop()
    folder.save()
    for k in (1, 2):
        (root / f"test/JPEGImages/dd/{k:05d}.jpg").unlink()
    cut = root / "train/JPEGImages/aa/00003.jpg"
    cut.write_bytes(cut.read_bytes()[:300])
    Image.new("RGB", (9, 9)).save(root / "train/JPEGImages/aa/00004.jpg")
    (root / "test/WAVAudios/ee.wav").unlink()
    wavfile.write(root / "train/WAVAudios/quiet.wav", 16000, np.zeros(16000, np.int16))
    np.save(root / "train/FEATAudios/aa.npy", np.zeros((5, 128), np.float32))
    (root / "test/FEATAudios/dd.npy").unlink()

    report = check("aviseg", root, workers=1)
    found = reasons(report)
    assert report.whole == {"train": 1, "val": 1, "test": 0} and report.exit_code == 1
    dd = "\n".join(found["test", "dd"])
    assert "annotation 11 has the category 4; the file's table has 3, 5, 7" in dd
    assert "annotation 12 has 3 segmentations" in dd
    assert "annotation 13 is null in every frame" in dd
    assert "annotation 14, frame 1: a mask has the size [1, 2]" in dd
    assert "2 of 4 frames are missing" in dd and len(found["test", "dd"]) == 5
    aa = "\n".join(found["train", "aa"])
    assert "annotation 14 has 5 bboxes, wanted one (or null) for each of 6 frames" in aa
    assert "00003.jpg is not a complete picture" in aa
    assert "00004.jpg is 9 pixels high and 9 wide, the truth 24 and 32" in aa
    assert "aa.npy are (5, 128), wanted (6, 128)" in aa and len(found["train", "aa"]) == 4
    assert ["the sound" in reason for reason in found["test", "ee"]] == [True]
    assert found["val", "val.json"] == ["has another table of categories than train.json"]
    assert "1 videos have over a second less sound than frames; silence fills the gap" in report.notes
    assert "1 videos have no features; only --data.audio features needs them" in report.notes
    assert "1 videos have masks without a box, which training leaves out" in report.notes


def test_a_file_that_is_missing_does_not_hide_the_others(folder: AVISegFolder) -> None:
    (folder.root / "val.json").unlink()
    (folder.root / "test/WAVAudios/ee.wav").unlink()
    report = check("aviseg", folder.root, workers=2)
    found = reasons(report)
    assert set(found) == {("val", "val.json"), ("test", "ee")}
    assert "val.json is missing" in found["val", "val.json"][0]
    assert run(["data", "check", "aviseg", "--root", str(folder.root)]) == 1
