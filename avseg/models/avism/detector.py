"""The frame decoder: queries that have heard the second's sound look for masks (Guo et al. 2025; Cheng et al. 2022).

Sound enters once, before the first prediction: at each scale the sound, placed as every query is, looks at the whole
map, and what it finds is added to that query. Then queries look, layer by layer, only where their last masks are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from avseg.nn.position import sine_positions
from avseg.nn.transformer import CrossAttention, DecoderLayer, Perceptron

LEVELS = 3
"""Scales that the queries look at in turn."""


@dataclass(frozen=True, eq=False)
class FramePrediction:
    """The outputs for the queries of N frames."""

    class_logits: Tensor
    """(N, Q, K + 1), "no object" last."""
    mask_logits: Tensor
    """(N, Q, h, w) at a quarter of the pictures' size."""


class FrameDecoder(nn.Module):
    """Queries of single frames."""

    def __init__(
        self, classes: int, width: int, heads: int, inner: int, queries: int, layers: int, audio_width: int
    ) -> None:
        """
        Args:
            classes: foreground classes K.
            width: channels D of maps and queries.
            heads: of every attention.
            inner: width of the feed-forward layers between their linear maps.
            queries: of a frame.
            layers: each looks at one scale, coarse, middle, fine, coarse, ...
            audio_width: channels of a second's sound.
        """
        super().__init__()
        self.hear = nn.Linear(audio_width, width)
        self.listen = nn.ModuleList(CrossAttention(width, heads) for _ in range(LEVELS))
        self.join = nn.Linear(LEVELS * width, width)
        self.query = nn.Embedding(queries, width)
        self.position = nn.Embedding(queries, width)
        self.level = nn.Embedding(LEVELS, width)
        self.layers = nn.ModuleList(DecoderLayer(width, heads, inner) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.classify = nn.Linear(width, classes + 1)
        self.mask_embedding = Perceptron(width)

    def forward(
        self, maps: Sequence[Tensor], mask_features: Tensor, audio: Tensor, kept: int = 1, predict: bool = True
    ) -> tuple[Tensor, list[FramePrediction]]:
        """
        Args:
            maps: three of (N, D, h_i, w_i), coarse first.
            mask_features: (N, D, h, w).
            audio: (N, audio_width), the sound of each frame.
            kept: last layers whose queries are wanted.
            predict: whether predictions are wanted of anything but training.

        Returns:
            Queries (kept, N, Q, D), normalised, of the last `kept` layers, earliest first; and predictions: while
            training those before the first layer and after each, otherwise that after the last.
        """
        memories = [
            map_.flatten(2).transpose(1, 2) + level  # (N, h_i * w_i, D)
            for map_, level in zip(maps, self.level.weight, strict=True)
        ]
        positions = [sine_positions(m.shape[2], m.shape[3], m.shape[1], m.device, m.dtype) for m in maps]
        # Both the product with an embedding and the resizing are linear: masks at a scale are those of features at it.
        scaled = [F.interpolate(mask_features, m.shape[-2:], mode="bilinear", align_corners=False) for m in maps]
        x = self.query.weight + self._heard(memories, audio)  # (N, Q, D)
        states = [self.norm(x)]
        predictions = [self.predict(states[0], mask_features)] if self.training else []
        for index, layer in enumerate(self.layers):
            level = index % LEVELS
            allowed = self._allowed(states[-1], scaled[level])
            x = layer(x, memories[level], allowed, self.position.weight, positions[level])
            states = [*states, self.norm(x)][-max(kept, 1) :]
            if self.training or (predict and index + 1 == len(self.layers)):
                predictions.append(self.predict(states[-1], mask_features))
        return torch.stack(states[-kept:]), predictions

    def predict(self, queries: Tensor, mask_features: Tensor) -> FramePrediction:
        """Predict from normalised queries (N, Q, D) and features (N, D, h, w)."""
        masks = torch.einsum("nqd,ndhw->nqhw", self.mask_embedding(queries), mask_features)
        return FramePrediction(self.classify(queries), masks)

    def _heard(self, memories: Sequence[Tensor], audio: Tensor) -> Tensor:
        """Return audio-visual features for every query: (N, Q, D)."""
        sound = self.hear(audio)[:, None]  # (N, 1, D)
        found = [
            listen(sound, memory, position=self.position.weight)
            for listen, memory in zip(self.listen, memories, strict=True)
        ]
        joined: Tensor = self.join(torch.cat(found, -1))
        return joined

    @torch.no_grad()
    def _allowed(self, queries: Tensor, features: Tensor) -> Tensor:
        """Where the masks of `queries` (N, Q, D) are at the scale of `features` (N, D, h, w): (N, Q, h * w) bool."""
        inside: Tensor = self.mask_embedding(queries) @ features.flatten(2) >= 0
        # A query with an empty mask looks everywhere.
        return inside | ~inside.any(-1, keepdim=True)
