"""Labels at the video's size, in strips of rows or at once, are those of the prediction itself, up to its edges."""

from __future__ import annotations

import pytest
import torch

from avseg.inference import objects
from avseg.inference.objects import full_size
from avseg.types import DensePrediction


@pytest.mark.parametrize("rows", [1, 3, 1000])
@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("size", [(7, 9), (14, 18), (41, 50), (60, 31)])
def test_full_size_is_the_same_to_the_edges_in_strips_of_any_height(
    monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], channels: int, rows: int
) -> None:
    logits = torch.randn(1, channels, 14, 18, generator=torch.Generator().manual_seed(2))
    prediction = DensePrediction("p", logits, size)
    monkeypatch.setattr(objects, "STRIP", rows * max(channels, 2) * size[1])
    labels, confidence = full_size(prediction, 0)
    wanted, probability = prediction.labels(0), prediction.probabilities(0)
    assert torch.equal(torch.from_numpy(labels).long(), wanted)
    best = probability[0] if channels == 1 else probability.max(0).values
    assert torch.allclose(torch.from_numpy(confidence), best[wanted > 0], atol=1e-5)


def test_where_the_background_wins_everywhere_there_is_nothing() -> None:
    labels, confidence = full_size(DensePrediction("p", torch.full((1, 1, 2, 2), -1.0), (5, 6)), 0)
    assert labels.shape == (5, 6) and not labels.any() and confidence.shape == (0,)


@pytest.mark.parametrize("place", [(0, 0), (13, 17), (6, 9)])
@pytest.mark.parametrize("size", [(7, 9), (14, 18), (101, 50)])
def test_a_speck_on_the_small_map_is_whole_on_the_large_one(size: tuple[int, int], place: tuple[int, int]) -> None:
    logits = torch.full((1, 3, 14, 18), -9.0)
    logits[:, 0], logits[0, 2, place[0], place[1]] = 0.0, 90.0
    prediction = DensePrediction("p", logits, size)
    assert torch.equal(torch.from_numpy(full_size(prediction, 0)[0]).long(), prediction.labels(0))
