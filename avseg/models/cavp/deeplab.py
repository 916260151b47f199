"""DeepLabV3+ (Chen et al. 2018) as CAVP builds it: pyramid pooling, a detail map beside it, two convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from avseg.nn.dilated import DilatedConv2d

_INNER = 256
_RATES = (6, 12, 18)


class DecoderOutput(NamedTuple):
    """The visual features of a decoder."""

    features: Tensor
    """(N, D, H / 4, W / 4), what the sound is fused with."""
    auxiliary: Tensor | None = None
    """(N, classes, H / 4, W / 4) logits of the soft regions (OCR), without any sound."""


class PyramidPooling(nn.Module):
    """A 1x1 and three dilated 3x3 convolutions side by side, and the mean of the picture added to them."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        point = nn.Conv2d(inputs, _INNER, 1, bias=False)
        wide = [DilatedConv2d(inputs, _INNER, rate, bias=False) for rate in _RATES]
        self.branches = nn.ModuleList([point, *wide])
        self.branch_norm = nn.BatchNorm2d(_INNER * len(self.branches))
        self.reduce = nn.Conv2d(_INNER * len(self.branches), outputs, 1, bias=False)
        self.pool = nn.Conv2d(inputs, _INNER, 1, bias=False)
        self.pool_norm = nn.BatchNorm2d(_INNER)
        self.pool_reduce = nn.Conv2d(_INNER, outputs, 1, bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, h, w) -> (N, outputs, h, w); in training N must be two or more, for the pooled norm's sake."""
        maps = torch.cat([branch(x) for branch in self.branches], 1)
        reduced = self.reduce(F.leaky_relu(self.branch_norm(maps), 0.01))
        pooled = self.pool(x.mean((2, 3), keepdim=True))
        pooled = self.pool_reduce(F.leaky_relu(self.pool_norm(pooled), 0.01))
        return F.leaky_relu(self.norm(reduced + pooled), 0.01)


class DeepLabDecoder(nn.Module):
    """The pyramid of the coarsest map, at the finest map's size, beside a thin view of the finest map."""

    def __init__(
        self,
        channels: Sequence[int],
        classes: int,
        aspp_width: int = 256,
        detail_width: int = 48,
        head_width: int = 256,
    ) -> None:
        """
        Args:
            channels: of the backbone's maps, the finest first.
            classes: of the logits.
            aspp_width: channels of the pyramid's output.
            detail_width: channels of the finest map beside it.
            head_width: channels of the two convolutions before the classifier.
        """
        super().__init__()
        self.width = aspp_width + detail_width
        self.aspp = PyramidPooling(channels[-1], aspp_width)
        self.detail = nn.Conv2d(channels[0], detail_width, 1, bias=False)
        self.detail_norm = nn.BatchNorm2d(detail_width)
        self.first = nn.Conv2d(self.width, head_width, 3, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(head_width)
        self.second = nn.Conv2d(head_width, head_width, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(head_width)
        self.classifier = nn.Conv2d(head_width, classes, 1)

    def forward(self, maps: Sequence[Tensor]) -> DecoderOutput:
        """Maps of the backbone, the finest first -> features (N, D, H / 4, W / 4)."""
        fine = maps[0]
        coarse = F.interpolate(self.aspp(maps[-1]), fine.shape[-2:], mode="bilinear", align_corners=True)
        return DecoderOutput(torch.cat([coarse, F.relu(self.detail_norm(self.detail(fine)), inplace=True)], 1))

    def classify(self, embeddings: Tensor, keep: int) -> Tensor:
        """(M, D, h, w) -> (keep, classes, h, w); in training all M count in the norms."""
        if not self.training:
            embeddings = embeddings[:keep]
        x = F.relu(self.first_norm(self.first(embeddings)), inplace=True)
        x = F.relu(self.second_norm(self.second(x))[:keep], inplace=True)
        logits: Tensor = self.classifier(x)
        return logits
