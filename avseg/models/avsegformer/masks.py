"""The mask feature, on which queries are laid, and the head that makes logits of it (Gao et al. 2024).

Maps of this module lie in memory with their channels last, so that their pixels (N, P, C) are views of them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from avseg.nn.enlarged import EnlargedConvolution

PIXELS_AT_ONCE = 3136
"""Pixels for which the head's inner channels exist at a time outside of training."""


class SoundMixer(nn.Module):
    """Return the factor of the sound for each channel of the mask feature.

    A frame's sound is one query over all pixels. The query is brought into the feature's channels, so that a pixel's
    key and value never exist.
    """

    def __init__(self, width: int, heads: int) -> None:
        """
        Args:
            width: channels D of feature and sound.
            heads: parts of the channels that attend on their own.
        """
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width, bias=False)
        self.key_value = nn.Linear(width, 2 * width, bias=False)
        self.project = nn.Linear(width, width)
        for linear in (self.query, self.key_value, self.project):
            nn.init.xavier_uniform_(linear.weight)

    def forward(self, pixels: Tensor, sound: Tensor) -> Tensor:
        """(N, P, D) and (N, D) -> (N, D), from 0 to 1."""
        query = torch.unflatten(self.query(sound), -1, (self.heads, -1))  # (N, heads, d)
        key, value = torch.unflatten(self.key_value.weight, 0, (2, self.heads, -1))  # (heads, d, D)
        looked = torch.einsum("nhd,hdc->nhc", query, key) * query.shape[-1] ** -0.5
        shares = torch.bmm(looked, pixels.transpose(1, 2)).softmax(-1)  # (N, heads, P)
        seen = torch.bmm(shares, pixels)  # (N, heads, D)
        joined = torch.einsum("nhc,hdc->nhd", seen, value).flatten(1)
        return torch.sigmoid(self.project(joined))


class LikenessHead(nn.Module):
    """Logits at four times the feature's size, of the feature and of how far each pixel is alike to each query.

    Likeness, a map for each query, goes through three linear maps with ReLUs between them. The first one is linear in
    the queries as well: they go through it, and the maps of likeness never exist.
    """

    def __init__(self, channels: int, queries: int, width: int, inner: int, widths: tuple[int, int]) -> None:
        """
        Args:
            channels: of the logits.
            queries: Q.
            width: channels D of feature and queries.
            inner: channels between the three linear maps.
            widths: channels of the two convolutions before the classifier.
        """
        super().__init__()
        self.enter = nn.Linear(queries, inner)
        self.mix = nn.Linear(inner, inner)
        self.leave = nn.Linear(inner, width)
        self.first = nn.Conv2d(width, widths[0], 3, padding=1)
        self.second = EnlargedConvolution(widths[0], widths[1], factor=4)
        self.classify = nn.Conv2d(widths[1], channels, 1, bias=False)
        for weighted in (self.enter, self.mix, self.leave, self.first, self.second, self.classify):
            nn.init.xavier_uniform_(weighted.weight)

    def forward(self, feature: Tensor, queries: Tensor) -> Tensor:
        """(N, D, h, w) and (N, Q, D) -> (N, channels, 4h, 4w)."""
        pixels = feature.flatten(2).transpose(1, 2)  # (N, P, D)
        entering = torch.matmul(self.enter.weight, queries)  # (N, inner, D)
        whole_at_once = torch.is_grad_enabled() or torch.compiler.is_compiling()
        added = self._learnt(pixels, entering) if whole_at_once else self._told(pixels, entering)
        whole = torch.unflatten((pixels + added).transpose(1, 2), 2, feature.shape[2:])
        logits: Tensor = self.classify(F.relu(self.second(self.first(whole)), inplace=True))
        return logits

    def _learnt(self, pixels: Tensor, entering: Tensor) -> Tensor:
        if torch.compiler.is_compiling():
            return self._left(self._mixed(pixels, entering))
        # What enters is cheap to make and large to keep.
        mixed: Tensor = checkpoint(self._mixed, pixels, entering, use_reentrant=False)
        return self._left(mixed)

    def _mixed(self, pixels: Tensor, entering: Tensor) -> Tensor:
        bias = self.enter.bias.expand(pixels.shape[0], 1, -1)
        out: Tensor = self.mix(F.relu(torch.baddbmm(bias, pixels, entering.transpose(1, 2)), inplace=True))
        return out

    def _left(self, mixed: Tensor) -> Tensor:
        out: Tensor = self.leave(F.relu(mixed, inplace=True))
        return out

    def _told(self, pixels: Tensor, entering: Tensor) -> Tensor:
        """Compute the masks a few pixels at a time."""
        out = pixels.new_empty(pixels.shape)
        for frame, weight, place in zip(pixels, entering, out, strict=True):
            for piece, into in zip(frame.split(PIXELS_AT_ONCE), place.split(PIXELS_AT_ONCE), strict=True):
                into.copy_(self._left(self.mix(F.relu(F.linear(piece, weight, self.enter.bias), inplace=True))))
        return out
