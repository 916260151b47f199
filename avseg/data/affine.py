"""Random rotation, scale and shear of frames and ground truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import affine

from avseg.data.framing import recounted
from avseg.datasets.spec import Recount
from avseg.types import Clip, DenseTarget, InstanceTarget, Target, TrackTarget


@dataclass(frozen=True)
class RandomAffine:
    """One rotation, scale and shear about the centre for all frames of a clip; nearest pixel, black outside.

    Truth outside is background. The defaults are those of the published training of CATR.
    """

    degrees: float = 20.0
    """A turn is drawn from minus this to this."""
    scales: tuple[float, float] = (0.5, 1.0)
    """Least and greatest scale."""
    shear: float = 10.0
    """Degrees of a slant along rows, drawn from minus this to this."""
    recount: Recount = "keep"

    def __call__(self, clip: Clip, generator: torch.Generator) -> Clip:
        turn, scale, slant = torch.rand(3, generator=generator).tolist()
        low, high = self.scales
        way = (
            self.degrees * (2 * turn - 1),
            [0, 0],
            low + (high - low) * scale,
            [self.shear * (2 * slant - 1), 0.0],
        )

        def moved(maps: Tensor) -> Tensor:
            """(..., H, W), the same type."""
            flat = maps.reshape(1, -1, *maps.shape[-2:])
            result: Tensor = affine(flat, *way, interpolation=InterpolationMode.NEAREST, fill=[0.0])
            return result.reshape(maps.shape)

        target = recounted(_moved(clip.target, moved), self.recount)
        return replace(clip, frames=moved(clip.frames), target=target)


def _moved(target: Target | None, moved: Callable[[Tensor], Tensor]) -> Target | None:
    if isinstance(target, DenseTarget):
        return replace(target, labels=moved(target.labels.int()).long())
    if isinstance(target, InstanceTarget):
        return replace(target, masks=moved(target.masks.to(torch.uint8)).bool())
    if isinstance(target, TrackTarget):
        raise ValueError("ground truth as run lengths cannot be rotated; select frames first (augment some_frames)")
    return None
