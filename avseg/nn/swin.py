"""Swin transformers (Liu et al. 2021) as dense prediction runs them: any picture size, windows never shrunk.

Weights and layout are timm's. An own block, because timm shifts a map and then pads it to whole windows, while the
published form pads first and shifts what is padded; the two agree only where every map is a multiple of the window.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import timm
import torch
from torch import Tensor, nn
from torch.nn import functional as F

APART = -100.0
"""Added to the affinity of two pixels that only the shift brought into one window; published."""


class Swin(nn.Module):
    """Four maps at strides 4, 8, 16, 32, each normalised; 195,201,204 parameters as `swin_large_patch4_window12_384`.

    Keys are timm's (`patch_embed`, `layers.{i}`), and `norms.{i}` for the norms of the maps.
    """

    clips: ClassVar[bool] = False

    def __init__(self, name: str, options: Mapping[str, Any] | None = None) -> None:
        """
        Args:
            name: a model of timm whose name begins with `swin_`.
            options: passed to timm as they are.
        """
        super().__init__()
        whole: dict[str, Any] = {"always_partition": True, "strict_img_size": False}
        network = timm.create_model(name, pretrained=False, num_classes=0, **{**whole, **(options or {})})
        self.patch = int(network.patch_embed.patch_size[0])
        self.strides = tuple(int(info["reduction"]) for info in network.feature_info)
        self.channels = tuple(int(info["num_chs"]) for info in network.feature_info)
        self.patch_embed = network.patch_embed
        self.layers = network.layers
        self.norms = nn.ModuleList(nn.LayerNorm(width) for width in self.channels)
        for stage in self.layers:
            stage.blocks = nn.Sequential(*(_Block(block) for block in stage.blocks))

    def forward(self, images: Tensor) -> list[Tensor]:
        """(N, 3, H, W) normalised pictures -> maps (N, C_i, H_i, W_i), sides halved and rounded up from H / 4 on."""
        height, width = images.shape[2:]
        x = self.patch_embed(F.pad(images, (0, -width % self.patch, 0, -height % self.patch)))  # (N, h, w, C)
        maps = []
        for stage, norm in zip(self.layers, self.norms, strict=True):
            x = stage(x)
            maps.append(norm(x).permute(0, 3, 1, 2))
        return maps


class _Block(nn.Module):
    """timm's block with its parts and their names, but for the order of padding and shifting."""

    def __init__(self, block: Any) -> None:
        super().__init__()
        self.window: tuple[int, int] = tuple(block.window_size)
        self.shift: tuple[int, int] = tuple(block.shift_size)
        self.norm1 = block.norm1
        self.attn = block.attn
        self.drop_path1 = block.drop_path1
        self.norm2 = block.norm2
        self.mlp = block.mlp
        self.drop_path2 = block.drop_path2

    def forward(self, x: Tensor) -> Tensor:
        """(N, H, W, C) -> (N, H, W, C)."""
        x = x + self.drop_path1(self._attended(self.norm1(x)))
        out: Tensor = x + self.drop_path2(self.mlp(self.norm2(x)))
        return out

    def _attended(self, x: Tensor) -> Tensor:
        height, width = x.shape[1:3]
        (tall, wide), (down, right) = self.window, self.shift
        # Zeros, which the projections turn into their biases: pixels that others do look at, as published.
        x = F.pad(x, (0, 0, 0, -width % wide, 0, -height % tall))
        rows, columns = x.shape[1] // tall, x.shape[2] // wide
        if down or right:
            x = x.roll((-down, -right), (1, 2))
        x = x.reshape(x.shape[0], rows, tall, columns, wide, -1).transpose(2, 3)
        x = self._within_windows(x.flatten(3, 4).flatten(1, 2), rows, columns)  # (N, windows, tall * wide, C)
        x = x.reshape(x.shape[0], rows, columns, tall, wide, -1).transpose(2, 3)
        x = x.flatten(3, 4).flatten(1, 2)  # (N, rows * tall, columns * wide, C)
        if down or right:
            x = x.roll((down, right), (1, 2))
        return x[:, :height, :width]

    def _within_windows(self, x: Tensor, rows: int, columns: int) -> Tensor:
        """(N, windows, P, C) -> the same; pixels of a window attend to each other."""
        attention, heads = self.attn, self.attn.num_heads
        qkv = attention.qkv(x).reshape(*x.shape[:3], 3, heads, -1).permute(3, 0, 1, 4, 2, 5)
        # (3, N, windows, heads, P, d)
        dropped = attention.attn_drop.p if self.training else 0.0
        bias = self._bias().to(qkv.dtype)  # (heads, P, P)
        if any(self.shift):
            # Windows and heads side by side, so that one mask serves all pictures without being repeated for each.
            apart = _apart((rows, columns), self.window, self.shift, x.device)
            mask = torch.where(apart[:, None], bias + APART, bias)  # (windows, heads, P, P)
            q, k, v = qkv.flatten(2, 3)
            out = F.scaled_dot_product_attention(q, k, v, mask.flatten(0, 1)[None], dropped)
        else:
            q, k, v = qkv.flatten(1, 2)
            out = F.scaled_dot_product_attention(q, k, v, bias[None], dropped)
        out = out.reshape(*qkv.shape[1:]).transpose(2, 3).flatten(3)  # (N, windows, P, C)
        projected: Tensor = attention.proj_drop(attention.proj(out))
        return projected

    def _bias(self) -> Tensor:
        """(heads, P, P), by the relative place of two pixels."""
        table, index = self.attn.relative_position_bias_table, self.attn.relative_position_index
        bias: Tensor = table[index].permute(2, 0, 1)
        return bias


def _apart(grid: tuple[int, int], window: tuple[int, int], shift: tuple[int, int], device: torch.device) -> Tensor:
    """(windows, P, P) bool: pixels of one window of which one has come round from the other side of the map."""

    def came_round(windows: int, side: int, step: int) -> Tensor:
        return (torch.arange(windows * side, device=device) >= windows * side - step).reshape(windows, side)

    (rows, columns), (tall, wide) = grid, window
    down = came_round(rows, tall, shift[0])[:, None, :, None].expand(-1, columns, -1, wide).flatten(2).flatten(0, 1)
    right = came_round(columns, wide, shift[1])[None, :, None, :].expand(rows, -1, tall, -1).flatten(2).flatten(0, 1)
    return (down[:, :, None] != down[:, None]) | (right[:, :, None] != right[:, None])
