"""The keys and types of result.json, format version 1, stay."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from avseg.inference import Segmenter, predict_folder, predict_paths
from avseg.models import build_model, save_model
from avseg.models.zeroshot.config import GateConfig, hearing
from avseg.types import Task
from inference.recordings import record
from small import small_config
from zeroshot_parts import stub_model

SCHEMA = json.loads((Path(__file__).parents[1] / "golden" / "house" / "result_schema.json").read_text(encoding="utf-8"))


def schema(value: Any, path: str = "") -> set[str]:
    """`path: type` of every value; entries of a list count as one."""
    if isinstance(value, dict):
        return {line for key, inner in value.items() for line in schema(inner, f"{path}.{key}" if path else key)}
    if isinstance(value, list):
        return {line for inner in value for line in schema(inner, f"{path}[]")} or {f"{path}[]: none"}
    return {f"{path}: {type(value).__name__}"}


def test_an_explanation_has_the_documented_form(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "result.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```\n(\{\"parts\".*?)```", page, re.DOTALL)
    documented = {re.sub(r"^parts\.\w+", "parts.PART", line) for line in schema(json.loads(example))}
    video = record(tmp_path / "film.mp4", 3.0, (1.0,))
    model = stub_model(Task("instance", ("dog", "cello")), gate=GateConfig(on=0.01, off=0.005), audio=hearing(1.0))
    predict_folder(Segmenter(model), [video], tmp_path / "out", save=["explain"])
    told = json.loads((tmp_path / "out" / "film" / "result.json").read_text(encoding="utf-8"))
    found = {re.sub(r"^parts\.\w+", "parts.PART", line) for line in schema(told["explanation"])}
    assert found - {"seconds[].decibels: NoneType"} == documented - {"seconds[].decibels: NoneType"}
    assert told["saved"] == {"explain": "explain.html"}
    assert {"dog", "cello"} <= set(re.findall(r"dog|cello", (tmp_path / "out/film/explain.html").read_text("utf-8")))


@pytest.mark.parametrize("kind", ["semantic", "instance"])
def test_result_json_keeps_its_schema(kind: str, tmp_path: Path) -> None:
    video = record(tmp_path / "film.mp4", 3.0, (1.0,))
    torch.manual_seed(0)
    task = Task(kind, ("dog", "cello"))  # type: ignore[arg-type]
    model = build_model(small_config("avism" if kind == "instance" else "tpavi"), task)
    save_model(model, tmp_path / "model.safetensors")
    options = {"score": 0.0} if kind == "instance" else {}
    words = ([str(video)], str(tmp_path / "model.safetensors"), tmp_path / "out")
    report = predict_paths(*words, fps=1, overlay=False, masks="rle", options=options)
    assert report.exit_code == 0
    found = json.loads((tmp_path / "out" / "film" / "result.json").read_text(encoding="utf-8"))
    assert sorted(schema(found)) == SCHEMA[kind]
