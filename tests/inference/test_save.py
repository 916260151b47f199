"""`--save`: kinds of output by name, how they combine, what a second run adds, what a fault costs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from avseg.cli import complete, run
from avseg.datasets import DATASETS
from avseg.inference import Segmenter, predict_folder
from avseg.inference.export.kinds import choose, kinds
from avseg.inference.export.style import Style
from avseg.io.video import write_video
from avseg.models.avism.session import AVISMSession
from inference.fake import fake
from inference.media import tone
from inference.tracker import tracker

WHY: dict[str, Any] = {
    "parts": {"tagger": {"kind": "ast", "checkpoint": "some/ast", "revision": "12ab"}},
    "seconds": [{"second": 0, "decibels": None, "tags": [], "nouns": []}],
    "tracks": [],
}


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Two bright seconds with a tone."""
    bright = [np.full((48, 64, 3), 230, np.uint8)] * 20
    return write_video(tmp_path / "good.mp4", bright, 10, tone(2, 16000), 16000)


def told(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    return found


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    ("words", "masks", "more"),
    [
        ([], "png", ("overlay",)),
        (["--no-overlay"], "png", ()),
        (["--masks", "rle"], "rle", ("overlay",)),
        (["--masks", "none"], None, ("overlay",)),
        (["--save", "explain"], None, ("explain",)),
        (["--save", "explain", "--overlay"], None, ("overlay", "explain")),
        (["--save", "explain", "--masks", "npz"], "npz", ("explain",)),
        (["--save", "overlay", "masks", "explain", "--no-overlay", "--masks", "none"], None, ("explain",)),
        (["--save", "masks", "explain", "masks"], "png", ("explain",)),
        (["--save"], None, ()),
    ],
)
def test_what_is_given_by_name_wins_over_the_list(
    words: list[str], masks: str | None, more: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    def predict_paths(*_: Any, save: Any, overlay: Any, masks: Any, **__: Any) -> Any:
        seen.append(choose(save, overlay, masks))
        raise ValueError("enough")

    monkeypatch.setattr("avseg.inference.folder.predict_paths", predict_paths)
    with pytest.raises(ValueError, match="enough"):
        run(["predict", "a.mp4", "--model", "m", *words])
    assert (seen[0].masks, seen[0].more) == (masks, more)


def test_an_unknown_kind_is_a_misuse_before_any_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["predict", "no.mp4", "--model", "none", "--out", str(tmp_path / "out"), "--save", "masks", "explian"]
    with pytest.raises(SystemExit) as end:
        run(words)
    assert end.value.code == 2 and "did you mean explain?" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    with pytest.raises(ValueError, match="there is no kind of output 'explian'; did you mean 'explain'"):
        predict_folder(Segmenter(fake(), fps=1), [], tmp_path / "out", save=["explian"])
    with pytest.raises(ValueError, match=r"save is 'masks', wanted a list"):
        choose("masks")


def test_kinds_are_completed_and_on_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    gathered = {f"dataset:{name}" for name in DATASETS if DATASETS[name].gather}
    assert {"dataset:s4", "dataset:aviseg"} <= gathered
    assert {"overlay", "masks", "explain", "csv", "srt"} | gathered <= set(kinds())
    assert complete(["predict", "a.mp4", "--save", "masks", "dataset:"]) == sorted(gathered, reverse=True)
    with pytest.raises(SystemExit):
        run(["predict", "--help"])
    page = " ".join(capsys.readouterr().out.split())
    assert "--save [KIND ...]" in page and "--overlay, --no-overlay" in page
    assert all(f"{name}: {kind.what}" in page for name, kind in kinds().items())


def test_a_second_run_adds_a_kind_and_keeps_the_rest(video: Path, tmp_path: Path) -> None:
    out, segmenter = tmp_path / "out", Segmenter(fake(), fps=1)
    folder = out / "good"
    assert predict_folder(segmenter, [video], out, save=["masks"]).done and names(folder) == ["masks", "result.json"]
    assert "saved" not in told(folder)
    assert predict_folder(segmenter, [video], out, save=["explain"]).done
    assert names(folder) == ["explain.html", "masks", "result.json"]
    assert told(folder)["saved"] == {"explain": "explain.html"} and told(folder)["masks"]["kind"] == "png"
    assert predict_folder(segmenter, [video], out, save=["masks", "explain"]).skipped
    (folder / "explain.html").unlink()
    assert predict_folder(segmenter, [video], out, save=["explain"]).done and "explain.html" in names(folder)
    assert predict_folder(segmenter, [video], out, save=[], masks="rle", overwrite=True).done
    assert names(folder) == ["masks.jsonl", "result.json"] and "saved" not in told(folder)


def test_a_page_of_the_user_s_own_is_not_touched(video: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out" / "good"
    folder.mkdir(parents=True)
    (folder / "explain.html").write_text("mine", encoding="utf-8")
    (reason,) = predict_folder(Segmenter(fake(), fps=1), [video], tmp_path / "out").failed.values()
    assert "holds explain.html but not a complete result of avseg" in reason


@pytest.mark.parametrize("method", ["__init__", "add", "finish"])
def test_a_fault_of_one_kind_costs_that_kind_alone(
    method: str, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    out, segmenter = tmp_path / "out", Segmenter(fake(), fps=1)
    with monkeypatch.context() as broken:
        broken.setattr(f"avseg.inference.export.explain.ExplainWriter.{method}", fails)
        report = predict_folder(segmenter, [video], out, save=["masks", "overlay", "explain"])
    assert report.exit_code == 1 and not report.failed and report.done
    assert "no page could be written (No space left on device)" in str(report)
    assert ", 1 without the page; results are in" in report.summary and not report.without_overlay
    assert names(out / "good") == ["masks", "overlay.mp4", "result.json"]
    assert told(out / "good")["overlay"] == "overlay.mp4" and "saved" not in told(out / "good")
    again = predict_folder(segmenter, [video], out, save=["masks", "overlay", "explain"])
    assert again.exit_code == 0 and again.done and "explain.html" in names(out / "good")


def test_an_interrupt_leaves_nothing(video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("avseg.inference.export.explain.ExplainWriter.finish", stopped)
    with pytest.raises(KeyboardInterrupt):
        predict_folder(Segmenter(fake(), fps=1), [video], tmp_path / "out", save=["masks", "overlay", "explain"])
    assert names(tmp_path / "out") == []


def test_why_stands_in_the_result_where_the_model_tells(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = Segmenter(tracker(), fps=1)
    assert silent.predict(video).explanation == {}
    predict_folder(silent, [video], tmp_path / "silent", save=[])
    assert "explanation" not in told(tmp_path / "silent" / "good")
    monkeypatch.setattr(AVISMSession, "notes", lambda self: WHY)
    segmenter = Segmenter(tracker(), fps=1)
    stream = segmenter.stream(video)
    frames = tuple(stream)
    assert len(frames) == 2 and stream.notes == segmenter.predict(video).explanation == WHY
    predict_folder(segmenter, [video], tmp_path / "out", save=["masks"])
    assert told(tmp_path / "out" / "good")["explanation"] == WHY
    assert predict_folder(segmenter, [video], tmp_path / "out", save=["overlay"]).done
    assert told(tmp_path / "out" / "good")["explanation"] == WHY
    segmenter.predict(video).save(tmp_path / "saved", save=["explain"])
    assert told(tmp_path / "saved")["explanation"] == WHY and names(tmp_path / "saved") == [
        "explain.html",
        "result.json",
        "tracks.json",
    ]


def test_reasons_that_are_no_json_cost_the_result_in_a_sentence(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AVISMSession, "notes", lambda self: {"seconds": [{"second": 0, "decibels": float("-inf")}]})
    report = predict_folder(Segmenter(tracker(), fps=1), [video], tmp_path / "out", save=[])
    assert "JSON compliant" in report.failed[video] and names(tmp_path / "out") == []


@pytest.mark.parametrize(
    ("words", "more", "painted"),
    [
        (["--style.silent", "grey"], ("overlay",), True),
        (["--save", "csv", "--style.silent", "grey"], ("csv",), True),
        (["--save", "csv", "--overlay", "--style.silent", "grey"], ("overlay", "csv"), True),
        (["--no-overlay", "--style.silent", "grey"], (), False),
    ],
)
def test_a_style_does_not_ask_for_an_overlay(
    words: list[str], more: tuple[str, ...], painted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    def predict_paths(*_: Any, save: Any, overlay: Any, masks: Any, **__: Any) -> Any:
        seen.append(choose(save, overlay, masks))
        raise ValueError("enough")

    monkeypatch.setattr("avseg.inference.folder.predict_paths", predict_paths)
    with pytest.raises(ValueError, match="enough"):
        run(["predict", "a.mp4", "--model", "m", *words])
    assert seen[0].more == more and (seen[0].style == Style(silent="grey")) == painted


def test_a_style_reaches_the_overlay(video: Path, tmp_path: Path) -> None:
    segmenter, dark = Segmenter(fake(), fps=1), Style(silent="dark", opacity=0.0)
    assert predict_folder(segmenter, [video], tmp_path / "plain", save=["overlay"]).done
    assert predict_folder(segmenter, [video], tmp_path / "dark", save=["overlay"], overlay=dark).done
    plain, styled = ((tmp_path / name / "good" / "overlay.mp4").read_bytes() for name in ("plain", "dark"))
    assert plain != styled
    assert segmenter.predict(video).save_video(tmp_path / "own.mp4", dark).read_bytes() == styled
