"""Object queries: tokens of a frame's sound look at its pixels, layer by layer nearer to their objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from avseg.models.qdformer.encoder import LEVELS
from avseg.models.qdformer.heads import Head
from avseg.nn.deform import DeformableAttention, Size
from avseg.nn.transformer import FeedForward, SelfAttention

SMALL = -2.0
"""Log-odds of the sides of a box at first."""


@dataclass(frozen=True, eq=False)
class Located:
    """Queries of M frames after a layer, and where they are."""

    queries: Tensor
    """(M, Q, C)."""
    boxes: Tensor
    """(M, Q, 4): centre x, centre y, width, height as shares of the picture; float32 or finer."""
    centres: Tensor
    """(M, Q, 2): x and y that their masks are drawn relative to; float32 or finer."""


class ObjectDecoder(nn.Module):
    """Deformable attention from queries to pixels (Zhu et al. 2021), boxes refined from layer to layer."""

    def __init__(self, queries: int, layers: Sequence[nn.Module], width: int, refine: bool) -> None:
        """
        Args:
            queries: Q of a frame.
            layers: `QueryLayer`s of width C.
            width: C.
            refine: each layer has a box head of its own and begins at the last layer's boxes; otherwise all share one,
                and begin at the places that the queries have learned.
        """
        super().__init__()
        self.refine = refine
        self.layers = nn.ModuleList(layers)
        self.position = nn.Parameter(torch.randn(queries, width))
        self.place = nn.Linear(width, 2)
        nn.init.xavier_uniform_(self.place.weight)
        nn.init.zeros_(self.place.bias)
        self.boxes = nn.ModuleList(Head(width, 4, 3) for _ in range(len(self.layers) if refine else 1))
        for index, head in enumerate(self.boxes):
            assert isinstance(head, Head)
            nn.init.zeros_(head.last.weight)
            nn.init.zeros_(head.last.bias)
            # Later heads correct the boxes of earlier ones, so they begin with no change.
            if not index:
                nn.init.constant_(head.last.bias[2:], SMALL)

    def forward(self, content: Tensor, memory: Tensor, sizes: Sequence[Size]) -> list[Located]:
        """
        Args:
            content: (M, Q, C), what the queries begin as.
            memory: (M, P, C), the pixels of maps, row by row, map after map.
            sizes: (h, w) of the maps.

        Returns:
            What holds after each layer.
        """
        start = _precise(self.place(self.position)).sigmoid()  # (Q, 2)
        places, queries = start.expand(content.shape[0], -1, -1), content
        located = []
        for index, layer in enumerate(self.layers):
            queries = layer(queries, self.position, places, memory, sizes)
            boxes = self._boxes(queries, places, index)
            if self.refine:
                places = boxes.detach()
            located.append(Located(queries, boxes, places[..., :2]))
        return located

    def _boxes(self, queries: Tensor, places: Tensor, index: int) -> Tensor:
        """(M, Q, 4), as corrections of places (M, Q, 2 or 4)."""
        change = _precise(self.boxes[index % len(self.boxes)](queries))
        old = torch.logit(places, eps=1e-5)
        return (change + F.pad(old, (0, 4 - old.shape[-1]))).sigmoid()


class QueryLayer(nn.Module):
    """Queries look at each other, then at the pixels around their places; 1,545,856 parameters as published."""

    def __init__(self, width: int, heads: int, inner: int, points: int, dropout: float) -> None:
        """
        Args:
            width: channels C.
            heads: of both attentions.
            inner: width of the feed-forward layer between its linear maps.
            points: samples that a head takes of each map.
            dropout: while training.
        """
        super().__init__()
        self.self_attention = SelfAttention(width, heads, dropout)
        self.attention = DeformableAttention(width, heads, LEVELS, points)
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(width)
        self.feed_forward = FeedForward(width, inner, dropout)

    def forward(
        self, queries: Tensor, position: Tensor, places: Tensor, memory: Tensor, sizes: Sequence[Size]
    ) -> Tensor:
        """(M, Q, C) with positions (Q, C) at the places (M, Q, 2 or 4), memory (M, P, C) -> (M, Q, C)."""
        x = self.self_attention(queries, position)
        found = self.attention(x + position, places, memory, sizes)
        out: Tensor = self.feed_forward(self.norm(x + self.dropout(found)))
        return out


def _precise(x: Tensor) -> Tensor:
    """Half precision tells fewer places than a picture has pixels."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
