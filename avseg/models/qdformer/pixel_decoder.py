"""Mask features at stride 4: maps joined from coarse to fine; by choice the coarsest meets the clip's tokens first."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from avseg.models.qdformer.encoder import group_norm
from avseg.nn.frames import all_exist, by_frame, gathered, spread
from avseg.nn.position import sine_positions
from avseg.nn.transformer import Attention, CrossAttention, FeedForward

FILTERS = 3
"""That the tokens of a clip become."""


class FeaturePyramid(nn.Module):
    """The pixel decoder; with `dual` 6,635,776 parameters on ResNet-50 at width 256."""

    def __init__(self, fine: int, width: int, dual: DualFusion | None = None) -> None:
        """
        Args:
            fine: channels of the backbone's map at stride 4.
            width: channels C of all other maps.
            dual: what lets the map at stride 32 and the clip's tokens meet (`audio_dual`); None: nothing.

        Raises:
            ValueError: a width that the norms' groups do not divide.
        """
        super().__init__()
        self.dual = dual
        self.laterals = nn.ModuleList(_NormedConvolution(n, width, 1) for n in (width, width, width, fine))
        self.outputs = nn.ModuleList(_NormedConvolution(width, width, 3) for _ in range(4))
        self.mask_features = nn.Conv2d(width, width, 3, padding=1)
        nn.init.kaiming_uniform_(self.mask_features.weight, a=1)
        nn.init.zeros_(self.mask_features.bias)  # type: ignore[arg-type]

    def forward(self, maps: Sequence[Tensor], tokens: Tensor, valid: Tensor) -> Tensor:
        """
        Args:
            maps: at stride 4 from the backbone (M, fine, h, w), then at strides 8, 16, 32 (M, C, ...), of M frames.
            tokens: (B, N, C) of the clips.
            valid: (B, T) bool, which frames of which clips the M are.

        Returns:
            (M, C, h, w).
        """
        coarsest, *finer = (lateral(map_) for lateral, map_ in zip(self.laterals, reversed(maps), strict=True))
        if self.dual is not None:
            coarsest = self.dual(coarsest, tokens, valid)
        first, *others = self.outputs
        y = F.relu(first(coarsest))
        for output, map_ in zip(others, finer, strict=True):
            y = F.relu(output(map_ + F.interpolate(y, map_.shape[-2:], mode="nearest")))
        out: Tensor = self.mask_features(y)
        return out


class DualFusion(nn.Module):
    """Pictures of a whole clip and its tokens look at each other; then the tokens filter the pictures.

    The pixel decoder of R2VOS for words, with tokens of sound in their place.
    """

    def __init__(self, block: DualAttention, width: int, pool: str) -> None:
        """
        Args:
            block: of width C.
            width: C.
            pool: how N tokens become three filters: `adaptive3` means over neighbours, `mean` the mean of all three
                times, `attention` three learned queries; the latter two do not depend on the order of tokens.

        Raises:
            ValueError: a width that the norms' groups do not divide.
        """
        super().__init__()
        self.block = block
        self.pool = pool
        self.queries = nn.Parameter(torch.randn(FILTERS, width)) if pool == "attention" else None
        self.filter = nn.Linear(width, width)
        self.enter = _NormedConvolution(width, width, 1)
        self.join = _NormedConvolution(FILTERS * width, width, 1)

    def forward(self, map_: Tensor, tokens: Tensor, valid: Tensor) -> Tensor:
        """(M, C, h, w) of the frames `valid` (B, T) of clips with the tokens (B, N, C) -> (M, C, h, w)."""
        size = (map_.shape[2], map_.shape[3])
        position = sine_positions(*size, map_.shape[1], map_.device)  # (h * w, C)
        pixels = spread(map_.flatten(2).transpose(1, 2), valid)  # (B, T, h * w, C)
        # Outside of the block, which compiles without a break.
        there = None if all_exist(valid) else valid.repeat_interleave(pixels.shape[2], 1)[:, None]
        pixels, tokens = self.block(pixels, tokens, position, there)
        seen = torch.unflatten(gathered(pixels, valid).transpose(1, 2), 2, size)  # (M, C, h, w)
        filters = by_frame(self.filter(self._pooled(tokens)), valid)  # (M, 3, C)
        filtered = F.relu(self.enter(seen))[:, None] * filters[..., None, None]  # (M, 3, C, h, w)
        out: Tensor = seen + F.relu(self.join(filtered.flatten(1, 2)))
        return out

    def _pooled(self, tokens: Tensor) -> Tensor:
        """(B, N, C) -> (B, 3, C)."""
        if self.queries is not None:
            shares = (self.queries @ tokens.transpose(1, 2) / tokens.shape[2] ** 0.5).softmax(-1)  # (B, 3, N)
            pooled: Tensor = shares @ tokens
            return pooled
        if self.pool == "mean":
            return tokens.mean(1, keepdim=True).expand(-1, FILTERS, -1)
        return F.adaptive_avg_pool1d(tokens.transpose(1, 2), FILTERS).transpose(1, 2)


class DualAttention(nn.Module):
    """Pixels of a clip look at each other; then pixels at tokens and tokens at pixels, at the same time.

    3,091,200 parameters at width 256.
    """

    def __init__(self, width: int, heads: int, inner: int, dropout: float) -> None:
        """
        Args:
            width: channels C of pixels and tokens.
            heads: parts of the channels that attend on their own.
            inner: width of the feed-forward layers between their linear maps.
            dropout: while training.
        """
        super().__init__()
        self.among = CrossAttention(width, heads, dropout)
        self.hear = Attention(width, heads, dropout)
        self.ask = nn.Linear(width, width)
        self.show = nn.Linear(width, 2 * width)
        self.see = Attention(width, heads, dropout)
        self.dropout = nn.Dropout(dropout)
        self.pixel_norm, self.token_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.pixel_feed_forward = FeedForward(width, inner, dropout)
        self.token_feed_forward = FeedForward(width, inner, dropout)
        for linear in (self.ask, self.show):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)

    def forward(self, pixels: Tensor, tokens: Tensor, position: Tensor, there: Tensor | None) -> tuple[Tensor, Tensor]:
        """
        Args:
            pixels: (B, T, P, C), of all frames of the clips.
            tokens: (B, N, C).
            position: (P, C), of the pixels of a frame.
            there: (B, 1, T * P) bool, the pixels of frames that exist; nobody looks at others. None: all.

        Returns:
            Pixels and tokens of the same shapes.
        """
        shape = pixels.shape
        v, places = pixels.flatten(1, 2), position.repeat(shape[1], 1)  # (B, T * P, C), (T * P, C)
        v = self.among(v, v, there, places, places)
        keys, values = self.show(v).chunk(2, -1)
        heard = self.hear(v + places, tokens, tokens)
        seen = self.see(self.ask(tokens), keys + places, values, there)
        v = self.pixel_feed_forward(self.pixel_norm(v + self.dropout(heard)))
        a = self.token_feed_forward(self.token_norm(tokens + self.dropout(seen)))
        return v.reshape(shape), a


class _NormedConvolution(nn.Module):
    """A convolution without bias, then group normalisation."""

    def __init__(self, entering: int, leaving: int, side: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(entering, leaving, side, padding=side // 2, bias=False)
        self.norm = group_norm(leaving)
        nn.init.kaiming_uniform_(self.convolution.weight, a=1)

    def forward(self, x: Tensor) -> Tensor:
        """(M, entering, h, w) -> (M, leaving, h, w)."""
        out: Tensor = self.norm(self.convolution(x))
        return out
