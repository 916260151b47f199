"""Deformable attention over maps of several sizes (Zhu et al. 2021, "Deformable DETR"), in plain PyTorch.

Each token looks at a few points of every map, where it chooses to look: `heads * levels * points` samples instead of
all pixels. One `grid_sample` a map reads all points of all heads; it compiles without a break, forwards and back.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Size = tuple[int, int]


class DeformableAttention(nn.Module):
    """Multi-scale deformable attention; parameters have the published names and shapes."""

    def __init__(self, width: int = 256, heads: int = 8, levels: int = 3, points: int = 4) -> None:
        """
        Args:
            width: channels of tokens.
            heads: parts of the channels that look on their own.
            levels: maps.
            points: samples a head takes of each map.

        Raises:
            ValueError: a width that does not divide into the heads.
        """
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} does not divide into {heads} heads")
        self.heads, self.levels, self.points = heads, levels, points
        self.sampling_offsets = nn.Linear(width, heads * levels * points * 2)
        self.attention_weights = nn.Linear(width, heads * levels * points)
        self.value_proj = nn.Linear(width, width)
        self.output_proj = nn.Linear(width, width)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """At first all tokens look alike: head h along a direction of its own, its points 1, 2, 3 ... pixels away."""
        for linear in (self.sampling_offsets, self.attention_weights):
            nn.init.zeros_(linear.weight)
        for linear in (self.value_proj, self.output_proj):
            nn.init.xavier_uniform_(linear.weight)
        for linear in (self.attention_weights, self.value_proj, self.output_proj):
            nn.init.zeros_(linear.bias)
        angles = torch.arange(self.heads) * (2 * math.pi / self.heads)
        directions = torch.stack([angles.cos(), angles.sin()], -1)  # (heads, 2)
        directions = directions / directions.abs().amax(-1, keepdim=True)
        ring = directions[:, None, None] * torch.arange(1, self.points + 1)[:, None]  # (heads, 1, points, 2)
        with torch.no_grad():
            self.sampling_offsets.bias.copy_(ring.expand(-1, self.levels, -1, -1).flatten())

    def forward(self, queries: Tensor, places: Tensor, tokens: Tensor, sizes: Sequence[Size]) -> Tensor:
        """
        Args:
            queries: (N, Q, D).
            places: (Q, 2) or (N, Q, 2), where each query is: (x, y) as shares of the picture's width and height; then
                offsets are pixels of each map. Or (N, Q, 4), its box (centre x, centre y, width, height): then an
                offset of as many as there are points reaches from the box's centre to its edge.
            tokens: (N, M, D), the maps' pixels row by row, one map after the other.
            sizes: (H, W) of each map; M is the sum of their pixels.

        Returns:
            (N, Q, D). Under autocast all but the map of `tokens` to values is computed in the precision of the weights.

        Raises:
            ValueError: maps that are not as many as announced, or not as large as the tokens are many; places that are
                neither points nor boxes.
        """
        if len(sizes) != self.levels or sum(h * w for h, w in sizes) != tokens.shape[1]:
            raise ValueError(
                f"{tokens.shape[1]} tokens with maps of the sizes {list(sizes)}; wanted {self.levels} maps whose "
                "pixels are the tokens"
            )
        if places.shape[-1] not in (2, 4):
            raise ValueError(f"places of {places.shape[-1]} numbers, wanted (x, y) or (x, y, width, height)")
        values = torch.unflatten(self.value_proj(tokens), -1, (self.heads, -1))  # (N, M, heads, D / heads)
        # Half precision tells fewer places than a map has pixels.
        with torch.autocast(tokens.device.type, enabled=False):
            own = self.output_proj.weight.dtype
            offsets, weights = self._looks(queries.to(own))
            out: Tensor = self.output_proj(
                sample_maps(values.to(own), sizes, _locations(places, offsets, sizes), weights)
            )
        return out

    def _looks(self, queries: Tensor) -> tuple[Tensor, Tensor]:
        """(N, Q, D) -> offsets (N, Q, heads, levels, points, 2) and weights, which have no last axis."""
        looks = (*queries.shape[:2], self.heads, self.levels, self.points)
        offsets = self.sampling_offsets(queries).reshape(*looks, 2)
        weights = self.attention_weights(queries).reshape(*looks[:3], -1).softmax(-1).reshape(looks)
        return offsets, weights


def _locations(places: Tensor, offsets: Tensor, sizes: Sequence[Size]) -> Tensor:
    """(..., 2 or 4) and (N, Q, heads, levels, points, 2) -> the latter's shape, as shares of width and height."""
    precise = torch.promote_types(offsets.dtype, torch.float32)
    places = places[..., None, None, None, :]
    if places.shape[-1] == 4:
        return places[..., :2] + offsets.to(precise) / offsets.shape[-2] * places[..., 2:] * 0.5
    kept = _scale.__wrapped__ if torch.compiler.is_compiling() else _scale
    return places + offsets.to(precise) / kept(tuple(sizes), offsets.device, precise)


