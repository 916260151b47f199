"""An encoder in which all pixels of a picture's maps look at each other by deformable attention (Zhu et al. 2021)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from avseg.nn.deform import DeformableAttention, Size, centres
from avseg.nn.position import sine_positions
from avseg.nn.transformer import Activation, FeedForward


class DeformableEncoder(nn.Module):
    """Layers of deformable attention among the pixels of one frame, all scales together."""

    def __init__(
        self,
        width: int,
        heads: int,
        inner: int,
        layers: int,
        *,
        levels: int,
        points: int,
        dropout: float,
        activation: Activation = "relu",
        normalised: bool = True,
    ) -> None:
        """
        Args:
            width: channels C.
            heads: parts of the channels that attend on their own.
            inner: width of the feed-forward layers between their linear maps.
            layers: 1 or more.
            levels: maps.
            points: samples that a head takes of each map.
            dropout: while training.
            activation: of the feed-forward layers.
            normalised: of `avseg.nn.position.sine_positions`.
        """
        super().__init__()
        self.normalised = normalised
        self.level = nn.Parameter(torch.randn(levels, width))
        self.layers = nn.ModuleList(
            DeformableLayer(width, heads, inner, levels, points, dropout, activation) for _ in range(layers)
        )

    def forward(self, tokens: Tensor, sizes: Sequence[Size]) -> Tensor:
        """(M, P, C) the pixels of maps of the sizes (h, w), row by row, map after map -> the same."""
        places = centres(sizes, tokens.device)
        position = self.positions(tokens, sizes)
        for layer in self.layers:
            tokens = layer(tokens, position, places, sizes)
        return tokens

    def positions(self, tokens: Tensor, sizes: Sequence[Size]) -> Tensor:
        """(P, C): where each pixel is in its map, and in which map."""
        width, device = tokens.shape[2], tokens.device
        return torch.cat(
            [
                sine_positions(*size, width, device, normalised=self.normalised) + level
                for size, level in zip(sizes, self.level, strict=True)
            ]
        )


class DeformableLayer(nn.Module):
    """Deformable attention among all tokens, then two linear maps, each added and normalised."""

    def __init__(
        self, width: int, heads: int, inner: int, levels: int, points: int, dropout: float, activation: Activation
    ) -> None:
        super().__init__()
        self.attention = DeformableAttention(width, heads, levels, points)
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(width)
        self.feed_forward = FeedForward(width, inner, dropout, activation)

    def forward(self, tokens: Tensor, position: Tensor, places: Tensor, sizes: Sequence[Size]) -> Tensor:
        """(M, P, C) -> (M, P, C)."""
        found = self.attention(tokens + position, places, tokens, sizes)
        out: Tensor = self.feed_forward(self.norm(tokens + self.dropout(found)))
        return out


def flattened(maps: Sequence[Tensor]) -> tuple[Tensor, list[Size]]:
    """Maps (M, C, h_i, w_i) -> their pixels (M, P, C) row by row, map after map, and the sizes (h_i, w_i)."""
    sizes: list[Size] = [(x.shape[2], x.shape[3]) for x in maps]
    return torch.cat([x.flatten(2).transpose(1, 2) for x in maps], 1), sizes


def as_maps(tokens: Tensor, sizes: Sequence[Size]) -> list[Tensor]:
    """Undo `flattened`."""
    parts = torch.split(tokens.transpose(1, 2), [h * w for h, w in sizes], 2)
    return [torch.unflatten(part, 2, size) for part, size in zip(parts, sizes, strict=True)]
