"""From queries to maps, pixel by pixel."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from avseg.models.qdformer.assembly import LEAST, binary_logits, semantic_logits
from avseg.models.qdformer.config import AssemblyConfig
from avseg.types import DensePrediction

FRAMES, QUERIES, CLASSES, SIDE = 3, 4, 5, 2


def said(classes: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(seed)
    return torch.randn(FRAMES, QUERIES, classes, generator=g), 2 * torch.randn(FRAMES, QUERIES, SIDE, SIDE, generator=g)


def sigmoid(x: Any) -> float:
    return 1 / (1 + math.exp(-float(x)))


def binary_probability(classes: Tensor, masks: Tensor, config: AssemblyConfig, t: int, y: int, x: int) -> float:
    scores = [sum(sigmoid(classes[u, q, 0]) for u in range(FRAMES)) / FRAMES for q in range(QUERIES)]
    seen = [
        0.0 if config.gate is not None and sigmoid(classes[t, q, 0]) <= config.gate else sigmoid(masks[t, q, y, x])
        for q in range(QUERIES)
    ]
    if config.merge == "top":
        return seen[max(range(QUERIES), key=lambda q: scores[q])]
    parts = [s * m for s, m in zip(scores, seen, strict=True)]
    return max(parts) if config.merge == "max" else 1 - math.prod(1 - part for part in parts)


@pytest.mark.parametrize("merge", ["top", "max", "noisy_or"])
@pytest.mark.parametrize("gate", [None, 0.3, 0.55])
def test_binary_maps_are_those_of_the_definition(merge: Any, gate: float | None) -> None:
    classes, masks = said(1)
    config = AssemblyConfig(gate=gate, merge=merge)
    found = binary_logits(classes, masks, config).sigmoid()
    assert found.shape == (FRAMES, 1, SIDE, SIDE)
    for t, y, x in itertools.product(range(FRAMES), range(SIDE), range(SIDE)):
        wanted = binary_probability(classes, masks, config, t, y, x)
        assert float(found[t, 0, y, x]) == pytest.approx(wanted, rel=1e-4, abs=2 * LEAST)


def test_the_gate_empties_the_frames_on_which_the_best_query_is_silent() -> None:
    classes = torch.tensor([[2.0, -3.0], [-2.0, -3.0], [3.0, -3.0]])[..., None]
    masks = torch.full((3, 2, SIDE, SIDE), 1.5)
    gated = binary_logits(classes, masks, AssemblyConfig())
    assert (gated[[0, 2]] == 1.5).all() and (gated[1] < -13).all()
    assert (binary_logits(classes, masks, AssemblyConfig(gate=None)) == 1.5).all()
    at = float(torch.tensor(-2.0).sigmoid())
    assert (binary_logits(classes, masks, AssemblyConfig(gate=at))[1] < 0).all()  # not above the gate
    prediction = DensePrediction("clip", gated, (8, 8))
    assert [int(prediction.labels(t).sum()) for t in range(3)] == [64, 0, 64]


@pytest.mark.parametrize("reduce", ["max", "sum"])
@pytest.mark.parametrize("background", [None, 0.5])
def test_semantic_maps_are_those_of_the_definition(reduce: Any, background: float | None) -> None:
    classes, masks = said(CLASSES)
    found = semantic_logits(classes, masks, AssemblyConfig(reduce=reduce, background=background))
    assert found.shape == (FRAMES, CLASSES + 1, SIDE, SIDE)
    for t, y, x in itertools.product(range(FRAMES), range(SIDE), range(SIDE)):
        parts = [
            [sigmoid(classes[t, q, c]) * sigmoid(masks[t, q, y, x]) for q in range(QUERIES)] for c in range(CLASSES)
        ]
        scores = [max(part) if reduce == "max" else sum(part) for part in parts]
        first = max(1 - max(scores), LEAST) if background is None else background
        assert found[t, :, y, x].exp().tolist() == pytest.approx([first, *scores], rel=1e-4, abs=LEAST)


def test_scores_are_of_each_frame_since_a_source_may_fall_silent() -> None:
    classes = torch.tensor([[4.0, -4.0], [-4.0, -4.0]])[:, None]  # one query: class 1 in the first frame alone
    masks = torch.full((2, 1, SIDE, SIDE), 4.0)
    labels = semantic_logits(classes, masks, AssemblyConfig()).argmax(1)
    assert (labels[0] == 1).all() and (labels[1] == 0).all()


def test_saturated_queries_have_finite_logits() -> None:
    for far in (1e4, -1e4):
        classes, masks = torch.full((2, 3, 4), far), torch.full((2, 3, SIDE, SIDE), far)
        for reduce, background in itertools.product(("max", "sum"), (None, 0.0, 1.0)):
            config = AssemblyConfig(reduce=reduce, background=background)  # type: ignore[arg-type]
            assert torch.isfinite(semantic_logits(classes, masks, config)).all()
        for merge in ("top", "max", "noisy_or"):
            config = AssemblyConfig(merge=merge)  # type: ignore[arg-type]
            assert torch.isfinite(binary_logits(classes[..., :1], masks, config)).all()


def test_half_precision_is_taken_in_float32() -> None:
    classes, masks = said(CLASSES)
    assert semantic_logits(classes.half(), masks.half(), AssemblyConfig()).dtype == torch.float32
    assert binary_logits(classes[..., :1].half(), masks.half(), AssemblyConfig()).dtype == torch.float32


def test_options_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="merge 'mean'"):
        AssemblyConfig(merge="mean")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"gate 1\.5"):
        AssemblyConfig(gate=1.5)
