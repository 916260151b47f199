"""The JSON schemas of docs/reference/schemas describe every key that files have, and accept the files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from avseg.datasets import data_config
from avseg.demo import MODEL_FILE
from avseg.engine import evaluate_file
from avseg.inference import Segmenter, predict_folder
from avseg.models import build_model
from avseg.models.zeroshot.config import GateConfig, hearing
from avseg.types import Clip, Task
from extras import needs
from inference.recordings import record
from small import small_config
from zeroshot_parts import stub_model

pytestmark = pytest.mark.extra
FOLDER = Path(__file__).parents[2] / "docs" / "reference" / "schemas"


def schema_of(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.schema.json").read_text(encoding="utf-8"))
    return found


def unknown(value: Any, schema: dict[str, Any], path: str = "") -> list[str]:
    """The keys of a value that a schema does not describe."""
    if isinstance(value, list):
        return [key for inner in value for key in unknown(inner, schema.get("items", {}), f"{path}[]")]
    if not isinstance(value, dict) or "anyOf" in schema or "additionalProperties" in schema:
        return []
    known = schema.get("properties")
    if known is None:
        return []
    missing = [f"{path}.{key}" for key in value if key not in known]
    return missing + [key for name in known.keys() & value.keys() for key in unknown(value[name], known[name], name)]


def accept(name: str, value: Any, *, open_below: str = "") -> None:
    needs("jsonschema")
    from jsonschema import Draft202012Validator

    schema = schema_of(name)
    Draft202012Validator.check_schema(schema)
    assert [error.message for error in Draft202012Validator(schema).iter_errors(value)] == []
    assert [key for key in unknown(value, schema) if not open_below or not key.startswith(open_below)] == []


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("family", ["tpavi", "avism"])
def test_results_fit_their_schemas(family: str, tmp_path: Path) -> None:
    video = record(tmp_path / "film.mp4", 3.0, (1.0,))
    torch.manual_seed(0)
    task = Task("instance" if family == "avism" else "semantic", ("dog", "cello"))
    options = {"score": 0.0} if family == "avism" else {}
    segmenter = Segmenter(build_model(small_config(family), task), fps=1, device="cpu", options=options)
    report = predict_folder(segmenter, [video], tmp_path / "out", save=["overlay", "csv"], masks="rle", end=2.0)
    assert report.exit_code == 0
    folder = tmp_path / "out" / "film"
    found = read(folder / "result.json")
    assert any(frame["objects"] for frame in found["frames"])
    accept("result", found)
    for line in (folder / "masks.jsonl").read_text(encoding="utf-8").splitlines():
        accept("masks", json.loads(line))
    if family == "avism":
        assert read(folder / "tracks.json")
        accept("tracks", read(folder / "tracks.json"))


def test_a_result_with_an_explanation_and_that_of_a_clip_fit(tmp_path: Path) -> None:
    video = record(tmp_path / "film.mp4", 3.0, (1.0,))
    model = stub_model(Task("instance", ("dog", "cello")), gate=GateConfig(on=0.01, off=0.005), audio=hearing(1.0))
    predict_folder(Segmenter(model), [video], tmp_path / "out", save=["explain"])
    accept("result", read(tmp_path / "out" / "film" / "result.json"))
    clip = Clip(
        "a", torch.zeros(2, 3, 32, 32, dtype=torch.uint8), torch.arange(2).double(), torch.zeros(1, 32000), 16000
    )
    folder = Segmenter(str(MODEL_FILE), device="cpu").predict(clip).save(tmp_path / "clip")
    accept("result", read(folder / "result.json"))


def test_an_evaluation_fits_its_schema(tmp_path: Path) -> None:
    data = data_config("synth", kind="semantic", held_out_clips=2, frames=2, size=64)
    evaluate_file(str(MODEL_FILE), data, out=tmp_path, device="cpu")
    accept("evaluation", read(tmp_path / "result.json"), open_below="data.")
