"""The pixel decoder of Mask2Former (Cheng et al. 2022): three coarse maps see each other, then one at stride 4."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from avseg.nn.deform import DeformableAttention, Size, centres
from avseg.nn.position import sine_positions

GROUPS = 32
"""Groups of group normalisation."""


@dataclass(frozen=True)
class PixelMaps:
    """The output of a pixel decoder for N pictures; float32, all of the decoder's width D."""

    coarse: list[Tensor]
    """Maps (N, D, H, W) at strides 32, 16, 8, in this order."""
    fine: Tensor
    """(N, D, H / 4, W / 4)."""
    masks: Tensor
    """(N, D, H / 4, W / 4); the products of its pixels with a query's embedding are the query's mask."""


class PixelDecoder(nn.Module):
    """6,035,904 parameters on ResNet-50, 5,790,144 on Swin-L; float32 also where autocast is on."""

    def __init__(
        self,
        channels: Sequence[int],
        width: int = 256,
        heads: int = 8,
        layers: int = 6,
        feedforward: int = 1024,
        points: int = 4,
    ) -> None:
        """
        Args:
            channels: of the four maps, finest first.
            width: channels D of all maps that come out; a multiple of 32.
            heads: of deformable attention.
            layers: of deformable attention.
            feedforward: inner width of these layers.
            points: samples that a head takes of each map.

        Raises:
            ValueError: a width that the groups of the normalisation do not divide.
        """
        super().__init__()
        if width % GROUPS:
            raise ValueError(f"a pixel decoder of width {width}; wanted a multiple of {GROUPS}, its norms' groups")
        fine, *others = channels
        self.input_proj = nn.ModuleList(
            nn.Sequential(nn.Conv2d(count, width, 1), nn.GroupNorm(GROUPS, width)) for count in reversed(others)
        )
        self.level_embed = nn.Parameter(torch.empty(len(others), width))
        self.layers = nn.ModuleList(_Layer(width, heads, len(others), feedforward, points) for _ in range(layers))
        self.lateral = _NormedConvolution(fine, width, 1)
        self.smooth = _NormedConvolution(width, width, 3)
        self.mask_features = nn.Conv2d(width, width, 1)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """As published; layers of attention reset themselves."""
        nn.init.normal_(self.level_embed)
        for projection in self.input_proj:
            assert isinstance(projection, nn.Sequential) and isinstance(projection[0], nn.Conv2d)
            nn.init.xavier_uniform_(projection[0].weight)
            nn.init.zeros_(projection[0].bias)  # type: ignore[arg-type]
        for convolution in (self.lateral.conv, self.smooth.conv, self.mask_features):
            nn.init.kaiming_uniform_(convolution.weight, a=1)
            if convolution.bias is not None:
                nn.init.zeros_(convolution.bias)

    def forward(self, maps: Sequence[Tensor]) -> PixelMaps:
        """Four maps (N, C_i, H / stride_i, W / stride_i), finest first -> what `PixelMaps` says."""
        with torch.autocast(maps[0].device.type, enabled=False):
            fine, *others = (x.to(self.level_embed.dtype) for x in maps)
            coarse = self._encoded([project(x) for project, x in zip(self.input_proj, reversed(others), strict=True)])
            enlarged = F.interpolate(coarse[-1], fine.shape[-2:], mode="bilinear", align_corners=False)
            fine = F.relu(self.smooth(self.lateral(fine) + enlarged))
            return PixelMaps(coarse, fine, self.mask_features(fine))

    def _encoded(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """The maps after attention between all their pixels as tokens."""
        sizes: list[Size] = [(x.shape[2], x.shape[3]) for x in maps]
        tokens = torch.cat([x.flatten(2).transpose(1, 2) for x in maps], 1)  # (N, M, D)
        places = centres(sizes, tokens.device, tokens.dtype)
        position = torch.cat(
            [
                sine_positions(*size, tokens.shape[2], tokens.device, tokens.dtype) + level
                for size, level in zip(sizes, self.level_embed, strict=True)
            ]
        )  # (M, D)
        for layer in self.layers:
            tokens = layer(tokens, position, places, sizes)
        parts = torch.split(tokens.transpose(1, 2), [h * w for h, w in sizes], 2)
        return [torch.unflatten(part, 2, size) for part, size in zip(parts, sizes, strict=True)]


class _Layer(nn.Module):
    """Deformable attention among all tokens, then a linear map and back, each added and normalised."""

    def __init__(self, width: int, heads: int, levels: int, feedforward: int, points: int) -> None:
        super().__init__()
        self.self_attn = DeformableAttention(width, heads, levels, points)
        self.norm1 = nn.LayerNorm(width)
        self.linear1 = nn.Linear(width, feedforward)
        self.linear2 = nn.Linear(feedforward, width)
        self.norm2 = nn.LayerNorm(width)
        for linear in (self.linear1, self.linear2):
            nn.init.xavier_uniform_(linear.weight)

    def forward(self, tokens: Tensor, position: Tensor, places: Tensor, sizes: Sequence[Size]) -> Tensor:
        """(N, M, D) -> (N, M, D)."""
        tokens = self.norm1(tokens + self.self_attn(tokens + position, places, tokens, sizes))
        out: Tensor = self.norm2(tokens + self.linear2(F.relu(self.linear1(tokens))))
        return out


class _NormedConvolution(nn.Module):
    """A convolution without bias, then group normalisation."""

    def __init__(self, entering: int, leaving: int, side: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(entering, leaving, side, padding=side // 2, bias=False)
        self.norm = nn.GroupNorm(GROUPS, leaving)

    def forward(self, x: Tensor) -> Tensor:
        """(N, entering, H, W) -> (N, leaving, H, W)."""
        out: Tensor = self.norm(self.conv(x))
        return out
