"""Maps of a backbone in one width at four scales, and an encoder in which all their pixels look at each other."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from avseg.nn.deform import DeformableAttention, Size, centres
from avseg.nn.position import sine_positions
from avseg.nn.transformer import FeedForward

LEVELS = 4
"""Strides 8, 16, 32 and 64."""
PER_GROUP = 8
"""Channels that group normalisation takes together: at width 256 the published 32 groups."""


class Projections(nn.Module):
    """The three coarse maps of a backbone in width C, and a fourth of half the coarsest one's size."""

    def __init__(self, channels: Sequence[int], width: int) -> None:
        """
        Args:
            channels: of the backbone's maps at strides 8, 16, 32.
            width: C.

        Raises:
            ValueError: a width that the norms' groups do not divide.
        """
        super().__init__()
        self.each = nn.ModuleList(nn.Conv2d(entering, width, 1) for entering in channels)
        self.halve = nn.Conv2d(channels[-1], width, 3, stride=2, padding=1)
        self.norms = nn.ModuleList(group_norm(width) for _ in range(LEVELS))
        for convolution in (*self.each, self.halve):
            nn.init.xavier_uniform_(convolution.weight)
            nn.init.zeros_(convolution.bias)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Maps (M, C_i, h_i, w_i) at strides 8, 16, 32 -> four (M, C, ...) at strides 8, 16, 32, 64."""
        projected = [project(map_) for project, map_ in zip(self.each, maps, strict=True)]
        projected.append(self.halve(maps[-1]))
        return [norm(map_) for norm, map_ in zip(self.norms, projected, strict=True)]


class DeformableEncoder(nn.Module):
    """Layers of deformable attention among the pixels of one frame, all scales together."""

    def __init__(self, width: int, heads: int, inner: int, layers: int, points: int, dropout: float) -> None:
        """
        Args:
            width: channels C.
            heads: parts of the channels that attend on their own.
            inner: width of the feed-forward layers between their linear maps.
            layers: 1 or more.
            points: samples that a head takes of each map.
            dropout: while training.
        """
        super().__init__()
        self.level = nn.Parameter(torch.randn(LEVELS, width))
        self.layers = nn.ModuleList(_EncoderLayer(width, heads, inner, points, dropout) for _ in range(layers))

    def forward(self, tokens: Tensor, sizes: Sequence[Size]) -> Tensor:
        """(M, P, C) the pixels of maps of the sizes (h, w), row by row, map after map -> the same."""
        places = centres(sizes, tokens.device)
        position = torch.cat(
            [
                sine_positions(*size, tokens.shape[2], tokens.device) + level
                for size, level in zip(sizes, self.level, strict=True)
            ]
        )  # (P, C)
        for layer in self.layers:
            tokens = layer(tokens, position, places, sizes)
        return tokens


class _EncoderLayer(nn.Module):
    """1,282,176 parameters at the published widths."""

    def __init__(self, width: int, heads: int, inner: int, points: int, dropout: float) -> None:
        super().__init__()
        self.attention = DeformableAttention(width, heads, LEVELS, points)
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(width)
        self.feed_forward = FeedForward(width, inner, dropout)

    def forward(self, tokens: Tensor, position: Tensor, places: Tensor, sizes: Sequence[Size]) -> Tensor:
        """(M, P, C) -> (M, P, C)."""
        found = self.attention(tokens + position, places, tokens, sizes)
        out: Tensor = self.feed_forward(self.norm(tokens + self.dropout(found)))
        return out


def flattened(maps: Sequence[Tensor]) -> tuple[Tensor, list[Size]]:
    """Maps (M, C, h_i, w_i) -> their pixels (M, P, C) row by row, map after map, and the sizes (h_i, w_i)."""
    sizes: list[Size] = [(x.shape[2], x.shape[3]) for x in maps]
    return torch.cat([x.flatten(2) for x in maps], 2).transpose(1, 2), sizes


def as_maps(tokens: Tensor, sizes: Sequence[Size]) -> list[Tensor]:
    """What `flattened` made, taken apart again."""
    parts = torch.split(tokens.transpose(1, 2), [h * w for h, w in sizes], 2)
    return [torch.unflatten(part, 2, size) for part, size in zip(parts, sizes, strict=True)]


def group_norm(width: int) -> nn.GroupNorm:
    """Of `PER_GROUP` channels a group.

    Raises:
        ValueError: a width that is no multiple of them.
    """
    if width % PER_GROUP:
        raise ValueError(f"width {width}; wanted a multiple of {PER_GROUP}, the channels of a norm's group")
    return nn.GroupNorm(width // PER_GROUP, width)
