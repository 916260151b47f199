"""Mask features from the fused map and two maps of the neck (the pyramid of Botach et al. 2022, cut to two levels)."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

PARTS = 8
"""Groups of the norms."""


class MaskFeatures(nn.Module):
    """Begins at stride 8, goes down to 32 and back up to 16."""

    def __init__(self, width: int, mask_width: int, reduce: Literal["nearest", "mean"] = "mean") -> None:
        """
        Args:
            width: channels C of the maps.
            mask_width: channels M of the mask features.
            reduce: How the map at stride 8 comes to the size of that at stride 32.
        """
        super().__init__()
        widths = [max(width // share, 1) for share in (1, 2, 4, 8)]
        ins = [width, *widths[:-1]]
        self.layers = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in zip(ins, widths, strict=True))
        self.norms = nn.ModuleList(nn.GroupNorm(math.gcd(PARTS, w), w) for w in widths)
        self.adapters = nn.ModuleList(nn.Conv2d(width, w, 1) for w in widths[1:3])
        self.out = nn.Conv2d(widths[-1], mask_width, 3, padding=1)
        self.nearest = reduce == "nearest"
        for convolution in (*self.layers, *self.adapters, self.out):
            assert isinstance(convolution, nn.Conv2d) and convolution.bias is not None
            nn.init.kaiming_uniform_(convolution.weight, a=1)
            nn.init.zeros_(convolution.bias)

    def forward(self, fused: Tensor, middle: Tensor, coarse: Tensor) -> Tensor:
        """
        Args:
            fused: (N, C, h, w) at stride 8.
            middle: (N, C, h / 2, w / 2).
            coarse: (N, C, h / 4, w / 4).

        Returns:
            (N, M, h / 2, w / 2).
        """
        x = F.relu(self.norms[0](self.layers[0](fused)))
        x = self._brought_down(self.layers[1](x), (coarse.shape[-2], coarse.shape[-1]))
        x = self.adapters[0](coarse) + x
        x = F.relu(self.norms[2](self.layers[2](x)))
        x = self.adapters[1](middle) + F.interpolate(x, middle.shape[-2:], mode="nearest")
        x = F.relu(self.norms[3](self.layers[3](x)))
        out: Tensor = self.out(x)
        return out

    def _brought_down(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        """(N, c, h, w) normed, rectified and reduced to `size`; what is thrown away is not normed first."""
        norm = self.norms[1]
        assert isinstance(norm, nn.GroupNorm)
        if not self.nearest:
            return F.adaptive_avg_pool2d(F.relu(norm(x)), size)
        parts = torch.unflatten(x.permute(0, 2, 3, 1), -1, (norm.num_groups, -1))  # (N, h, w, parts, c / parts)
        variance, mean = torch.var_mean(parts, (1, 2, 4), correction=0)  # (N, parts)
        rows, columns = (torch.arange(to, device=x.device) * of // to for to, of in zip(size, x.shape[2:], strict=True))
        kept = torch.unflatten(x[:, :, rows][:, :, :, columns], 1, (norm.num_groups, -1))
        scaled = (kept - mean[:, :, None, None, None]) * torch.rsqrt(variance + norm.eps)[:, :, None, None, None]
        return F.relu(scaled.flatten(1, 2) * norm.weight[:, None, None] + norm.bias[:, None, None])
