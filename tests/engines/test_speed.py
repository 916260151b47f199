"""How fast a model is: what is counted and timed, and what the command says of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from avseg.cli import run
from avseg.config import InputSpec, Temporal
from avseg.engines import records, speed
from avseg.engines.samples import SampleShape, made_up
from avseg.engines.speed import Measuring, ModelFacts, Question, facts, flops, matrix_flops, setting_of
from avseg.export.notes import ExportNote
from avseg.export.opening import Exported
from avseg.jobs import speeds
from avseg.jobs.errors import JobError
from avseg.jobs.speeds import SpeedReport, SpeedRow
from avseg.models import save_model
from avseg.models.opening import ModelSource
from avseg.types import Task
from models.small import small_model
from small import small, small_config

CPU = torch.device("cpu")


class Here:
    """Answers in this process what `avseg.jobs.child.Child` answers in another."""

    def __init__(self, address: str, *arguments: Any, doing: str) -> None:
        assert address == speeds.ADDRESS
        self.work = Measuring(*arguments)

    def ask(self, question: Any) -> Any:
        try:
            return self.work(question)
        except (ValueError, OSError) as error:
            raise JobError(str(error)) from error

    def close(self) -> None:
        """Nothing to end."""


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speeds, "Child", Here)
    monkeypatch.setattr(records, "find_spec", lambda name: None)
    monkeypatch.setattr(speed, "MATRIX", {"cpu": 32})
    monkeypatch.setattr(speed, "SECONDS", 0.0)


@pytest.fixture
def model_file(tmp_path: Path) -> str:
    return str(save_model(small_model(), tmp_path / "small.safetensors"))


def test_operations_are_two_for_each_product_also_where_a_part_is_given_a_parameter() -> None:
    class Asked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.query, self.layer = nn.Parameter(torch.ones(3, 4)), nn.Linear(4, 5)

        def forward(self) -> torch.Tensor:
            found: torch.Tensor = self.layer(self.query)
            return found

    asked = Asked().requires_grad_(False)
    with torch.inference_mode():
        assert flops(asked) == 2 * 3 * 4 * 5


def test_products_of_matrices_are_timed_in_what_pytorch_multiplies(here: None) -> None:
    assert (matrix_flops("fp32", CPU, 0.0) or 0) > 1e6 and (matrix_flops("bf16", CPU, 0.0) or 0) > 1e5
    assert matrix_flops("int8", CPU) is None


def test_samples_are_whole_groups_of_the_size_that_a_video_gets() -> None:
    config = small_config("tpavi", temporal=Temporal("block", 5), input=InputSpec((64, 64), rule="shorter_side"))
    assert SampleShape.of(config, (360, 640), 6) == SampleShape(2, 5, (64, 114))
    assert SampleShape.of(replace(config, temporal=Temporal("frame", 1)), None, 6) == SampleShape(6, 1, (64, 64))
    assert SampleShape.of(small_config("avism"), (360, 640), 7).frames == 7
    batch = made_up(config, SampleShape(2, 5, (64, 96)))
    assert batch.frames.shape == (2, 5, 3, 64, 96) and torch.equal(batch.frames[0], batch.frames[1])


@pytest.mark.parametrize(("family", "kind"), [("avism", "instance"), ("cavp", "semantic")])
def test_models_of_clips_and_of_frames_have_facts(family: str, kind: Any) -> None:
    model = small(family, Task(kind, ("one", "two")))
    told = facts(model, CPU, (64, 64), 1)
    assert told.family == family and told.parameters == sum(p.numel() for p in model.parameters())
    assert told.flops > 1e6 and ("torch", "fp32") in told.choices and told.usual in told.choices


def test_names_of_published_settings_stand_for_them_unless_a_file_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert setting_of(ModelSource("tpavi-s4")) == ("tpavi", "s4")
    assert setting_of(ModelSource("cavp-vpo_stereo")) == ("cavp", "vpo_stereo")
    assert setting_of(ModelSource("zeroshot-cpu")) is None and setting_of(ModelSource("tpavi-s5")) is None
    Path("tpavi-s4").touch()
    assert setting_of(ModelSource("tpavi-s4")) is None


def test_a_row_is_measured_and_its_floor_follows_from_the_operations(here: None, model_file: str) -> None:
    report = speeds.measured(ModelSource(model_file), precisions=["fp32"], video=(64, 64), frames=1)
    (row,) = report.rows
    frames = report.frames
    assert row.usual and not row.fault and row.peak_mib and row.peak_mib > 50
    assert row.frames_per_second and row.seconds_per_frame and row.first_seconds
    assert row.frames_per_second * row.seconds_per_frame == pytest.approx(1)
    assert row.floor_seconds == pytest.approx(report.facts.flops / frames / (row.matrix_flops or 0))
    told = json.loads(json.dumps(report.to_dict()))
    assert told["parameters"] == sum(p.numel() for p in small_model().parameters())
    assert told["flops_per_frame"] * frames == report.facts.flops and told["rows"][0]["engine"] == "torch"
    assert set(told["missing"]) == {"openvino", "onnxruntime"}


def test_what_fails_costs_its_row_alone(here: None, model_file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    of = speed.speed

    def spoilt(model: Any, device: torch.device, question: Question) -> Any:
        if question.precision == "bf16":
            raise ValueError("this CPU has no units for bf16")
        return of(model, device, question)

    monkeypatch.setattr(speed, "speed", spoilt)
    report = speeds.measured(ModelSource(model_file), video=(64, 64), frames=1, quick=True)
    assert [bool(row.fault) for row in report.rows] == [False, True] and report.rows[1].frames_per_second is None


def test_mistakes_are_one_sentence(here: None, model_file: str, tmp_path: Path) -> None:
    with pytest.raises(
        JobError, match=r"none of the requested engines and precisions is available; .* torch in fp32, torch in bf16"
    ):
        speeds.measured(ModelSource(model_file), engines=["openvino"], video=(64, 64))
    with pytest.raises(ValueError, match="got 0 frames of 64 x 64, wanted 1 or more of each"):
        speeds.measured(ModelSource(model_file), frames=0, video=(64, 64))
    with pytest.raises(JobError, match="there is no model file"):
        speeds.measured(ModelSource(str(tmp_path / "none.safetensors")))


def test_an_exported_file_has_the_operations_of_the_model_that_it_was_made_of() -> None:
    whole, model = small_model(), small_model()
    model.exported = Exported(Path("small.pt2"), ExportNote("fp32", "", {}, {}))
    model._modules = {"network": nn.Module()}
    told, wanted = (facts(one, CPU, (64, 64), 5) for one in (model, whole))
    assert (told.parameters, told.flops) == (wanted.parameters, wanted.flops) and told.parameters > 0
    assert {engine for engine, _ in told.choices} == {"torch"}


@pytest.mark.parametrize("columns", [60, 80, 160])
def test_the_table_says_all_and_fits(
    columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    told = ModelFacts(
        family="tpavi",
        task="binary",
        parameters=93_400_000,
        flops=325e9,
        sample=SampleShape(1, 5, (224, 224)),
        device="cpu",
        threads=2,
        choices=(),
        usual=("openvino", "bf16"),
        missing={"onnxruntime": 'pip install "avseg[export]"'},
    )
    rows = [
        SpeedRow("torch", "fp32", False, 6.7, 0.149, 0.8, 912.4, 1.5e11, 0.43),
        SpeedRow("openvino", "bf16", True, 33.1, 0.0302, 21.4, 1412.0, 4e11, 0.016),
        SpeedRow("openvino", "fp16", fault="this CPU has no units for fp16; use precision fp32"),
    ]
    monkeypatch.setattr(speeds, "measured", lambda *_, **__: SpeedReport("s4.safetensors", "A CPU", told, rows))
    assert run(["benchmark", "s4.safetensors"]) == 0
    printed = capsys.readouterr().out
    assert columns < 80 or max(map(len, printed.splitlines())) <= columns
    for word in ("93.4 million parameters", "65 billion operations", "on A CPU, 2 threads", "openvino*", "1412"):
        assert word in printed
    assert "openvino in fp16: this CPU has no units for fp16" in printed
    assert 'onnxruntime is not installed: pip install "avseg[export]"' in printed
    monkeypatch.setattr(speeds, "measured", lambda *_, **__: SpeedReport("s4", "A CPU", told, rows[2:]))
    assert run(["benchmark", "s4"]) == 1


def test_the_command_measures_in_processes_of_its_own_and_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["benchmark", "demo", "--engine", "torch", "--precision", "fp32", "--quick", "--json"]
    assert run(words) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["model"] == "demo" and told["family"] == "tpavi" and len(told["rows"]) == 1
    assert told["rows"][0]["peak_mib"] > 100 and told["rows"][0]["frames_per_second"] > 0
