"""avseg knows the package by its entry points alone: `pip install . && pytest`."""

import json

from avseg.cli import run


def test_trains_evaluates_and_predicts(tmp_path, capsys):
    model, scores = str(tmp_path / "run" / "best.safetensors"), tmp_path / "scores"
    assert run(["train", "toy_beeps", "--out", str(tmp_path / "run")]) == 0
    flags = ["--data.name", "beeps", "--data.length", "8", "--protocol", "repaired", "--out", str(scores)]
    assert run(["evaluate", model, *flags]) == 0
    assert json.loads((scores / "result.json").read_text())["scores"]["J_sounding"] > 0.9
    run(["data", "synth", "s4", "--root", str(tmp_path), "--clips", "3", "--video"])
    video = next(tmp_path.rglob("*.mp4"))
    assert run(["predict", str(video), "--model", model, "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / video.stem / "overlay.mp4").is_file()
    assert run(["models"]) == 0 and "toy" in capsys.readouterr().out
