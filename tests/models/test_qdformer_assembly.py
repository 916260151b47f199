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
SIZE = (SIDE, SIDE)


def said(classes: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(seed)
    return torch.randn(FRAMES, QUERIES, classes, generator=g), 2 * torch.randn(FRAMES, QUERIES, SIDE, SIDE, generator=g)


def sigmoid(x: Tensor) -> float:
    return 1 / (1 + math.exp(-x.item()))


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
    found = binary_logits(classes, masks, SIZE, config).sigmoid()
    assert found.shape == (FRAMES, 1, SIDE, SIDE)
    for t, y, x in itertools.product(range(FRAMES), range(SIDE), range(SIDE)):
        wanted = binary_probability(classes, masks, config, t, y, x)
        assert float(found[t, 0, y, x]) == pytest.approx(wanted, rel=1e-4, abs=2 * LEAST)


def test_the_gate_empties_the_frames_on_which_the_best_query_is_silent() -> None:
    classes = torch.tensor([[2.0, -3.0], [-2.0, -3.0], [3.0, -3.0]])[..., None]
    masks = torch.full((3, 2, SIDE, SIDE), 1.5)
    gated = binary_logits(classes, masks, SIZE, AssemblyConfig())
    assert (gated[[0, 2]] - 1.5).abs().max() < 1e-5 and (gated[1] < -13).all()
    assert (binary_logits(classes, masks, SIZE, AssemblyConfig(gate=None)) > 1.4).all()
    at = float(torch.tensor(-2.0).sigmoid())
    assert (binary_logits(classes, masks, SIZE, AssemblyConfig(gate=at))[1] < 0).all()  # not above the gate
    prediction = DensePrediction("clip", gated, (8, 8))
    assert [int(prediction.labels(t).sum()) for t in range(3)] == [64, 0, 64]


@pytest.mark.parametrize("reduce", ["max", "sum"])
@pytest.mark.parametrize("background", [None, 0.5])
def test_semantic_maps_are_those_of_the_definition(reduce: Any, background: float | None) -> None:
    classes, masks = said(CLASSES)
    found = semantic_logits(classes, masks, SIZE, AssemblyConfig(reduce=reduce, background=background))
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
    labels = semantic_logits(classes, masks, SIZE, AssemblyConfig()).argmax(1)
    assert (labels[0] == 1).all() and (labels[1] == 0).all()


def test_saturated_queries_have_finite_logits() -> None:
    for far in (1e4, -1e4):
        classes, masks = torch.full((2, 3, 4), far), torch.full((2, 3, SIDE, SIDE), far)
        for reduce, background in itertools.product(("max", "sum"), (None, 0.0, 1.0)):
            config = AssemblyConfig(reduce=reduce, background=background)  # type: ignore[arg-type]
            assert torch.isfinite(semantic_logits(classes, masks, SIZE, config)).all()
        for merge in ("top", "max", "noisy_or"):
            config = AssemblyConfig(merge=merge)
            assert torch.isfinite(binary_logits(classes[..., :1], masks, SIZE, config)).all()


def test_borders_lie_where_the_mask_has_them_however_sure_it_is_on_either_side() -> None:
    """Maps are brought to size as probabilities: logits of 30 inside and -6 outside would widen a mask by far."""
    masks = torch.full((1, 1, 4, 4), -6.0)
    masks[..., 1:3, 1:3] = 30.0
    classes = torch.full((1, 1, 1), 6.0)
    wanted = torch.zeros(16, 16, dtype=torch.bool)
    wanted[4:12, 4:12] = True
    assert torch.equal(binary_logits(classes, masks, (16, 16), AssemblyConfig())[0, 0] > 0, _rounded(wanted))
    labels = semantic_logits(classes, masks, (16, 16), AssemblyConfig()).argmax(1)
    assert torch.equal(labels[0] == 1, _rounded(wanted))


def _rounded(mask: Tensor) -> Tensor:
    """Without the corners, where three of the four pixels around are outside."""
    mask = mask.clone()
    mask[[4, 4, 11, 11], [4, 11, 4, 11]] = False
    return mask


def test_half_precision_is_taken_in_float32() -> None:
    classes, masks = said(CLASSES)
    assert semantic_logits(classes.half(), masks.half(), SIZE, AssemblyConfig()).dtype == torch.float32
    assert binary_logits(classes[..., :1].half(), masks.half(), SIZE, AssemblyConfig()).dtype == torch.float32


def test_options_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="merge 'mean'"):
        AssemblyConfig(merge="mean")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"gate 1\.5"):
        AssemblyConfig(gate=1.5)
