"""Sizing of pictures and labels by the rule of `avseg.nn.sizing`, so that training, evaluation and prediction agree."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from avseg.config import InputSpec
from avseg.nn.sizing import resized_image
from avseg.types import Clip, DenseTarget, InstanceTarget, Target, TrackTarget


@dataclass(frozen=True)
class Geometry:
    """A transform that sizes frames (antialiased where they shrink) and, if wanted, labels (nearest neighbour)."""

    spec: InputSpec
    crop: bool = False
    """Size the shorter side to `spec.size` and cut the centre out, instead of the rule of `spec`."""
    resize_labels: bool = True
    """Labels follow the frames; otherwise they stay and `Clip.output_size` is theirs."""
    labels_size: tuple[int, int] | None = None
    """(H, W) of labels that do not follow the frames and do not stay either."""

    def __call__(self, clip: Clip, generator: torch.Generator | None = None) -> Clip:
        """Nothing is random here; `generator` is for the sake of the type `Transform`."""
        frames = torch.from_numpy(np.stack([self._resize_frame(frame) for frame in clip.frames]))
        target = self.resize_target(clip.target)
        return replace(clip, frames=frames, target=target, output_size=self.output_size(frames, target, clip))

    def resize(self, image: Image.Image, interpolation: str) -> Image.Image:
        """One picture of any Pillow mode; sources with the same size land on the same grid."""
        width, height = image.size
        if not self.crop:
            return resized_image(image, self.spec.fitted((height, width)), interpolation)
        wanted_height, wanted_width = self.spec.size
        # The longer side is cut down to a whole number and the margins are rounded, as published for AVSS.
        if wanted_height * width >= wanted_width * height:
            height, width = wanted_height, width * wanted_height // height
        else:
            height, width = height * wanted_width // width, wanted_width
        top, left = round((height - wanted_height) / 2), round((width - wanted_width) / 2)
        sized = resized_image(image, (height, width), interpolation)
        return sized.crop((left, top, left + wanted_width, top + wanted_height))

    def resize_truth(self, image: Image.Image) -> Image.Image:
        """One label map, by the nearest pixel."""
        return (
            self.resize(image, "nearest")
            if self.labels_size is None
            else resized_image(image, self.labels_size, "nearest")
        )

    def resize_target(self, target: Target | None) -> Target | None:
        """Truth on the grid of the sized frames, at a size of its own, or as it is; run lengths always stay."""
        if target is None or not self.resize_labels or isinstance(target, TrackTarget):
            return target
        if isinstance(target, InstanceTarget):
            return replace(target, masks=self._resize_masks(target.masks))
        labels = torch.stack([self._resize_labels(label) for label in target.labels]).long()
        return DenseTarget(labels, target.annotated, target.sounding)

    def output_size(self, frames: Tensor, target: Target | None, clip: Clip) -> tuple[int, int]:
        """(H, W) at which predictions are wanted back: that of the labels, else that of the frames as they came."""
        if target is None:
            return clip.output_size or _size(clip.frames)
        if isinstance(target, TrackTarget):
            return target.size
        return _size(target.labels if isinstance(target, DenseTarget) else target.masks)

    def _resize_frame(self, frame: Tensor) -> NDArray[np.uint8]:
        image = Image.fromarray(np.ascontiguousarray(frame.numpy().transpose(1, 2, 0)))
        return channels_first(self.resize(image, self.spec.interpolation))

    def _resize_masks(self, masks: Tensor) -> Tensor:
        """(N, T, H, W) bool: the pixels that `_resize_labels` would take."""
        rows, columns = _taken(self, masks.shape[-2], masks.shape[-1])
        # NumPy takes several times faster than torch.
        if masks.stride(-1) > masks.stride(-2):  # decoded run lengths: pixels of a column lie side by side
            return torch.from_numpy(masks.mT.numpy().take(columns, -2).take(rows, -1)).mT.contiguous()
        return torch.from_numpy(masks.numpy().take(rows, -2).take(columns, -1))

    def _resize_labels(self, labels: Tensor) -> Tensor:
        image = Image.fromarray(labels.to(torch.uint8).numpy())
        return torch.from_numpy(np.array(self.resize_truth(image)))


@lru_cache(maxsize=64)
def _taken(geometry: Geometry, height: int, width: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Which rows and columns of a picture of that size its nearest-neighbour sizing takes."""
    numbers = Image.fromarray(np.arange(height * width, dtype=np.int32).reshape(height, width))
    taken = np.array(geometry.resize_truth(numbers))  # (h, w)
    return taken[:, 0] // width, taken[0] % width


def channels_first(image: Image.Image) -> NDArray[np.uint8]:
    """(3, H, W) uint8 of an RGB picture. NumPy, because torch would wake all its threads for every small copy."""
    return np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1))


def _size(tensor: Tensor) -> tuple[int, int]:
    return tensor.shape[-2], tensor.shape[-1]
