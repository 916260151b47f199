"""Labels of a prediction at the size that is wanted."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from avseg.types import DensePrediction


@pytest.mark.parametrize("size", [(37, 50), (12, 16), (9, 40)])
@pytest.mark.parametrize("background", [-3.0, 0.0, 1.5, 9.0])
def test_labels_are_the_highest_of_all_classes_at_full_size(size: tuple[int, int], background: float) -> None:
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randn(3, 30, 4, 4, generator=generator)
    logits = F.interpolate(coarse, size=(12, 16), mode="bicubic")
    logits[:, 0] += background
    logits[:, 5] = logits[:, 0]  # a tie goes to the first
    prediction = DensePrediction("a", logits, size)
    for frame in range(3):
        labels = prediction.labels(frame)
        assert labels.shape == size and torch.equal(labels, prediction.full_logits(frame).argmax(0))
    assert bool((prediction.labels(0) > 0).any()) == (background < 9)
