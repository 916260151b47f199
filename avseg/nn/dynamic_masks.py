"""Masks drawn by small networks whose weights the queries themselves give (Tian et al. 2020, "CondInst").

Three 1x1 convolutions a query. The first one sees a map's channels and how far each pixel is from where the query is.
It is linear, so the map, the query's place and the pixels' places go through it one by one and are added: the input,
which differs from query to query in two of its 258 channels alone, never exists.
"""

from __future__ import annotations

import torch
from torch import Tensor

STRIDE = 4
"""Pixels of the picture for one of the map."""


def parameter_count(width: int, inner: int = 8) -> int:
    """Return the number of values per query for a map of `width` channels: 2153 for 256 channels and 8 inner ones."""
    return sum(_sizes(width, inner))


def dynamic_masks(
    features: Tensor,
    parameters: Tensor,
    places: Tensor,
    *,
    inner: int = 8,
    unit: float = 1.0,
    size: tuple[int, int] | None = None,
) -> Tensor:
    """The mask of every query on its picture. All but the products with `features` is float32 or finer.

    Args:
        features: (M, C, h, w) maps at stride 4.
        parameters: (M, Q, P), P = `parameter_count(C, inner)`: weights (inner, C + 2), (inner, inner) and (inner,), row
            by row, then biases (inner,), (inner,) and one. The first weights' last two columns are for x and for y.
        places: (M, Q, 2), where each query is: (x, y) as shares of the picture's width and height.
        inner: channels between the convolutions.
        unit: pixels by which distances are divided.
        size: (H, W) of the pictures; None: four times the maps'.

    Returns:
        (M, Q, h, w) logits.

    Raises:
        ValueError: another number of parameters.
    """
    count, width, h, w = features.shape
    queries = parameters.shape[1]
    sizes = _sizes(width, inner)
    if parameters.shape[-1] != sum(sizes):
        raise ValueError(
            f"{parameters.shape[-1]} parameters for a mask head on {width} channels with {inner} inner ones, wanted "
            f"{sum(sizes)}"
        )
    first, second, third, *biases = torch.split(parameters, sizes, -1)
    first = torch.unflatten(first, -1, (inner, width + 2))  # (M, Q, inner, C + 2)
    of_map = torch.bmm(first[..., :width].flatten(1, 2), features.flatten(2))  # (M, Q * inner, h * w)
    precise = torch.promote_types(of_map.dtype, torch.float32)
    with torch.autocast(features.device.type, enabled=False):
        height, broad = size or (STRIDE * h, STRIDE * w)
        right, down = places.to(precise).unbind(-1)  # (M, Q)
        across = (right[..., None] * broad - _centres(w, right)) / unit  # (M, Q, w)
        along = (down[..., None] * height - _centres(h, down)) / unit  # (M, Q, h)
        pull = first[..., width:].to(precise)  # (M, Q, inner, 2)
        b1, b2, b3 = (bias.to(precise) for bias in biases)
        columns = pull[..., :1] * across[:, :, None] + b1[..., None]  # (M, Q, inner, w)
        rows = pull[..., 1:] * along[:, :, None]  # (M, Q, inner, h)
        hidden = of_map.to(precise).reshape(count, queries, inner, h, w) + columns[..., None, :]
        hidden = (hidden + rows[..., None]).relu_().reshape(count * queries, inner, h * w)
        mixing = second.to(precise).reshape(count * queries, inner, inner)
        hidden = torch.baddbmm(b2.flatten(0, 1)[..., None], mixing, hidden).relu_()
        weights = third.to(precise).reshape(count * queries, 1, inner)
        logits = torch.baddbmm(b3.flatten(0, 1)[..., None], weights, hidden)
        return logits.reshape(count, queries, h, w)


def _sizes(width: int, inner: int) -> list[int]:
    """Sizes of the three weights, then of the three biases."""
    return [inner * (width + 2), inner * inner, inner, inner, inner, 1]


def _centres(count: int, like: Tensor) -> Tensor:
    """(count,) where the pixels of a map's row have their centres, in the picture's pixels."""
    return STRIDE * torch.arange(count, device=like.device, dtype=like.dtype) + STRIDE / 2
