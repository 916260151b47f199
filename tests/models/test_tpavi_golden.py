"""The published network's numbers, through our converter; weights and inputs by formulas
(docs/explanation/golden.md)."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from avseg.datasets.avss.classes import avss_classes
from avseg.models.tpavi.convert import convert
from avseg.models.tpavi.model import TPAVI
from avseg.types import Task
from golden_recipe import seeded_state, sequence

TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def vggish(golden: Any) -> dict[str, Tensor]:
    """Small numbers are enough: the golden figures begin at the embeddings."""
    return {name: torch.zeros(shape) for name, shape in golden("tpavi/keys_vggish.json")}


def converted(golden: Any, name: str, vggish: dict[str, Tensor], **changes: Any) -> TPAVI:
    state = seeded_state(golden(f"tpavi/keys_{name}.json"))
    semantic = name.startswith("avss")
    task = Task("semantic", avss_classes()[1:]) if semantic else Task("binary")
    return convert(state, task, vggish=vggish, variant=None if semantic else name.split("_")[0], **changes)


def published_inputs(semantic: bool) -> tuple[Tensor, Tensor, Tensor | None]:
    frames = 10 if semantic else 5
    images = sequence((frames, 3, 224, 224), 0.0137, 1.2)
    audio = sequence((frames, 128), 0.31, 1.0).relu()
    if not semantic:
        return images, audio, None
    valid = (torch.arange(frames) < 5).float()
    return images, audio * valid[:, None], valid


def check(expected: dict[str, Any], logits: Tensor, maps: list[Tensor], audio: list[Tensor | None]) -> None:
    close = pytest.approx
    assert list(logits.shape) == expected["shape"]
    for what in ("mean", "std", "min", "max"):
        assert float(getattr(logits, what)()) == close(expected[what], abs=TOLERANCE), what
    for t, c, y, x, value in expected["samples"]:
        assert float(logits[t, c, y, x]) == close(value, abs=TOLERANCE)
    for tensors, figures in ((maps, expected["feature_maps"]), (audio, expected["audio_feats"])):
        assert len(tensors) == len(figures) == 4
        for tensor, figure in zip(tensors, figures, strict=True):
            assert tensor is not None and list(tensor.shape) == figure["shape"]
            for what in set(figure) - {"shape"}:
                assert float(getattr(tensor, what)()) == close(figure[what], abs=TOLERANCE)


@pytest.mark.parametrize("name", ["s4_r50", "s4_pvt", "avss_r50", "avss_pvt"])
def test_published_logits_maps_and_sounds(golden: Any, vggish: dict[str, Tensor], name: str) -> None:
    model = converted(golden, name, vggish)
    assert model.config.valid_mask == (not model.config.align_bias) == name.startswith("avss")
    with torch.inference_mode():
        logits, maps, audio = model.network(*published_inputs(name.startswith("avss")))
    check(golden(f"tpavi/golden_{name}.json")["va"], logits, maps, audio)
    if name == "s4_r50":
        both = converted(golden, name, vggish, self_attention=True)
        with torch.inference_mode():
            logits, maps, audio = both.network(*published_inputs(False))
        check(golden("tpavi/golden_s4_r50.json")["vv_va"], logits, maps, audio)


@pytest.mark.parametrize("backbone", ["r50", "pvt"])
def test_ms3_is_the_same_network_as_s4(golden: Any, backbone: str) -> None:
    assert golden(f"tpavi/keys_ms3_{backbone}.json") == golden(f"tpavi/keys_s4_{backbone}.json")
