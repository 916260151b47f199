"""Losses and costs of object queries against their definitions written out."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from avseg.losses.queries import (
    box_costs,
    box_losses,
    class_focal_costs,
    focal_loss,
    focal_terms,
    mask_focal_costs,
    mask_focal_loss,
)

GROUPS, FRAMES, QUERIES, TARGETS, CLASSES, PIXELS = 2, 3, 4, 2, 5, 12


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def focal(x: float, truth: bool, alpha: float, gamma: float) -> float:
    p = 1 / (1 + math.exp(-x))
    miss = 1 - p if truth else p
    return -(alpha if truth else 1 - alpha) * math.pow(miss, gamma) * math.log(1 - miss)


def generalised_iou(a: list[float], b: list[float]) -> float:
    """Of (centre x, centre y, width, height)."""
    (al, at, ar, ab), (bl, bt, br, bb) = ((x - w / 2, y - h / 2, x + w / 2, y + h / 2) for x, y, w, h in (a, b))
    shared = max(min(ar, br) - max(al, bl), 0) * max(min(ab, bb) - max(at, bt), 0)
    union = (ar - al) * (ab - at) + (br - bl) * (bb - bt) - shared
    around = (max(ar, br) - min(al, bl)) * (max(ab, bb) - min(at, bt))
    return shared / union - (around - union) / around


def some_boxes(*shape: int, seed: int = 0) -> Tensor:
    return 0.1 + 0.8 * torch.rand(*shape, 4, generator=seeded(seed))


@pytest.mark.parametrize(("alpha", "gamma"), [(0.25, 2.0), (0.5, 0.0), (0.9, 1.5)])
def test_focal_terms_are_those_of_the_definition(alpha: float, gamma: float) -> None:
    logits = torch.linspace(-6, 6, 25)
    positive, negative = focal_terms(logits, alpha, gamma)
    assert positive.tolist() == pytest.approx([focal(x, True, alpha, gamma) for x in logits.tolist()], rel=1e-4)
    assert negative.tolist() == pytest.approx([focal(x, False, alpha, gamma) for x in logits.tolist()], rel=1e-4)
    truth = torch.arange(25) % 3 == 0
    assert torch.equal(focal_loss(logits, truth, alpha, gamma), torch.where(truth, positive, negative))


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_saturated_logits_have_finite_losses_and_gradients(gamma: float) -> None:
    """A power of a probability of zero, or its logarithm, would have none."""
    logits = torch.tensor([-1e4, -200.0, 200.0, 1e4], requires_grad=True)
    for truth in (True, False):
        terms = focal_loss(logits, torch.full((4,), truth), gamma=gamma)
        (gradient,) = torch.autograd.grad(terms.sum(), logits)
        assert torch.isfinite(terms).all() and torch.isfinite(gradient).all()
    # What is wrong by far is still pushed back.
    assert float(torch.autograd.grad(focal_loss(logits, torch.ones(4) > 0).sum(), logits)[0][0]) == pytest.approx(-0.25)


def test_half_precision_is_taken_in_float32() -> None:
    logits = torch.randn(7, generator=seeded()).half()
    assert focal_loss(logits, logits > 0).dtype == torch.float32
    boxes = some_boxes(3)
    assert box_losses(boxes.bfloat16(), boxes)[0].dtype == torch.float32


def test_mask_losses_are_means_over_the_pixels_that_count() -> None:
    g = seeded(1)
    logits, truth = torch.randn(3, PIXELS, generator=g), torch.rand(3, PIXELS, generator=g) > 0.5
    counted = (torch.rand(3, PIXELS, generator=g) > 0.3).float()
    counted[2] = 0
    wanted = []
    for m in range(3):
        places = [p for p in range(PIXELS) if counted[m, p]]
        terms = [focal(float(logits[m, p]), bool(truth[m, p]), 0.25, 2.0) for p in places]
        wanted.append(sum(terms) / max(len(terms), 1))
    assert mask_focal_loss(logits, truth, counted).tolist() == pytest.approx(wanted, rel=1e-5)
    assert wanted[2] == 0


def test_mask_costs_are_the_losses_of_all_pairs() -> None:
    g = seeded(2)
    logits = 3 * torch.randn(GROUPS, QUERIES, PIXELS, generator=g)
    truth = torch.rand(GROUPS, TARGETS, PIXELS, generator=g) > 0.5
    counted = (torch.rand(GROUPS, PIXELS, generator=g) > 0.3).float()
    counted[1, :] = 0
    costs = mask_focal_costs(logits, truth, counted, 0.3, 1.5)
    for b, q, j in itertools.product(range(GROUPS), range(QUERIES), range(TARGETS)):
        alone = mask_focal_loss(logits[b, q][None], truth[b, j][None], counted[b][None], 0.3, 1.5)
        assert float(costs[b, q, j]) == pytest.approx(float(alone), rel=1e-5, abs=1e-7)


def test_class_costs_are_means_over_the_frames_that_show_a_target() -> None:
    g = seeded(3)
    logits = torch.randn(GROUPS, FRAMES, QUERIES, CLASSES, generator=g)
    classes = torch.tensor([[1, 4], [0, 2]])
    shown = torch.tensor([[[1, 0, 1], [1, 1, 1]], [[0, 0, 1], [0, 0, 0]]]) > 0
    logits[0, 1, :, 1] = torch.nan  # a frame that does not show the target may hold anything
    costs = class_focal_costs(logits, classes, shown)
    for b, q, j in itertools.product(range(GROUPS), range(QUERIES), range(TARGETS)):
        places = [t for t in range(FRAMES) if shown[b, j, t]]
        terms = [float(logits[b, t, q, classes[b, j]]) for t in places]
        terms = [focal(x, True, 0.25, 2.0) - focal(x, False, 0.25, 2.0) for x in terms]
        assert float(costs[b, q, j]) == pytest.approx(sum(terms) / max(len(terms), 1), rel=1e-4, abs=1e-7)
    assert (costs[1, :, 1] == 0).all()


def test_box_costs_are_means_over_the_frames_that_show_a_target() -> None:
    boxes, truth = some_boxes(GROUPS, FRAMES, QUERIES), some_boxes(GROUPS, TARGETS, FRAMES, seed=1)
    shown = torch.tensor([[[1, 0, 1], [1, 1, 1]], [[0, 0, 1], [0, 0, 0]]]) > 0
    truth = truth * shown[..., None]
    boxes[1, 0] = 0  # a frame that does not exist
    distances, overlaps = box_costs(boxes, truth, shown)
    for b, q, j in itertools.product(range(GROUPS), range(QUERIES), range(TARGETS)):
        pairs = [(boxes[b, t, q].tolist(), truth[b, j, t].tolist()) for t in range(FRAMES) if shown[b, j, t]]
        count = max(len(pairs), 1)
        l1 = sum(abs(x - y) for own, wanted in pairs for x, y in zip(own, wanted, strict=True))
        assert float(distances[b, q, j]) == pytest.approx(l1 / count, rel=1e-5, abs=1e-7)
        giou = sum(generalised_iou(own, wanted) for own, wanted in pairs)
        assert float(overlaps[b, q, j]) == pytest.approx(-giou / count, rel=1e-4, abs=1e-6)


def test_box_losses_of_pairs() -> None:
    boxes, truth = some_boxes(6), some_boxes(6, seed=1)
    distances, overlaps = box_losses(boxes, truth)
    pairs = list(zip(boxes.tolist(), truth.tolist(), strict=True))
    wanted = [sum(abs(x - y) for x, y in zip(a, b, strict=True)) for a, b in pairs]
    assert distances.tolist() == pytest.approx(wanted, rel=1e-5)
    assert overlaps.tolist() == pytest.approx([1 - generalised_iou(a, b) for a, b in pairs], rel=1e-4)
    assert all(float(x.abs().max()) < 1e-5 for x in box_losses(truth, truth))
    assert [x.shape for x in box_losses(boxes[:0], truth[:0])] == [(0,), (0,)]
