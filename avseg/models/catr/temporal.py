"""The temporal encoder: pixels of a group of frames and its sound change each other, and gates join three layers."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from avseg.models.catr.fusion import FewKeys, FewQueries
from avseg.nn.transformer import FeedForward, SelfAttention

LAYERS = 3
"""The gates join the maps of three."""


class EncoderLayer(nn.Module):
    """Tokens of a frame look at each other (Carion et al. 2020)."""

    def __init__(self, width: int, heads: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.self_attention = SelfAttention(width, heads, dropout)
        self.feed_forward = FeedForward(width, inner, dropout)

    def forward(self, x: Tensor, position: Tensor) -> Tensor:
        """(N, S, C) with positions (S, C), which queries and keys have -> (N, S, C)."""
        out: Tensor = self.feed_forward(self.self_attention(x, position))
        return out


class TemporalLayer(nn.Module):
    """Tokens of each frame look at each other; then all pixels of a group look at its sound, and the sound at them.

    What is found multiplies the token, once or twice (`product`), with neither residual nor norm.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        inner: int,
        dropout: float,
        *,
        product: Literal["squared", "single"],
        audio_frame: Literal["first", "each"],
        last: bool,
    ) -> None:
        """
        Args:
            width: channels C.
            heads: of all attentions.
            inner: of the feed-forward layer.
            dropout: of the self-attention and the feed-forward layer.
            product: x * y * y or x * y.
            audio_frame: Whose sound tokens are met, those beside the group's first frame or those beside each one.
            last: No layer follows, and nothing reads what sound would find.
        """
        super().__init__()
        self.encode = EncoderLayer(width, heads, inner, dropout)
        self.seen = FewKeys(width, heads)
        self.heard = None if last else FewQueries(width, heads)
        self.squared = product == "squared"
        self.first = audio_frame == "first"

    def forward(self, x: Tensor, position: Tensor, sounds: int) -> tuple[Tensor, Tensor | None]:
        """
        Args:
            x: (N, P + sounds, C), the pixels of each of N frames and the sound tokens of its group; a group has as many
                frames as sound tokens, and follows the one before.
            position: (P + sounds, C).
            sounds: tokens of sound in a group.

        Returns:
            (N, P, C) pixels and (N, sounds, C) sound tokens; None of the last layer.
        """
        x = self.encode(x, position)
        pixels, tokens = x[:, :-sounds], x[:, -sounds:]
        count = pixels.shape[1]
        if self.first:
            tokens = tokens[::sounds]  # (G, sounds, C)
            pixels = pixels.reshape(tokens.shape[0], -1, pixels.shape[2])  # (G, sounds * P, C)
        pixels = self._product(pixels, self.seen(pixels, tokens, tokens))
        seen = pixels.reshape(x.shape[0], count, -1)
        if self.heard is None:
            return seen, None
        # Sound looks at the pixels of all frames of its group.
        groups = x.shape[0] // sounds
        asking = tokens.reshape(groups, -1, tokens.shape[2])  # (G, sounds or sounds * sounds, C)
        found = self.heard.look(asking, seen.reshape(groups, -1, seen.shape[2]), position[:count])
        asking = self._product(asking, found)
        if self.first:
            asking = asking.repeat_interleave(sounds, 0)
        return seen, asking.reshape(x.shape[0], sounds, -1)

    def _product(self, x: Tensor, found: Tensor) -> Tensor:
        return x * found * found if self.squared else x * found


class Refine(nn.Module):
    """A 3x3 convolution, batch norm and a leaky rectifier whose slope is learnt."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(width, width, 3, padding=1)
        self.norm = nn.BatchNorm2d(width)
        self.rectify = nn.PReLU()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, C, h, w)."""
        out: Tensor = self.rectify(self.norm(self.convolution(x)))
        return out


class TemporalEncoder(nn.Module):
    """Three layers, and two gates that join their maps of pixels from coarse meaning to fine (Li et al. 2023)."""

    def __init__(
        self,
        width: int,
        heads: int,
        inner: int,
        dropout: float,
        *,
        product: Literal["squared", "single"] = "squared",
        audio_frame: Literal["first", "each"] = "each",
        second_gate: Literal["first", "own"] = "own",
    ) -> None:
        """`second_gate`: Whether it is made of the first one, or of its own two maps; all else as `TemporalLayer` has
        it."""
        super().__init__()
        ways = {"product": product, "audio_frame": audio_frame}
        self.layers = nn.ModuleList(
            TemporalLayer(width, heads, inner, dropout, **ways, last=k == LAYERS - 1)  # type: ignore[arg-type]
            for k in range(LAYERS)
        )
        self.gate = nn.Conv2d(2 * width, 2, 3, padding=1)
        self.first, self.second = Refine(width), Refine(width)
        self.own = second_gate == "own"

    def forward(self, x: Tensor, position: Tensor, size: tuple[int, int], sounds: int) -> Tensor:
        """
        Args:
            x: (N, h * w + sounds, C), as `TemporalLayer` takes it.
            position: (h * w + sounds, C).
            size: (h, w).
            sounds: tokens of sound in a group.

        Returns:
            (N, C, h, w).
        """
        maps: list[Tensor] = []
        for layer in self.layers:
            pixels, tokens = layer(x, position, sounds)
            maps.append(torch.unflatten(pixels, 1, size).permute(0, 3, 1, 2))
            if tokens is not None:
                x = torch.cat([pixels, tokens], 1)
        low, middle, high = maps
        first = self._gates(low, middle)  # (N, 2)
        second = self._gates(middle, high)[:, 0] if self.own else first.sigmoid().mean(1)
        joined = self.first(first[:, :1, None, None] * middle)
        out: Tensor = self.second(joined + second[:, None, None, None] * high)
        return out

    def _gates(self, lower: Tensor, upper: Tensor) -> Tensor:
        """(N, 2), means over the pixels of numbers from 0 to 1, which a convolution of both maps side by side gives."""
        below, above = self.gate.weight.chunk(2, 1)  # the maps need not be copied beside each other
        logits = F.conv2d(lower, below, self.gate.bias, padding=1) + F.conv2d(upper, above, padding=1)
        return logits.sigmoid().mean((2, 3))
