"""Tracks as a picture of everything that sounds: the union of their masks in each frame."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from avseg.io.rle import decode
from avseg.types import DensePrediction, DenseTarget, InstanceTarget, Prediction, Rle, Target

SURE = 100.0
"""Logit of what is inside; its negative outside."""


def united(prediction: Prediction, frames: Sequence[int]) -> DensePrediction:
    """Some frames of a prediction as a binary one; of tracks the union, where None is empty; a dense one as it is."""
    if isinstance(prediction, DensePrediction):
        return DensePrediction(prediction.id, prediction.logits[list(frames)], prediction.size)
    union = _union(prediction.masks, frames, prediction.size)
    return DensePrediction(prediction.id, torch.where(union, SURE, -SURE)[:, None], prediction.size)


def united_truth(target: Target, frames: Sequence[int], size: tuple[int, int]) -> DenseTarget:
    """Some frames of a truth as a binary one; `size` (H, W) is that of no frames at all."""
    index = torch.as_tensor(list(frames), dtype=torch.int64)
    if isinstance(target, DenseTarget):
        return target.take(index)
    if isinstance(target, InstanceTarget):
        masks = target.masks[:, index]
        labels = masks.any(0) if len(masks) else torch.zeros(len(index), *size, dtype=torch.bool)
    else:
        labels = _union(target.masks, frames, target.size)
    return DenseTarget(labels.long(), target.annotated[index])


def _union(tracks: Sequence[Sequence[Rle | None]], frames: Sequence[int], size: tuple[int, int]) -> Tensor:
    """(M, H, W) bool."""
    found = np.zeros((len(frames), *size), np.bool_)
    for track in tracks:
        for place, frame in enumerate(frames):
            mask = track[frame]
            if mask is not None:
                found[place] |= decode(mask)
    return torch.from_numpy(found)
