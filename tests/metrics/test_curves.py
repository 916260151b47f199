"""The histogram of F against the literal loop over thresholds: equal counts, so equal to the last digit."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from avseg.metrics.object import f_curve, mask_iou, threshold_counts, thresholds


def counted_one_by_one(probabilities: Tensor, truth: Tensor, judged: Tensor) -> tuple[Tensor, Tensor]:
    """Pixels at or above each threshold, all and true ones, threshold by threshold: two of (M, 255)."""
    chosen = torch.stack([(probabilities >= step) & judged for step in thresholds()], 1)  # (M, 255, H, W)
    return chosen.sum((2, 3)), (chosen & truth[:, None]).sum((2, 3))


def check(probabilities: Tensor, truth: Tensor, judged: Tensor | None = None) -> None:
    judged = torch.ones_like(truth) if judged is None else judged
    wanted = counted_one_by_one(probabilities, truth, judged)
    for got, expected in zip(threshold_counts(probabilities, truth, judged), wanted, strict=True):
        assert np.array_equal(got, expected.numpy())


def neighbours_of_thresholds() -> Tensor:
    """Every threshold and the eight float32 numbers around it, kept in [0, 1]."""
    values = [thresholds().numpy()]
    for direction in (-np.inf, np.inf):
        step = values[0]
        for _ in range(4):
            step = np.nextafter(step, np.float32(direction))
            values.append(step)
    return torch.from_numpy(np.concatenate(values).clip(0, 1))


def test_thresholds_are_the_published_ones() -> None:
    assert thresholds().dtype == torch.float32
    assert thresholds()[0] == 0 and thresholds()[-1] == 1
    assert torch.allclose(thresholds().double(), torch.arange(255, dtype=torch.float64) / 254, rtol=0, atol=6e-8)


def test_counts_at_and_beside_every_threshold() -> None:
    values = neighbours_of_thresholds()
    truth = torch.arange(len(values)) % 3 == 0
    check(values.reshape(3, -1, 9), truth.reshape(3, -1, 9))


@pytest.mark.parametrize("seed", range(20))
def test_counts_of_random_masks(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    frames, height, width = (int(n) for n in torch.randint(1, 20, (3,), generator=generator))
    probabilities = (5 * torch.randn(frames, height, width, generator=generator)).sigmoid()
    tied = torch.rand(probabilities.shape, generator=generator) < 0.3
    probabilities[tied] = thresholds()[torch.randint(0, 255, (int(tied.sum()),), generator=generator)]
    truth = torch.rand(probabilities.shape, generator=generator) < 0.4
    judged = torch.rand(probabilities.shape, generator=generator) < 0.8
    check(probabilities, truth & judged, judged)
    check(probabilities, truth)


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0, float(np.nextafter(np.float32(1), np.float32(0)))])
def test_counts_of_one_value(value: float) -> None:
    probabilities = torch.full((2, 4, 5), value)
    check(probabilities, torch.zeros(2, 4, 5, dtype=torch.bool))
    check(probabilities, torch.ones(2, 4, 5, dtype=torch.bool))


def test_no_frames_give_no_curve() -> None:
    nothing = torch.zeros(0, 4, 4)
    assert f_curve(nothing, nothing.bool(), nothing.bool()).shape == (0, 255)


def test_f_of_a_certain_and_right_mask_is_one_above_the_lowest_threshold() -> None:
    truth = torch.zeros(1, 4, 4, dtype=torch.bool)
    truth[:, :2] = True
    curve = f_curve(truth.float(), truth, torch.ones_like(truth))[0]
    half = 1.3 * 0.5 / (0.3 * 0.5 + 1)
    assert curve[0] == pytest.approx(half) and np.allclose(curve[1:], 1)


def test_iou_where_the_truth_is_empty() -> None:
    predicted = torch.zeros(2, 4, 4, dtype=torch.bool)
    predicted[1, 0] = True
    truth, judged = torch.zeros_like(predicted), torch.ones_like(predicted)
    assert mask_iou(predicted, truth, judged, "published").tolist() == [1.0, 0.75]
    assert mask_iou(predicted, truth, judged, "repaired").tolist() == [1.0, 0.0]


def test_iou_leaves_out_pixels_that_are_not_judged() -> None:
    predicted, truth = torch.zeros(2, 1, 4, 4, dtype=torch.bool)
    predicted[0, :2], truth[0, 0] = True, True
    judged = torch.ones_like(truth)
    assert mask_iou(predicted, truth, judged, "repaired").tolist() == [0.5]
    judged[0, 1] = False
    assert mask_iou(predicted, truth, judged, "repaired").tolist() == [1.0]
