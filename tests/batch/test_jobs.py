"""`avseg predict --jobs N`: the folders of one process, by several."""

from __future__ import annotations

from pathlib import Path

import pytest

from avseg.cli import run
from avseg.inference.folder import predict_paths
from batch.test_batch import CRASH
from batch_films import FPS, files_of, film, films


def test_several_processes_write_what_one_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = tmp_path / "films", tmp_path / "out"
    films(folder, 3)
    film(folder / "below/film 0.mp4", 4)  # two of one name
    (folder / "broken.mp4").write_bytes(b"none")
    own = predict_paths([str(folder)], "demo", tmp_path / "own", save=("csv",), masks="rle", fps=FPS, device="cpu")
    film(folder / "crash.mp4", 2)
    (tmp_path / "crashing_jobs.py").write_text(CRASH)
    monkeypatch.setenv("AVSEG_PLUGINS", str(tmp_path / "crashing_jobs.py"))
    words = ["predict", str(folder), "--model", "demo", "--out", str(out), "--fps", "1", "--device", "cpu"]
    words += ["--save", "csv", "--masks", "rle", "--jobs", "2"]
    assert run(words) == 1
    assert "4 segmented, 0 already there, 2 failed" in capsys.readouterr().out and len(own.done) == 4
    assert files_of(out) == files_of(tmp_path / "own")


def test_what_needs_one_process_or_fits_no_model_is_told_at_once(tmp_path: Path) -> None:
    video = str(film(tmp_path / "a.mp4", 1))
    words = ["predict", video, "--model", "demo", "--out", str(tmp_path / "out"), "--jobs", "2"]
    with pytest.raises(ValueError, match="dataset:s4 collects the videos of one process; leave --jobs out"):
        run([*words, "--save", "dataset:s4"])
    with pytest.raises(ValueError, match="no_such"):
        run([*words[:3], str(tmp_path / "no_such.safetensors"), *words[4:]])
    with pytest.raises(ValueError, match="--jobs is 0, wanted 1 process or more"):
        run([*words[:-1], "0"])
