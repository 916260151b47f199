"""Kinds that are added to a finished result come from its stored masks; they are those that a prediction gives."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from avseg.inference import Segmenter, predict_folder
from avseg.inference.export.style import Style
from avseg.io.video import write_video
from inference.fake import fake
from inference.media import tone
from inference.test_tracks import FPS, RATE, scene, sound
from inference.tracker import tracker

MORE = [
    "csv",
    "srt",
    "eaf",
    "coco",
    "youtube_vis",
    "cvat",
    "label_studio",
    "cutouts",
    "sheet",
    "report",
    "explain",
    "overlay",
]


def dense(path: Path) -> Path:
    pictures = [np.full((48, 64, 3), 60, np.uint8) for _ in range(30)]
    for number, picture in enumerate(pictures):
        picture[10:30, number : number + 20] = 220
    return write_video(path, pictures, 10, tone(3, 16000), 16000)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def refuse(*_: Any, **__: Any) -> Any:
    raise AssertionError("predicted again")


@pytest.mark.parametrize("form", ["png", "rle", "npz", "tracks"])
def test_added_kinds_are_those_of_one_run(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if form == "tracks":
        video = write_video(tmp_path / "good.mp4", scene(4), FPS, sound(4), RATE)
        segmenter = Segmenter(tracker(), fps=1)
    else:
        video, segmenter = dense(tmp_path / "good.mp4"), Segmenter(fake(), fps=2)
    masks: Any = None if form == "tracks" else form
    assert predict_folder(segmenter, [video], tmp_path / "whole", save=MORE, masks=masks).exit_code == 0
    assert predict_folder(segmenter, [video], tmp_path / "steps", save=["vtt"], masks=masks).done
    monkeypatch.setattr(Segmenter, "frames_of", refuse)
    report = predict_folder(segmenter, [video], tmp_path / "steps", save=MORE)
    assert report.done and report.exit_code == 0
    assert predict_folder(segmenter, [video], tmp_path / "steps", save=MORE).skipped
    whole, steps = contents(tmp_path / "whole" / "good"), contents(tmp_path / "steps" / "good")
    assert set(steps) == {*whole, "sounding.vtt"}
    # Scores in result.json have four digits.
    alike = {name for name in whole if whole[name] == steps[name]}
    assert {
        "sounding.srt",
        "sounding.eaf",
        "seconds.csv",
        "cvat.xml",
        "overlay.mp4",
        "label_studio/tasks.json",
    } <= alike
    first, second = (json.loads(of["coco.json"]) for of in (whole, steps))
    for one, two in zip(first["annotations"], second["annotations"], strict=True):
        assert one["segmentation"] == two["segmentation"] and abs(one["score"] - two["score"]) <= 1e-4
    said = json.loads(steps["result.json"])
    assert set(said["saved"]) == {*MORE, "vtt"} - {"overlay"} and said["overlay"] == "overlay.mp4"
    assert {**said, "saved": 0} == {**json.loads(whole["result.json"]), "saved": 0}


def test_without_stored_masks_the_video_is_predicted_again(tmp_path: Path) -> None:
    video, segmenter = dense(tmp_path / "good.mp4"), Segmenter(fake(), fps=1)
    predict_folder(segmenter, [video], tmp_path / "out", save=["srt"])
    before = len(segmenter.model.seen)  # type: ignore[arg-type]
    segmenter.model.seen.clear()  # type: ignore[union-attr,operator]
    assert before and predict_folder(segmenter, [video], tmp_path / "out", save=["csv"]).done
    assert segmenter.model.seen


def test_masks_that_are_not_all_there_do_not_stop_a_kind(tmp_path: Path) -> None:
    video, segmenter = dense(tmp_path / "good.mp4"), Segmenter(fake(), fps=1)
    predict_folder(segmenter, [video], tmp_path / "out", save=["masks"])
    (tmp_path / "out" / "good" / "masks" / "000001.png").unlink()
    report = predict_folder(segmenter, [video], tmp_path / "out", save=["masks", "csv"])
    assert report.done and report.exit_code == 0 and (tmp_path / "out" / "good" / "seconds.csv").is_file()


def test_masks_with_holes_are_written_anew(tmp_path: Path) -> None:
    video, segmenter = dense(tmp_path / "good.mp4"), Segmenter(fake(), fps=2)
    out = tmp_path / "out"
    predict_folder(segmenter, [video], out, save=["masks"])
    whole, mask = contents(out / "good"), out / "good" / "masks" / "000003.png"
    mask.unlink()
    assert predict_folder(segmenter, [video], out, save=["masks"]).done and contents(out / "good") == whole
    assert predict_folder(segmenter, [video], out, save=["masks"]).skipped
    mask.unlink()
    assert predict_folder(segmenter, [video], out, save=["srt"]).done
    assert mask.read_bytes() == whole["masks/000003.png"]
    mask.write_bytes(b"no picture")
    assert predict_folder(segmenter, [video], out, save=["vtt"]).done
    assert mask.read_bytes() == whole["masks/000003.png"]
    shutil.rmtree(mask.parent)
    assert predict_folder(segmenter, [video], out, save=["csv"]).done and not mask.parent.exists()


def test_an_overlay_in_another_style_stays_and_this_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    video, segmenter = dense(tmp_path / "good.mp4"), Segmenter(fake(), fps=1)
    predict_folder(segmenter, [video], tmp_path, save=["overlay", "masks"])
    painted = (tmp_path / "good" / "overlay.mp4").read_bytes()
    predict_folder(segmenter, [video], tmp_path, save=["overlay"], overlay=Style(opacity=1.0))
    assert "good.mp4: keeping the existing overlay; remove it" in caplog.text
    assert (tmp_path / "good" / "overlay.mp4").read_bytes() == painted
    (tmp_path / "good" / "overlay.mp4").unlink()
    caplog.clear()
    predict_folder(segmenter, [video], tmp_path, save=["overlay"], overlay=Style(opacity=1.0))
    assert "stays" not in caplog.text and (tmp_path / "good" / "overlay.mp4").read_bytes() != painted
