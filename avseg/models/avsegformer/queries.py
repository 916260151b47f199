"""Queries of a frame, made of its sound (Gao et al. 2024)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from avseg.nn.transformer import Attention, FeedForward


class QueryGenerator(nn.Module):
    """A learned table of queries, in which each query looks at the others, then at the sound."""

    def __init__(self, queries: int, width: int, heads: int, inner: int, layers: int) -> None:
        """
        Args:
            queries: Q.
            width: channels D of queries and sound.
            heads: parts of the channels that attend on their own.
            inner: channels between the linear maps of a layer.
            layers: 0 or more.
        """
        super().__init__()
        self.table = nn.Parameter(torch.empty(queries, width))
        self.layers = nn.ModuleList(GeneratorLayer(width, heads, inner) for _ in range(layers))
        nn.init.xavier_uniform_(self.table)

    def forward(self, sound: Tensor) -> Tensor:
        """(N, D) -> (N, Q, D)."""
        # Until the first layer has heard the sound, queries are those of all frames: one row of N.
        queries = self.table[None]
        for layer in self.layers:
            queries = layer(queries, sound)
        return queries.expand(sound.shape[0], -1, -1)


class GeneratorLayer(nn.Module):
    """Self-attention, sound, feed-forward, each added and normalised; attention has no biases."""

    def __init__(self, width: int, heads: int, inner: int) -> None:
        super().__init__()
        self.self_attention = Attention(width, heads, bias=False)
        self.self_norm = nn.LayerNorm(width)
        self.sound_attention = OneKeyAttention(width)
        self.sound_norm = nn.LayerNorm(width)
        self.feed_forward = FeedForward(width, inner, activation="gelu")

    def forward(self, queries: Tensor, sound: Tensor) -> Tensor:
        """(N or 1, Q, D) and (N, D) -> (N, Q, D)."""
        queries = self.self_norm(queries + self.self_attention(queries, queries, queries))
        out: Tensor = self.feed_forward(self.sound_norm(queries + self.sound_attention(sound)[:, None]))
        return out


class OneKeyAttention(nn.Module):
    """Multi-head attention to one key: its softmax is 1, and each query's answer is the value.

    The maps of queries and keys, two thirds of `in_proj_weight`, are idle. They are kept, since the published files
    hold them and the published training lets them decay.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.out_proj = nn.Linear(width, width, bias=False)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.xavier_uniform_(self.out_proj.weight)

    def forward(self, value: Tensor) -> Tensor:
        """(N, D), the one value of each frame -> (N, D)."""
        out: Tensor = self.out_proj(F.linear(value, self.in_proj_weight[-value.shape[-1] :]))
        return out


class Repeated(nn.Module):
    """Sound as it is for every query: how queries were made before 2023-08-14."""

    def __init__(self, queries: int) -> None:
        super().__init__()
        self.queries = queries

    def forward(self, sound: Tensor) -> Tensor:
        """(N, D) -> (N, Q, D)."""
        return sound[:, None].expand(-1, self.queries, -1)
