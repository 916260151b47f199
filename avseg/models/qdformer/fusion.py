"""Early fusion: pictures multiplied by what they find among the clip's tokens."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from avseg.nn.position import sine_sequence
from avseg.nn.transformer import Attention


class EarlyFusion(nn.Module):
    """One attention from the pixels of all scales to the tokens; its output multiplies the pixel.

    No residual and no norm, as in R2VOS, whose tokens are words; 263,168 parameters at width 256.
    """

    def __init__(self, width: int, heads: int, tokens: int, position: str) -> None:
        """
        Args:
            width: channels C of maps and tokens.
            heads: parts of the channels that attend on their own.
            tokens: N.
            position: `none`, `sine` or `learned`: what is added to the tokens as keys.
        """
        super().__init__()
        self.attention = Attention(width, heads)
        self.sine = position == "sine"
        self.position = nn.Parameter(torch.randn(tokens, width)) if position == "learned" else None

    def forward(self, maps: Sequence[Tensor], tokens: Tensor) -> list[Tensor]:
        """
        Args:
            maps: (M, C, h_i, w_i) of M frames.
            tokens: (M, N, C), those of each frame's clip.

        Returns:
            As many maps of the same shapes.
        """
        keys = self._placed(tokens)
        return [self._fused(map_, keys, tokens) for map_ in maps]

    def _placed(self, tokens: Tensor) -> Tensor:
        if self.position is not None:
            return tokens + self.position
        if self.sine:
            number = tokens.shape[1]
            shares = torch.arange(1, number + 1, device=tokens.device, dtype=torch.float32) / number
            return tokens + sine_sequence(shares, tokens.shape[2]).to(tokens.dtype)
        return tokens

    def _fused(self, map_: Tensor, keys: Tensor, tokens: Tensor) -> Tensor:
        pixels = map_.flatten(2).transpose(1, 2)  # (M, h * w, C)
        factors = self.attention(pixels, keys, tokens)
        return torch.unflatten((pixels * factors).transpose(1, 2), 2, map_.shape[2:])
