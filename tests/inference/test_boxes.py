"""The box of an object: left, top, width and height of its mask, alike in Python, in result.json and in COCO's form."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from avseg.inference import Segmenter
from avseg.inference.objects import objects_in
from avseg.inference.records import Detection
from avseg.io.rle import encode
from avseg.types import Clip, InstancePrediction, Task
from inference.fake import fake

BOX = (11, 5, 21, 9)
"""Left, top, width, height; no two sums of them are alike."""


def picture(box: tuple[int, int, int, int], size: tuple[int, int] = (32, 48)) -> np.ndarray:
    """(H, W) bool: a diagonal that touches all four sides of the box, and nothing else of them."""
    left, top, width, height = box
    mask = np.zeros(size, bool)
    steps = np.linspace(0, 1, max(width, height))
    mask[top + np.round(steps * (height - 1)).astype(int), left + np.round(steps * (width - 1)).astype(int)] = True
    return mask


@pytest.mark.parametrize("box", [BOX, (0, 0, 48, 32), (47, 31, 1, 1), (0, 30, 7, 2), (46, 0, 2, 7)])
def test_of_a_mask(box: tuple[int, int, int, int]) -> None:
    found = Detection.of(1, 1, "dog", 0.5, encode(picture(box)))
    assert found.box == box and found.area == picture(box).sum()


def test_of_a_track() -> None:
    prediction = InstancePrediction(
        id="v",
        masks=[[None, encode(picture(BOX))]],
        scores=torch.tensor([0.5]),
        classes=torch.tensor([1]),
        track_ids=torch.tensor([1]),
        size=(32, 48),
    )
    (found,) = objects_in(prediction, 1, Task("instance", ("dog",)))
    assert found.box == BOX and found.area == picture(BOX).sum()


def test_of_what_a_model_finds_in_every_output(tmp_path: Path) -> None:
    left, top, width, height = BOX
    frames = torch.full((2, 3, 32, 48), 20, dtype=torch.uint8)
    frames[1, :, top : top + height, left : left + width] = 235
    sound = torch.sin(torch.arange(32000) / 4)[None]
    result = Segmenter(fake(), fps=1).predict(
        Clip("c", frames, torch.arange(2, dtype=torch.float64), sound, 16000),
    )
    (found,) = result.frames[1].objects
    (annotation,) = result.to_coco()["annotations"]
    content = json.loads((result.save(tmp_path / "out") / "result.json").read_text(encoding="utf-8"))
    (written,) = content["frames"][1]["objects"]
    assert found.box == BOX and annotation["bbox"] == list(BOX) and written["box"] == list(BOX)
    assert annotation["image_id"] == 2 and written["area"] == annotation["area"] == width * height
