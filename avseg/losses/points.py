"""Where masks are compared: at points of the picture, not at all its pixels (Kirillov et al. 2020; Cheng et al. 2022).

A point is (x, y), each from 0 to 1 of the width and the height.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def sample(maps: Tensor, points: Tensor) -> Tensor:
    """Maps at points, bilinear between the centres of their pixels; beyond the picture is nothing but 0.

    Args:
        maps: (G, C, h, w), floating point.
        points: (G, P, 2), the same for all channels of a map.

    Returns:
        (G, C, P), differentiable with respect to the maps.
    """
    # Points side by side along the last axis of the grid: the CPU kernel works along it.
    grid = (2 * points - 1).to(maps.dtype)[:, None]  # (G, 1, P, 2)
    return F.grid_sample(maps, grid, mode="bilinear", padding_mode="zeros", align_corners=False)[:, :, 0]


class MaskPoints:
    """`sample` of some of many masks, each at points of its own, without copies of the masks and without a gradient."""

    def __init__(self, masks: Tensor) -> None:
        """
        Args:
            masks: (R, H, W) bool.
        """
        self.height, self.width = masks.shape[1:]
        # A border of nothing, so that every point lies between four pixels.
        bordered = F.pad(masks, (1, 2, 1, 2))
        self._size, self._step = bordered[:1].numel(), bordered.shape[2]
        self._pixels = bordered.flatten()

    def at(self, rows: Tensor, points: Tensor) -> Tensor:
        """Sample masks `rows` (M,) int64 at points (M, P, 2): (M, P) float32 from 0 to 1."""
        x, y = points.unbind(-1)  # 0 at the centre of the first pixel from here on
        x, y = (x * self.width - 0.5).clamp(-1, self.width), (y * self.height - 0.5).clamp(-1, self.height)
        left, top = x.floor(), y.floor()
        place = (top.long() + 1) * self._step + left.long() + (rows * self._size + 1)[:, None]
        upper, lower = (
            torch.lerp(self._pixels[first].float(), self._pixels[first + 1].float(), x - left)
            for first in (place, place + self._step)
        )
        return torch.lerp(upper, lower, y - top)


def uniform_points(groups: int, points: int, generator: torch.Generator) -> Tensor:
    """(groups, points, 2) anywhere in the picture, on the generator's device."""
    return torch.rand(groups, points, 2, generator=generator, device=generator.device)


def uncertain_points(
    maps: Tensor,
    points: int,
    oversample: float,
    importance: float,
    generator: torch.Generator,
    scale: Tensor | None = None,
) -> Tensor:
    """Points where a mask is least certain, and some anywhere.

    Of `oversample` times as many uniform candidates, those with the smallest |logit| make up the share `importance`;
    the rest is drawn uniformly.

    Args:
        maps: (M, h, w) logits; no gradient goes through the choice.
        points: of each map.
        oversample: 1 or more.
        importance: 0 to 1.
        generator: on the maps' device; asked for the candidates, then for the rest.
        scale: (M, 2) (x, y), what the points are multiplied by before maps are looked at: the part of a padded map
            that the picture fills. None: all of it.

    Returns:
        (M, points, 2).
    """
    count = len(maps)
    chosen = int(importance * points)
    candidates = uniform_points(count, int(oversample * points), generator)
    seen = candidates if scale is None else candidates * scale[:, None]
    with torch.no_grad():
        certainty = sample(maps[:, None], seen)[:, 0].abs()  # (M, candidates)
        least = certainty.topk(chosen, dim=1, largest=False, sorted=False).indices
    kept = candidates.gather(1, least[..., None].expand(-1, -1, 2))
    return torch.cat([kept, uniform_points(count, points - chosen, generator)], 1)
