"""The commands know the package by its entry points alone: `pip install . && pytest`."""

import json

from avseg.cli import run
from avseg.models import load_model


def test_trains_evaluates_and_predicts(tmp_path, capsys):
    assert run(["train", "toy_beeps", "--out", str(tmp_path / "run")]) == 0
    model = tmp_path / "run" / "best.safetensors"
    out = ["--protocol", "repaired", "--out", str(tmp_path / "scores")]
    assert run(["evaluate", str(model), "--data.name", "beeps", "--data.length", "8", *out]) == 0
    assert json.loads((tmp_path / "scores" / "result.json").read_text())["scores"]["repaired"]["J_sounding"] > 0.9
    assert run(["data", "synth", "s4", "--root", str(tmp_path / "s4"), "--clips", "3", "--workers", "1"]) == 0
    video = next((tmp_path / "s4").rglob("*.mp4"))
    assert run(["predict", str(video), "--model", str(model), "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / video.stem / "overlay.mp4").is_file()
    assert run(["models"]) == 0 and "toy" in capsys.readouterr().out
    assert load_model(model).config.width == 8
