"""Losses of predicted sets against their definitions written out, and matching against brute force."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from avseg.losses.matching import Matches, match
from avseg.losses.points import MaskPoints, sample, uncertain_points, uniform_points
from avseg.losses.sets import (
    class_costs,
    dice_costs,
    dice_loss,
    point_costs,
    point_loss,
    set_class_loss,
    similarity_loss,
)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def bce(x: float, t: float) -> float:
    return -t * math.log(sigmoid(x)) - (1 - t) * math.log(1 - sigmoid(x))


# ---- points


def test_sampling_at_the_centres_of_pixels_gives_the_pixels() -> None:
    maps = normal(2, 3, 4, 5)
    y, x = torch.meshgrid((torch.arange(4) + 0.5) / 4, (torch.arange(5) + 0.5) / 5, indexing="ij")
    points = torch.stack([x, y], -1).reshape(1, 20, 2).expand(2, -1, -1)
    assert torch.allclose(sample(maps, points), maps.flatten(2), atol=1e-6)


def test_between_two_pixels_lies_their_mean_and_beyond_the_picture_nothing() -> None:
    maps = torch.tensor([[[[1.0, 3.0]]]])
    points = torch.tensor([[[0.5, 0.5], [0.0, 0.5], [1.3, 0.5]]])
    assert sample(maps, points).flatten().tolist() == pytest.approx([2.0, 0.5, 0.0])


def test_masks_are_sampled_as_maps_are() -> None:
    masks = torch.rand(4, 7, 9, generator=seeded()) > 0.5
    rows = torch.tensor([2, 0, 0, 3, 1])
    points = uniform_points(5, 400, seeded(1)) * 1.2 - 0.1
    wanted = sample(masks[rows, None].float(), points)[:, 0]
    assert torch.allclose(MaskPoints(masks).at(rows, points), wanted, atol=1e-5)


def test_uncertain_points_lie_where_the_logit_is_near_zero() -> None:
    # The logit is 0 along the line x = 1/2.
    maps = ((torch.arange(64) + 0.5) / 64 - 0.5).expand(3, 64, 64) * 100
    points = uncertain_points(maps, 200, 3.0, 0.75, seeded())
    assert points.shape == (3, 200, 2) and points.min() >= 0 and points.max() <= 1
    distance = (points[..., 0] - 0.5).abs()
    # 150 of 600 candidates nearest to the line; the other 50 anywhere.
    assert distance[:, :150].max() < 0.2
    assert distance[:, 150:].max() > 0.4


def test_uncertain_points_of_a_picture_that_fills_a_part_of_its_map() -> None:
    # The logit is 0 along the middle of a picture that fills the left half.
    maps = ((torch.arange(64) + 0.5) / 64 - 0.25).expand(1, 64, 64)
    points = uncertain_points(maps, 100, 4.0, 1.0, seeded(), torch.tensor([[0.5, 1.0]]))
    assert (points[..., 0] - 0.5).abs().max() < 0.2 and points[..., 1].max() > 0.9


def test_points_without_importance_are_uniform_and_follow_the_generator() -> None:
    maps = normal(1, 8, 8).float()
    points = uncertain_points(maps, 4000, 1.0, 0.0, seeded(4))
    assert torch.allclose(points.mean((0, 1)), torch.tensor([0.5, 0.5]), atol=0.02)
    assert torch.equal(points, uncertain_points(maps, 4000, 1.0, 0.0, seeded(4)))
    assert not torch.equal(points, uncertain_points(maps, 4000, 1.0, 0.0, seeded(5)))


# ---- losses and costs, written out


def test_class_loss_is_the_weighted_mean() -> None:
    logits, labels = normal(2, 4, 3), torch.tensor([[0, 2, 2, 1], [2, 2, 0, 2]])
    top = bottom = 0.0
    for g, q in itertools.product(range(2), range(4)):
        label = int(labels[g, q])
        weight = 0.1 if label == 2 else 1.0
        scores = [math.exp(v) for v in logits[g, q].tolist()]
        top += weight * -math.log(scores[label] / sum(scores))
        bottom += weight
    assert float(set_class_loss(logits, labels, 0.1)) == pytest.approx(top / bottom, rel=1e-12)


def test_class_loss_of_nothing_is_zero() -> None:
    assert float(set_class_loss(normal(0, 4, 3), torch.zeros(0, 4, dtype=torch.int64))) == 0
    assert float(set_class_loss(normal(1, 4, 3), torch.full((1, 4), 2), no_object_weight=0.0)) == 0


def test_mask_losses_are_their_definitions() -> None:
    logits, truth = normal(2, 6), torch.rand(2, 6, generator=seeded(3), dtype=torch.float64)
    for m in range(2):
        pairs = list(zip(logits[m].tolist(), truth[m].tolist(), strict=True))
        mean = sum(bce(x, t) for x, t in pairs) / 6
        both = sum(sigmoid(x) * t for x, t in pairs)
        dice = 1 - (2 * both + 1) / (sum(sigmoid(x) for x, _ in pairs) + sum(t for _, t in pairs) + 1)
        assert float(point_loss(logits, truth)[m]) == pytest.approx(mean, rel=1e-12)
        assert float(dice_loss(logits, truth)[m]) == pytest.approx(dice, rel=1e-12)


@pytest.mark.parametrize("whole", [True, False])
def test_costs_are_the_losses_of_every_pair(whole: bool) -> None:
    logits, truth = normal(2, 5, 30) * 3, torch.rand(2, 3, 30, generator=seeded(1), dtype=torch.float64)
    counted = None if whole else (torch.rand(2, 30, generator=seeded(2)) > 0.5).double()
    for costs, loss in ((point_costs, point_loss), (dice_costs, dice_loss)):
        found = costs(logits, truth, counted)
        for g, q, n in itertools.product(range(2), range(5), range(3)):
            only = None if counted is None else counted[g : g + 1]
            one = loss(logits[g, q : q + 1], truth[g, n : n + 1], only)
            assert float(found[g, q, n]) == pytest.approx(float(one), rel=1e-9)


def test_points_that_do_not_count_change_nothing() -> None:
    logits, truth = normal(1, 3, 8), (normal(1, 2, 8, seed=1) > 0).double()
    counted = torch.tensor([[1.0, 1, 1, 1, 1, 0, 0, 0]], dtype=torch.float64)
    for costs, loss in ((point_costs, point_loss), (dice_costs, dice_loss)):
        assert torch.allclose(costs(logits, truth, counted), costs(logits[..., :5], truth[..., :5]))
        assert torch.allclose(loss(logits[0, :2], truth[0], counted), loss(logits[0, :2, :5], truth[0, :, :5]))


def test_class_costs_are_probabilities() -> None:
    logits, labels = normal(2, 3, 4), torch.tensor([[0, 3], [1, 1]])
    probability = logits.softmax(-1)
    costs = class_costs(logits, labels)
    for g, q, n in itertools.product(range(2), range(3), range(2)):
        assert float(costs[g, q, n]) == -float(probability[g, q, labels[g, n]])


def test_similarity_is_its_definition() -> None:
    embeddings = normal(7, 4)
    identities, groups = torch.tensor([0, 0, 1, 0, 1, 2, 2]), torch.tensor([0, 0, 0, 1, 1, 1, 1])
    total, pairs = 0.0, 0
    for i, j in itertools.product(range(7), range(7)):
        if groups[i] == groups[j]:
            dot = float((embeddings[i] * embeddings[j]).sum())
            total += bce(dot, float(identities[i] == identities[j]))
            pairs += 1
    assert pairs == 9 + 16
    assert float(similarity_loss(embeddings, identities, groups)) == pytest.approx(total / (pairs + 1e-6), rel=1e-6)


def test_similarity_of_nothing_is_zero_and_has_a_gradient() -> None:
    embeddings = normal(0, 4).requires_grad_()
    nothing = torch.zeros(0, dtype=torch.int64)
    loss = similarity_loss(embeddings, nothing, nothing)
    loss.backward()
    assert float(loss.detach()) == 0 and embeddings.grad is not None


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_becomes_float32(dtype: torch.dtype) -> None:
    logits, truth = normal(1, 2, 8).to(dtype), torch.ones(1, 1, 8)
    assert point_costs(logits, truth).dtype == dice_costs(logits, truth).dtype == torch.float32
    assert point_loss(logits[0, :1], truth[0]).dtype == dice_loss(logits[0, :1], truth[0]).dtype == torch.float32
    labels = torch.zeros(1, 2, dtype=torch.int64)
    assert set_class_loss(logits, labels).dtype == class_costs(logits, labels).dtype == torch.float32


def test_extreme_logits_stay_finite() -> None:
    logits = torch.tensor([[[1e4, -1e4, 1e4]]], requires_grad=True)
    truth = torch.tensor([[[1.0, 1.0, 0.0]]])
    total = point_loss(logits[0], truth[0]).sum() + dice_loss(logits[0], truth[0]).sum()
    total.backward()
    assert torch.isfinite(total) and logits.grad is not None and torch.isfinite(logits.grad).all()
    assert torch.isfinite(point_costs(logits, truth)).all()


# ---- matching


def pairs_of(matches: Matches) -> list[tuple[int, int, int]]:
    return [tuple(row) for row in torch.stack([matches.group, matches.query, matches.instance], 1).tolist()]  # type: ignore[misc]


def least_sum(costs: Tensor) -> float:
    """(Q, N) with N <= Q: the smallest sum over all ways to give each instance a query of its own."""
    queries, instances = costs.shape
    ways = itertools.permutations(range(queries), instances)
    return min(sum(float(costs[q, n]) for n, q in enumerate(way)) for way in ways)


@pytest.mark.parametrize("seed", range(5))
def test_matching_finds_the_least_sum(seed: int) -> None:
    costs = normal(3, 5, 4, seed=seed)
    present = torch.tensor([[True, True, True, True], [False, True, False, True], [False] * 4])
    matches = match(costs, present)
    for group in range(3):
        own = [(q, n) for g, q, n in pairs_of(matches) if g == group]
        assert [n for _, n in own] == present[group].nonzero().flatten().tolist()
        assert len({q for q, _ in own}) == len(own)
        if own:
            found = sum(float(costs[group, q, n]) for q, n in own)
            assert found == pytest.approx(least_sum(costs[group][:, present[group]]))


def test_matching_does_not_depend_on_the_order_of_queries_or_instances() -> None:
    costs, present = normal(1, 6, 3), torch.ones(1, 3, dtype=torch.bool)
    queries, instances = torch.randperm(6, generator=seeded(1)), torch.randperm(3, generator=seeded(2))
    plain = {(q, n) for _, q, n in pairs_of(match(costs, present))}
    mixed = pairs_of(match(costs[:, queries][:, :, instances], present))
    assert {(int(queries[q]), int(instances[n])) for _, q, n in mixed} == plain


def test_more_instances_than_queries_leave_the_dearest_alone() -> None:
    costs = torch.tensor([[[5.0, 1.0, 3.0], [4.0, 2.0, 9.0]]])
    assert pairs_of(match(costs, torch.ones(1, 3, dtype=torch.bool))) == [(0, 1, 0), (0, 0, 1)]


def test_costs_that_are_no_numbers_do_not_stop_the_matching() -> None:
    costs = torch.full((1, 3, 2), math.nan)
    costs[0, 2, 0] = 1.0
    assert (0, 2, 0) in pairs_of(match(costs, torch.ones(1, 2, dtype=torch.bool)))


def test_the_order_of_pairs_decides_nothing() -> None:
    """Losses of matched masks add up the same in whatever order queries and instances come."""
    logits, truth = normal(1, 5, 50), (normal(1, 3, 50, seed=1) > 0).double()
    order = torch.tensor([4, 2, 0, 1, 3])

    def total(x: Tensor, t: Tensor) -> float:
        found = match(point_costs(x, t) + dice_costs(x, t), torch.ones(1, 3, dtype=torch.bool))
        return float((point_loss(x[0, found.query], t[0, found.instance])).sum())

    assert total(logits, truth) == pytest.approx(total(logits[:, order], truth.flip(1)), rel=1e-12)


def test_sampled_loss_approaches_that_of_all_pixels() -> None:
    maps, masks = normal(1, 1, 16, 16).float(), torch.rand(1, 16, 16, generator=seeded(1)) > 0.5
    points = uniform_points(1, 200_000, seeded())
    sampled = point_loss(sample(maps, points)[:, 0], MaskPoints(masks).at(torch.zeros(1, dtype=torch.int64), points))
    fine = [F.interpolate(x, scale_factor=16.0, mode="bilinear") for x in (maps, masks[None].float())]
    inner = [x[..., 8:-8, 8:-8] for x in fine]
    dense = F.binary_cross_entropy_with_logits(*inner)
    assert float(sampled) == pytest.approx(float(dense), rel=0.05)
