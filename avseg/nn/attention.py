"""Temporal pixel-wise audio-visual interaction (Zhou et al. 2022, section 3.3) at linear cost.

The published block forms the affinity of every pixel of a group of T frames with every other, a (THW x THW) matrix.
Without a softmax that matrix need not exist:

- heard (visual queries, audio keys): the key of a frame is the same at all of its pixels, so the affinity has rank T
  and the values enter only through their mean over each frame;
- seen (visual queries, visual keys): (theta phi^T) g = theta (phi^T g), a product of width x width.

Either way a group's answer is `(x @ left + left_bias) @ right` with thin matrices `left` and `right`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class AudioVisualAttention(nn.Module):
    """One TPAVI block in dot mode: attention, batch norm, residual, layer norm."""

    def __init__(self, width: int = 256, inner: int = 128, audio_width: int = 128, align_bias: bool = True) -> None:
        """
        Args:
            width: channels of the visual map.
            inner: channels of queries, keys and values.
            audio_width: channels of the audio embedding.
            align_bias: whether the audio alignment has a bias (S4 and MS3 do, AVSS does not).
        """
        super().__init__()
        self.align = nn.Linear(audio_width, width, bias=align_bias)
        self.query = nn.Linear(width, inner)
        self.key = nn.Linear(width, inner)
        self.value = nn.Linear(width, inner)
        self.project = nn.Linear(inner, width)
        self.batch_norm = nn.BatchNorm2d(width)
        self.layer_norm = nn.LayerNorm(width)
        nn.init.zeros_(self.batch_norm.weight)  # the block starts as the identity

    def forward(self, x: Tensor, audio: Tensor | None, group: int) -> tuple[Tensor, Tensor | None]:
        """
        Args:
            x: (N, C, H, W) visual maps of N = G * group frames.
            audio: (N, audio_width) embeddings; None attends to the picture itself.
            group: frames that see each other.

        Returns:
            (N, C, H, W) attended maps, and the aligned audio (G, group, C) where there is audio.
        """
        n, c, h, w = x.shape
        rows = x.permute(0, 2, 3, 1).reshape(n // group, group * h * w, c)  # a view where x is channels_last
        if audio is None:
            aligned = None
            left, left_bias, right = self._seen(rows)
        else:
            aligned = self.align(audio).reshape(n // group, group, c)  # (G, T, C)
            left, left_bias, right = self._heard(rows, aligned)
        mixed = self._normed(rows, left, left_bias, right, (n, h, w))  # (G, THW, C)
        out: Tensor = self.layer_norm(mixed)
        return out.reshape(n, h, w, c).permute(0, 3, 1, 2), aligned

    def _heard(self, rows: Tensor, aligned: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Rank T: keys of the sounds, values averaged over each frame."""
        group = aligned.shape[1]
        keys = self.key(aligned)  # (G, T, inner)
        means = rows.reshape(rows.shape[0], group, -1, rows.shape[-1]).mean(2)  # (G, T, C)
        values = self.value(means)  # (G, T, inner)
        left = (keys @ self.query.weight).transpose(1, 2)  # (G, C, T)
        left_bias = (keys @ self.query.bias)[:, None]  # (G, 1, T)
        return left, left_bias, values @ self.project.weight.T / group

    def _seen(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Associativity: the keys meet the values first."""
        groups, pixels, _ = rows.shape
        met = self.key(rows).transpose(1, 2) @ self.value(rows) / pixels  # (G, inner, inner)
        left = self.query.weight.T.expand(groups, -1, -1)  # (G, C, inner)
        left_bias = self.query.bias.expand(groups, 1, -1)  # (G, 1, inner)
        return left, left_bias, met @ self.project.weight.T

    def _normed(
        self, rows: Tensor, left: Tensor, left_bias: Tensor, right: Tensor, shape: tuple[int, int, int]
    ) -> Tensor:
        """rows + batch_norm(((rows @ left + left_bias) @ right + bias)): (G, THW, C)."""
        norm = self.batch_norm
        weights = torch.baddbmm(left_bias, rows, left)  # (G, THW, rank)
        if norm.training or norm.running_var is None or norm.running_mean is None:
            n, h, w = shape
            z = torch.baddbmm(self.project.bias.expand(rows.shape[0], 1, -1), weights, right)
            normed: Tensor = norm(z.reshape(n, h, w, -1).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
            return rows + normed.reshape(rows.shape)
        # Fixed statistics are a scale and a shift, and both fit into the thin product.
        scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
        shift = (self.project.bias - norm.running_mean) * scale + norm.bias
        return torch.baddbmm(rows + shift, weights, right * scale)