@lru_cache(maxsize=64)
def _scale(sizes: tuple[Size, ...], device: torch.device, dtype: torch.dtype) -> Tensor:
    """(levels, 1, 2) widths and heights; kept, since bringing numbers of the host to a device waits for it."""
    with torch.inference_mode(False):
        return torch.tensor([[w, h] for h, w in sizes], device=device, dtype=dtype)[:, None]


def sample_maps(values: Tensor, sizes: Sequence[Size], locations: Tensor, weights: Tensor) -> Tensor:
    """Weighted sums of bilinear samples; samples outside a map are zero.

    Args:
        values: (N, M, heads, d), the maps' pixels row by row, one map after the other.
        sizes: (H, W) of each map.
        locations: (N, Q, heads, levels, points, 2), (x, y) as shares of width and height.
        weights: (N, Q, heads, levels, points).

    Returns:
        (N, Q, heads * d), of the dtype of `values`; the arithmetic is float32 or finer.
    """
    if _bags(values):
        return torch.stack([_bagged(*each, sizes) for each in zip(values, locations, weights, strict=True)])
    count, queries, heads = locations.shape[:3]
    precise = torch.promote_types(values.dtype, torch.float32)
    # Points before queries, and nothing strided: sums and products then run along whole rows of memory, which halves
    # the time on a CPU.
    grids = (2 * locations.to(precise) - 1).permute(3, 0, 2, 4, 1, 5).contiguous().flatten(1, 2)
    shares = weights.to(precise).permute(3, 0, 2, 4, 1).contiguous().flatten(1, 2)
    # (levels, N * heads, points, Q, 2) and the same without the 2
    maps = torch.split(values.to(precise).permute(0, 2, 3, 1).flatten(0, 1), [h * w for h, w in sizes], -1)
    total: Tensor | None = None
    for grid, share, pixels, size in zip(grids, shares, maps, sizes, strict=True):
        found = _weighted(torch.unflatten(pixels, -1, size), grid, share)
        total = found if total is None else total + found
    assert total is not None
    return total.reshape(count, heads, -1, queries).permute(0, 3, 1, 2).flatten(2).to(values.dtype)


def _bags(values: Tensor) -> bool:
    """Whether nothing is learnt, on the CPU, in float32, and not in `torch.compile`."""
    if torch.is_grad_enabled() or torch.compiler.is_compiling():
        return False
    return values.device.type == "cpu" and values.dtype == torch.float32 and values.shape[0] > 0


def _bagged(values: Tensor, locations: Tensor, weights: Tensor, sizes: Sequence[Size]) -> Tensor:
    """Compute one picture: a query's output is a weighted sum of rows, the four pixels around each of its points.

    A head's channels of a pixel lie side by side, so that a sample is four rows that are read as they are, where
    `grid_sample` picks the pixels of every channel one by one. Around every map lies a border of nothing, one row and
    column before it and two behind, so that every point lies between four pixels.

    Args:
        values: (M, heads, d).
        locations: (Q, heads, levels, points, 2).
        weights: (Q, heads, levels, points).
        sizes: of the maps.

    Returns:
        (Q, heads * d).
    """
    heads, points = values.shape[1], locations.shape[3]
    grid = _Grid.of(tuple(sizes), points, heads, values.device)
    x, y = locations.flatten(2, 3).unbind(-1)  # (Q, heads, levels * points)
    left, right, column = _between(x, grid.widths)
    upper, lower, row = _between(y, grid.heights)
    index = row.mul_(grid.steps).add_(column).add_(grid.first).mul_(heads).add_(grid.heads).to(torch.int32)
    rows = torch.stack([index, index + heads], -1)
    corner, share = x.new_empty(*index.shape, 4, dtype=torch.int32), x.new_empty(*index.shape, 4)
    corner[..., :2] = rows
    torch.add(rows, grid.below, out=corner[..., 2:])
    shares = weights.flatten(2, 3)
    for k, down in enumerate((upper.mul_(shares), lower.mul_(shares))):
        torch.mul(down, left, out=share[..., 2 * k])
        torch.mul(down, right, out=share[..., 2 * k + 1])
    bags = index.shape[:2].numel()
    table = _bordered(values, sizes)
    found = F.embedding_bag(corner.view(bags, -1), table, mode="sum", per_sample_weights=share.view(bags, -1))
    return found.reshape(len(locations), -1)


