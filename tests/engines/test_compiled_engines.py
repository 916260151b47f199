"""Engines that compile graphs give what PyTorch gives, compile few shapes, and begin from the cache the next time."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from avseg.config import InputSpec
from avseg.engines import cache, parts, trace, with_engine
from avseg.engines.parts import ModelPart
from avseg.models.seams import called
from avseg.types import Batch
from engines.test_parts import TASKS
from extras import needs
from models.small import batch, clip
from small import small

pytestmark = pytest.mark.extra


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVSEG_CACHE", str(tmp_path))


def clips() -> Batch:
    """Of 5 frames, and of 3 with 2 that do not exist."""
    return batch(clip(5), clip(3, seed=1), frames=5)


@pytest.mark.parametrize(
    ("family", "engine"),
    [
        pytest.param("tpavi", "openvino", marks=pytest.mark.slow),
        pytest.param("qdformer", "openvino", marks=pytest.mark.slow),
        pytest.param("avsegformer", "openvino", marks=pytest.mark.slow),
        ("catr", "openvino"),
        ("cavp", "onnxruntime"),
    ],
)
def test_logits_are_those_of_pytorch(family: str, engine: str) -> None:
    needs(engine)
    model = small(family, TASKS[family])
    for one, other in zip(model.predict(clips()), with_engine(model, engine, "fp32").predict(clips()), strict=True):
        torch.testing.assert_close(other.logits, one.logits, rtol=0, atol=1e-4 * float(one.logits.abs().max()))


@pytest.mark.slow
def test_frame_queries_are_those_of_pytorch() -> None:
    needs("openvino")
    model = small("avism", TASKS["avism"])
    fast = with_engine(model, "openvino", "fp32")
    images, audio = torch.randn(3, 3, 64, 96), torch.randn(3, 16)
    with torch.inference_mode():
        one, other = (each.network.look(images, audio, layers=1, predict=False) for each in (model, fast))
    torch.testing.assert_close(other.queries, one.queries, rtol=0, atol=1e-4)
    torch.testing.assert_close(other.clip_features, one.clip_features, rtol=0, atol=1e-4)


def test_a_graph_is_compiled_once_and_read_the_next_time(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    needs("openvino")
    caplog.set_level(logging.INFO)
    model = small("cavp", TASKS["cavp"])
    first = with_engine(model, "openvino", "fp32")
    wanted = first.predict(batch(clip(5)))[0].logits
    assert "OpenVINO compiles network" in caplog.text and len(list(cache.folder().glob("*.openvino"))) == 1
    torch.testing.assert_close(first.predict(batch(clip(5), clip(4, seed=1)))[0].logits, wanted)
    monkeypatch.setattr(trace, "of_shape", lambda *_: pytest.fail("traced again"))
    again = with_engine(model, "openvino", "fp32").predict(batch(clip(5)))[0].logits
    assert torch.equal(again, wanted)  # in fp32, too, where the CPU would take bf16 by itself


def test_after_a_few_sizes_one_graph_takes_all_others(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    needs("openvino")
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(parts, "FEW", 1)
    model = small("cavp", TASKS["cavp"], input=InputSpec((64, 64), rule="keep"))
    fast = with_engine(model, "openvino", "fp32")
    for size in ((64, 64), (64, 128), (96, 64), (128, 160)):
        given = Batch.collate([replace(clip(2), frames=torch.randint(0, 256, (2, 3, *size), dtype=torch.uint8))])
        one, other = model.predict(given)[0].logits, fast.predict(given)[0].logits
        torch.testing.assert_close(other, one, rtol=0, atol=1e-4 * float(one.abs().max()))
    assert [line.split(" in fp32")[0] for line in caplog.messages if "compiles" in line] == [
        "OpenVINO compiles network for 2x3x64x64 and 2x1x300x64",
        "OpenVINO compiles network for any size",
    ]


def test_what_openvino_cannot_follow_is_one_sentence() -> None:
    needs("openvino")
    from avseg.engines.openvino_engine import converted

    class Odd(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.linalg.qr(x)[0]

    program = torch.export.export(Odd(), (torch.rand(3, 3),))
    with pytest.raises(ValueError, match=r"OpenVINO cannot convert network .*; use engine torch"):
        converted(program, "network")


def test_a_cpu_without_units_is_told_before_anything_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    needs("openvino")
    from avseg.engines import openvino_engine

    monkeypatch.setattr(openvino_engine, "can", lambda precision: precision == "fp32")
    with pytest.raises(ValueError, match="this CPU has no units for bf16; use precision fp32"):
        with_engine(small("catr", TASKS["catr"]), "openvino", "bf16")
    with pytest.raises(ValueError, match="engine openvino runs on the CPU, not on cuda; use device cpu or engine"):
        openvino_engine.OpenVINOEngine("fp32", torch.device("cuda"))


def test_a_cache_of_another_kind_is_made_again(tmp_path: Path) -> None:
    needs("openvino")
    model, part = torch.nn.Linear(3, 2), (torch.rand(4, 3),)
    from avseg.engines.openvino_engine import OpenVINOEngine

    engine = OpenVINOEngine("fp32", torch.device("cpu"))
    own = ModelPart(
        "linear", lambda x: (model(x),), lambda: "key", lambda: ((1,), (1,)), lambda _: torch.export.export(model, part)
    )
    for _ in range(2):
        run = engine.of_graph(own, part)
        torch.testing.assert_close(run(*part)[0], model(*part), rtol=0, atol=1e-6)
        for file in cache.folder().glob("*.openvino"):
            file.write_bytes(b"no graph")


def test_keys_follow_weights_and_parts() -> None:
    model = small("tpavi", TASKS["tpavi"])
    key = cache.part_key(model, "network")
    assert key == cache.part_key(small("tpavi", TASKS["tpavi"]), "network") != cache.part_key(model, "audio_network")
    with torch.no_grad():
        next(model.network.parameters()).add_(1)
    assert cache.part_key(model, "network") != key
    assert called(model, "nothing") is None


def test_the_oldest_graphs_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MOST_BYTES", 25)
    for name in ("a", "b", "c"):
        cache.write(name, b"0123456789")
    assert cache.read("a") is None and cache.read("b") == cache.read("c") == b"0123456789"
