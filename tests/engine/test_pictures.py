"""Pictures of evaluated clips say what they show: rows of frames, truth and prediction, and the names of classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from avseg.engine.evaluation import pictures
from avseg.engine.evaluation.pictures import clip_picture
from avseg.types import Clip, DensePrediction, DenseTarget, Task

SIDE, LINE = 70, 24


@pytest.fixture
def captions(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The words of every caption, as they are drawn."""
    seen: list[list[str]] = []
    draw = pictures._line

    def noted(words: Any, width: int, letters: int) -> Any:
        seen.append([text for text, _ in words])
        return draw(words, width, letters)

    monkeypatch.setattr(pictures, "_line", noted)
    return seen


def clip_of(labels: torch.Tensor, annotated: list[bool]) -> Clip:
    frames = torch.full((len(labels), 3, SIDE, SIDE), 90, dtype=torch.uint8)
    times = torch.arange(len(labels), dtype=torch.float64)
    return Clip("c", frames, times, torch.zeros(1, 8), 8, target=DenseTarget(labels, torch.tensor(annotated)))


def test_rows_have_captions_and_the_classes_they_show(captions: list[list[str]]) -> None:
    labels = torch.zeros(2, SIDE, SIDE, dtype=torch.int64)
    labels[0, :9, :9], labels[1, :9, :9] = 2, 255  # 255 is not judged and not shown
    logits = torch.zeros(2, 4, SIDE, SIDE)
    logits[:, 0], logits[1, 3, 40:] = 1.0, 5.0
    prediction, task = DensePrediction("c", logits, (SIDE, SIDE)), Task("semantic", ("cat", "dog", "bus"))
    picture = clip_picture(clip_of(labels, [True, False]), prediction, task, "c: J 0.500")
    assert captions == [
        ["0 s"],
        ["1 s, no truth"],
        ["c: J 0.500"],
        ["picture"],
        ["truth", "dog"],
        ["prediction", "bus"],
    ]
    assert picture.shape == (3 * SIDE + 5 * LINE, 2 * SIDE, 3)
    truth, predicted = picture[4 * LINE + SIDE : -LINE - SIDE], picture[-SIDE:]
    assert (truth[:9, :9] != 90).any() and (truth[:, SIDE:] == 90).all()
    assert (predicted[:, :SIDE] == 90).all() and (predicted[45:, SIDE:] != 90).any()


def test_binary_labels_are_called_sounding_and_an_empty_row_says_so(captions: list[list[str]]) -> None:
    labels = torch.zeros(1, SIDE, SIDE, dtype=torch.int64)
    prediction = DensePrediction("c", torch.ones(1, 1, SIDE, SIDE), (SIDE, SIDE))
    clip_picture(clip_of(labels, [True]), prediction, Task("binary"))
    assert captions[-2:] == [["truth", "nothing"], ["prediction", "sounding"]]


def test_of_a_binary_task_the_foreground_of_any_classes_is_shown(captions: list[list[str]]) -> None:
    labels = torch.full((1, SIDE, SIDE), 255)
    labels[0, 40:] = 3
    logits = torch.zeros(1, 6, SIDE, SIDE)
    logits[0, 5, :10] = logits[0, 0, 10:] = 5.0
    clip_picture(clip_of(labels, [True]), DensePrediction("c", logits, (SIDE, SIDE)), Task("binary"))
    assert captions[-2:] == [["truth", "sounding"], ["prediction", "sounding"]]


def test_a_caption_keeps_to_its_width() -> None:
    words: Any = [("prediction", None), *((f"class number {n}", (255, 0, 0)) for n in range(30))]
    drawn = pictures._line(words, 400, 12)
    assert drawn.shape == (LINE, 400, 3)
    assert (drawn[:, -6:] == 255).all()  # no word is cut at the edge
    assert np.array_equal(pictures._line([("a", None)], 400, 12)[:, 100:], np.full((LINE, 300, 3), 255))