def _between(shares: Tensor, count: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return for positions along a side the weights of the pixels before and after, and the former's number in the
    border's count. Places beyond the border lie on it, where there is nothing."""
    at = torch.addcmul(count.new_full((), 0.5), shares, count)  # 1 at the centre of the first pixel
    torch.fmax(at, count.new_zeros(()), out=at)  # what is no number lies there too: its weight tells it
    torch.minimum(at, count + 1, out=at)
    before = at.floor()
    behind = at.sub_(before)
    return 1 - behind, behind, before


def _bordered(values: Tensor, sizes: Sequence[Size]) -> Tensor:
    """(M, heads, d) -> (M', heads * d) ... as rows (M' * heads, d): every map with its border."""
    heads, width = values.shape[1:]
    table = values.new_zeros(sum((h + 3) * (w + 3) for h, w in sizes), heads * width)
    begin = first = 0
    for h, w in sizes:
        into = table[begin : begin + (h + 3) * (w + 3)].view(h + 3, w + 3, -1)
        into[1 : h + 1, 1 : w + 1] = values[first : first + h * w].reshape(h, w, -1)
        begin, first = begin + (h + 3) * (w + 3), first + h * w
    return table.view(-1, width)


@dataclass(frozen=True)
class _Grid:
    """Geometry of maps with borders, each (levels * points,) except `heads` and `below`."""

    widths: Tensor
    heights: Tensor
    steps: Tensor
    """From a row to the next."""
    first: Tensor
    """Offset of the map among all."""
    heads: Tensor
    """(heads, 1), their numbers."""
    below: Tensor
    """(levels * points, 1) int32, from a pixel's row of the table to that of the pixel below."""

    @staticmethod
    @lru_cache(maxsize=64)
    def of(sizes: tuple[Size, ...], points: int, heads: int, device: torch.device) -> _Grid:
        with torch.inference_mode(False):
            height, width = torch.tensor(sizes, dtype=torch.float32).repeat_interleave(points, 0).unbind(1)
            areas = torch.tensor([0, *((h + 3) * (w + 3) for h, w in sizes)], dtype=torch.float32)
            first = areas.cumsum(0)[:-1].repeat_interleave(points)
            below = ((width + 3) * heads).to(torch.int32)[:, None]
            numbers = torch.arange(heads, dtype=torch.float32)[:, None]
            return _Grid(*(x.to(device) for x in (width, height, width + 3, first, numbers, below)))


def _weighted(picture: Tensor, grid: Tensor, share: Tensor) -> Tensor:
    """Samples of a map, summed over points by their shares.

    Args:
        picture: (N * heads, d, H, W).
        grid: (N * heads, points, Q, 2).
        share: (N * heads, points, Q).

    Returns:
        (N * heads, d, Q).
    """
    if torch.is_grad_enabled() and not torch.compiler.is_compiling():
        out: Tensor = _Weighted.apply(picture, grid, share)
        return out
    samples = F.grid_sample(picture, grid, align_corners=False)  # (N * heads, d, points, Q)
    return (samples * share[:, None]).sum(2)


class _Weighted(torch.autograd.Function):
    """Samples, as many as tokens times points times channels, are taken again on the way back instead of kept."""

    @staticmethod
    def forward(ctx: Any, picture: Tensor, grid: Tensor, share: Tensor) -> Tensor:
        ctx.save_for_backward(picture, grid, share)
        return F.grid_sample(picture, grid, align_corners=False).mul_(share[:, None]).sum(2)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        picture, grid, share = ctx.saved_tensors
        wanted = gradients[0][:, :, None]  # (N * heads, d, 1, Q)
        samples = F.grid_sample(picture, grid, align_corners=False)
        for_share = samples.mul_(wanted).sum(1)
        del samples
        # Bilinear, zeros outside, corners not aligned, both gradients.
        for_picture, for_grid = torch.ops.aten.grid_sampler_2d_backward(
            wanted * share[:, None], picture, grid, 0, 0, False, [True, True]
        )
        return for_picture, for_grid, for_share


def centres(sizes: Sequence[Size], device: torch.device | None = None, dtype: torch.dtype = torch.float32) -> Tensor:
    """(M, 2): the (x, y) of every pixel's centre as shares of width and height, row by row, map after map."""
    places = []
    for height, width in sizes:
        y = (torch.arange(height, device=device, dtype=dtype) + 0.5) / height
        x = (torch.arange(width, device=device, dtype=dtype) + 0.5) / width
        places.append(torch.stack([x.expand(height, -1), y[:, None].expand(-1, width)], -1).flatten(0, 1))
    return torch.cat(places)
