"""Exported files give what the model gives, on clips of other lengths and sizes, and open like a model file."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from avseg.cli import run
from avseg.config import InputSpec
from avseg.export import export_model, formats, open_exported
from avseg.export.opening import read_note
from avseg.inference import Segmenter
from avseg.models import load_model
from avseg.types import Task
from engines.test_parts import TASKS
from extras import needs
from models.small import batch, clip
from own_videos import make_video
from small import small

ENDING = {"onnx": ".onnx", "openvino": ".xml", "torch": ".pt2"}
FAMILIES = ("avism", "avsegformer", "catr", "cavp", "qdformer", "tpavi")
CASES = [
    pytest.param(
        family,
        to,
        marks=[pytest.mark.extra] * (to != "torch") + [pytest.mark.slow] * ((family, to) != ("cavp", "torch")),
    )
    for family in FAMILIES
    for to in ENDING
]


def model_of(family: str) -> Any:
    if family == "cavp":
        return small("cavp", TASKS["cavp"], input=InputSpec((64, 64), rule="keep"))
    return small(family, TASKS[family])


@pytest.mark.parametrize(("family", "to"), CASES)
def test_an_exported_model_predicts_as_its_own(family: str, to: str, tmp_path: Path) -> None:
    if to != "torch":
        needs({"onnx": "onnx", "openvino": "openvino"}[to])
    model, path = model_of(family), tmp_path / f"model{ENDING[to]}"
    report = export_model(model, path)
    assert report.apart < 1e-4 and path in report.files
    opened = load_model(path)
    assert opened.config == model.config and opened.task == model.task
    for clips in (batch(clip(7)), batch(clip(3), clip(2, seed=1), clip(1, seed=2))):
        for one, other in zip(model.predict(clips), opened.predict(clips), strict=True):
            assert one.id == other.id
            if family == "avism":
                assert one.masks == other.masks and torch.allclose(one.scores, other.scores, atol=1e-4)
            else:
                torch.testing.assert_close(other.logits, one.logits, rtol=0, atol=1e-4 * float(one.logits.abs().max()))
    if family == "avism":
        assert set(read_note(path)[1].parts) == {"network.look", "network.watch", "audio_network"}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exported") / "model.pt2"
    export_model(small("cavp", TASKS["cavp"], input=InputSpec((64, 64))), path)
    return path


def test_a_segmenter_takes_an_exported_file_and_tells_the_engine(exported: Path) -> None:
    told = Segmenter(exported).describe()
    assert (told["name"], told["family"], told["engine"], told["precision"]) == ("model.pt2", "cavp", "torch", "fp32")
    wide = replace(clip(2), output_size=(64, 64))
    found = Segmenter(exported).predict(wide)
    wanted = Segmenter(small("cavp", TASKS["cavp"], input=InputSpec((64, 64)))).predict(wide)
    for frame, other in zip(found.frames, wanted.frames, strict=True):
        assert (frame.labels != other.labels).sum() == 0
    needs("openvino")
    with pytest.raises(ValueError, match=r"engine openvino does not run .pt2 files; it runs .xml, .onnx"):
        Segmenter(exported, engine="openvino")


def test_damaged_and_foreign_files_are_one_sentence(exported: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.pt2"
    cut.write_bytes(exported.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"cut.pt2 is not a complete .pt2 file"):
        load_model(cut)
    with pytest.raises(FileNotFoundError, match=r"there is no file .*none.onnx"):
        load_model(tmp_path / "none.onnx")
    foreign = tmp_path / "foreign.pt2"
    torch.export.save(torch.export.export(torch.nn.Linear(2, 2), (torch.rand(1, 2),)), foreign)
    with pytest.raises(ValueError, match=r"foreign.pt2 is not a model file of avseg"):
        load_model(foreign)


def test_what_cannot_be_exported_is_one_sentence(exported: Path, tmp_path: Path) -> None:
    model = small("cavp", TASKS["cavp"], input=InputSpec((64, 64)))
    with pytest.raises(ValueError, match=r"has no known suffix; use one of .pt2 \(torch\), .onnx"):
        export_model(model, tmp_path / "model.bin")
    with pytest.raises(ValueError, match=r"use the suffix .onnx"):
        export_model(model, tmp_path / "model.xml", to="onnx")
    with pytest.raises(ValueError, match="torch files have no precision int8; they have fp32"):
        export_model(model, tmp_path / "model.pt2", precision="int8")
    with pytest.raises(ValueError, match="onnx files have no precision int8; they have fp32"):
        run(["export", str(exported), "--to", "onnx", "--precision", "int8", "--clips", str(tmp_path)])
    with pytest.raises(ValueError, match="--clips needs --precision int8, got --precision fp32; leave the clips out"):
        run(["export", str(exported), "--to", "torch", "--clips", str(tmp_path)])
    with pytest.raises(ValueError, match="is already exported"):
        export_model(open_exported(exported), tmp_path / "model.pt2")
    with pytest.raises(ValueError, match="family zeroshot have no part"):
        export_model(small("zeroshot", Task("binary")), tmp_path / "model.pt2")
    assert not list(tmp_path.iterdir())


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    here = {"openvino"}
    monkeypatch.setattr(formats, "find_spec", lambda name: name if name in here else None)
    with pytest.raises(ImportError, match=r'openvino files in int8 need nncf: pip install "avseg\[int8\]"'):
        run(["export", "demo", "--to", "openvino", "--precision", "int8", "--clips", "videos"])
    here.clear()
    with pytest.raises(ImportError, match=r'openvino files need openvino: pip install "avseg\[fast\]"'):
        run(["export", "demo", "--to", "openvino", "--precision", "int8", "--clips", "videos"])


@pytest.mark.extra
def test_int8_is_measured_on_videos_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    needs("nncf")
    video, path = make_video(tmp_path / "grey.mp4"), tmp_path / "model.xml"
    words = ["export", "demo", "--to", "openvino", "--precision", "int8", "--out", str(path)]
    with pytest.raises(ValueError, match="int8 needs videos for calibration; give"):
        run(words)
    assert run([*words, "--clips", str(video)]) == 0
    assert "largest difference from PyTorch" in capsys.readouterr().out
    assert b"FakeQuantize" in path.read_bytes()
    segmenter = Segmenter(path)
    told = segmenter.describe()
    assert (told["engine"], told["precision"]) == ("openvino", "int8")
    assert len(segmenter.predict(video).frames) == len(Segmenter("demo").predict(video).frames)
    with pytest.raises(ValueError, match="is in int8 and cannot change"):
        Segmenter(path, precision="bf16")


def test_a_missing_part_is_named(exported: Path, tmp_path: Path) -> None:
    header, note = read_note(exported)
    assert header.family == "cavp" and note.precision == "fp32" and set(note.parts) == {"network"}
    moved = tmp_path / "renamed.pt2"
    shutil.copy(exported, moved)
    with pytest.raises(FileNotFoundError, match=r"renamed.pt2 needs model.pt2, which is missing from its folder"):
        load_model(moved)
