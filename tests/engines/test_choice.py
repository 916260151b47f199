"""What `auto` means, and sentences about what cannot be."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from avseg.engines import Choice, choice, choose, records, with_engine
from avseg.inference import Segmenter
from avseg.inference.export.existing import Existing
from avseg.inference.export.files import ResultHeader
from avseg.types import Task
from engines.test_parts import TASKS
from models.small import batch, clip, small_model
from small import small

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AVSEG_ENGINE")


def installed(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    monkeypatch.setattr(records, "find_spec", lambda name: name if name in names else None)


def test_small_networks_and_machines_without_openvino_take_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose(small_model(), CPU) == Choice("torch", "fp32")
    monkeypatch.setattr(choice, "LARGE", 1)
    installed(monkeypatch)
    assert choose(small_model(), CPU) == Choice("torch", "fp32")


@pytest.mark.parametrize(("units", "precision"), [(True, "bf16"), (False, "fp32")])
def test_large_networks_take_openvino_on_a_cpu(monkeypatch: pytest.MonkeyPatch, units: bool, precision: str) -> None:
    monkeypatch.setattr(choice, "LARGE", 1)
    monkeypatch.setattr(choice, "_has", lambda _: units)
    installed(monkeypatch, "openvino")
    assert choose(small_model(), CPU) == Choice("openvino", precision)
    assert choose(small_model(), CPU, precision="fp32") == Choice("openvino", "fp32")
    assert choose(small_model(), torch.device("cuda")) == Choice("torch", "fp32")
    assert choose(small("zeroshot", Task("binary")), CPU) == Choice("torch", "fp32")
    monkeypatch.setenv("AVSEG_ENGINE", "torch")
    assert choose(small_model(), CPU) == Choice("torch", "fp32")


def test_what_cannot_be_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch)
    model: Any = small_model()
    with pytest.raises(ImportError, match=r"openvino is not installed: pip install \"avseg\[fast\]\""):
        choose(model, CPU, "openvino")
    installed(monkeypatch, "openvino", "onnxruntime")
    with pytest.raises(ValueError, match="there is no engine 'openvin'; did you mean 'openvino'"):
        choose(model, CPU, "openvin")
    with pytest.raises(ValueError, match="there is no precision 'half'"):
        choose(model, CPU, precision="half")
    with pytest.raises(ValueError, match="engine onnxruntime has no precision bf16; it has fp32"):
        choose(model, CPU, "onnxruntime", "bf16")
    with pytest.raises(ValueError, match="int8 needs clips"):
        choose(model, CPU, "openvino", "int8")
    with pytest.raises(ValueError, match="engine torch has no precision int8; it has fp32, bf16, fp16"):
        choose(model, CPU, precision="int8")
    with pytest.raises(ValueError, match="family zeroshot have no part that an engine can run"):
        choose(small("zeroshot", Task("binary")), CPU, "torch", "bf16")
    with pytest.raises(ValueError, match="fp16 only on a GPU"):
        with_engine(model, "torch", "fp16")
    monkeypatch.setenv("AVSEG_ENGINE", "tensorrt")
    with pytest.raises(ValueError, match="AVSEG_ENGINE is 'tensorrt'"):
        choose(model, CPU)


@dataclass(frozen=True)
class File:
    """Read the metadata of an exported file."""

    precision: str
    suffix: str = ".xml"
    path: Path = Path("model.xml")
    engine: str = "openvino"


@pytest.mark.parametrize(
    ("made", "units", "wanted", "found"),
    [
        ("fp32", True, "auto", "fp32"),
        ("fp32", True, "bf16", "bf16"),
        ("fp16", True, "auto", "fp16"),
        ("fp16", False, "auto", "fp32"),
        ("int8", False, "auto", "int8"),
        ("int8", False, "bf16", "model.xml is in int8 and cannot change; leave out precision bf16"),
        ("fp32", True, "int8", "model.xml is in fp32; make a file in int8 with avseg export"),
    ],
)
def test_files_are_computed_in_what_they_were_made_in(
    monkeypatch: pytest.MonkeyPatch, made: str, units: bool, wanted: str, found: str
) -> None:
    installed(monkeypatch, "openvino")
    monkeypatch.setattr(choice, "_has", lambda _: units)
    model: Any = small_model()
    model.exported = File(made)
    if " " in found:
        with pytest.raises(ValueError, match=found):
            choose(model, CPU, precision=wanted)
    else:
        assert choose(model, CPU, precision=wanted) == Choice("openvino", found)


def test_full_precision_in_pytorch_is_the_model_itself() -> None:
    model = small_model()
    assert with_engine(model, "torch", "fp32") is model


def test_half_precision_leaves_the_model_as_it_was() -> None:
    model, b = small_model(), batch(clip(7))
    exact = model.predict(b)[0].logits
    fast = with_engine(model, "torch", "bf16")
    half = fast.predict(b)[0].logits
    assert half.dtype == torch.float32 and 0 < (half - exact).abs().max() < 0.05 * exact.abs().max()
    assert torch.equal(model.predict(b)[0].logits, exact)
    assert next(fast.parameters()) is next(model.parameters())


@pytest.mark.parametrize("family", ["avism", "avsegformer", "catr", "cavp", "qdformer"])
def test_every_family_predicts_in_half_precision(family: str) -> None:
    model, b = small(family, TASKS[family]), batch(clip(3), clip(2, seed=1))
    exact, half = model.predict(b), with_engine(model, "torch", "bf16").predict(b)
    assert [p.id for p in half] == [p.id for p in exact]
    if family != "avism":
        for one, other in zip(exact, half, strict=True):
            assert one.logits.shape == other.logits.shape
            assert 0 < (one.logits - other.logits).abs().max() < 0.1 * one.logits.abs().max()


def test_results_say_what_made_them_and_those_of_another_are_made_again(tmp_path: Path) -> None:
    described = Segmenter(small_model(), engine="torch", precision="bf16").describe()
    assert (described["engine"], described["precision"]) == ("torch", "bf16")
    assert described["fingerprint"] == Segmenter(small_model()).describe()["fingerprint"]
    header = ResultHeader(described, Task("binary"), 5.0, "png")
    found = Existing(tmp_path, header.to_dict({"file": "a.mp4"}))
    assert not found.made_by_another(header)
    other = replace(header, model={**described, "precision": "fp32"})
    assert found.made_by_another(other)
    former = {name: value for name, value in described.items() if name not in ("engine", "precision")}
    found = Existing(tmp_path, replace(header, model=former).to_dict({"file": "a.mp4"}))
    assert found.made_by_another(header) and not found.made_by_another(other)
