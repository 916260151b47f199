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


def sample_masks(masks: Tensor, rows: Tensor, points: Tensor) -> Tensor:
    """The same of some of many masks, each at points of its own, without copies of the masks and without a gradient.

    Args:
        masks: (R, H, W) bool.
        rows: (M,) int64, which of them.
        points: (M, P, 2).

    Returns:
        (M, P) float32 from 0 to 1.
    """
    _, height, width = masks.shape
    x, y = (points * points.new_tensor([width, height]) - 0.5).unbind(-1)  # (M, P), 0 at the centre of the first pixel
    left, top = x.floor(), y.floor()
    right_share, lower_share = x - left, y - top
    flat, base = masks.flatten(), rows[:, None] * (height * width)
    found = torch.zeros_like(x)
    for across, share_x in ((left, 1 - right_share), (left + 1, right_share)):
        for down, share_y in ((top, 1 - lower_share), (top + 1, lower_share)):
            inside = (across >= 0) & (across < width) & (down >= 0) & (down < height)
            place = base + down.clamp(0, height - 1).long() * width + across.clamp(0, width - 1).long()
            found += flat[place] * inside * share_x * share_y
    return found


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
