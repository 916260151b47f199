"""HRNetV2's head (Wang et al. 2020): all maps at the size of the finest, concatenated, and one convolution."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from avseg.models.cavp.deeplab import DecoderOutput


def side_by_side(maps: Sequence[Tensor]) -> Tensor:
    """Maps, the finest first, at its size: (N, sum of channels, h, w)."""
    size = maps[0].shape[-2:]
    coarser = [F.interpolate(m, size, mode="bilinear", align_corners=True) for m in maps[1:]]
    return torch.cat([maps[0], *coarser], 1)


class HRNetDecoder(nn.Module):
    """As wide as all maps of the backbone together."""

    def __init__(self, channels: Sequence[int], classes: int) -> None:
        """
        Args:
            channels: of the backbone's maps, the finest first.
            classes: of the logits.
        """
        super().__init__()
        self.width = sum(channels)
        self.mix = nn.Conv2d(self.width, self.width, 3, padding=1)
        self.norm = nn.BatchNorm2d(self.width)
        self.dropout = nn.Dropout2d(0.1)
        self.classifier = nn.Conv2d(self.width, classes, 1, bias=False)

    def forward(self, maps: Sequence[Tensor]) -> DecoderOutput:
        """Maps of the backbone, the finest first -> features (N, D, H / 4, W / 4)."""
        return DecoderOutput(side_by_side(maps))

    def classify(self, embeddings: Tensor, keep: int) -> Tensor:
        """(M, D, h, w) -> (keep, classes, h, w); in training all M count in the norm."""
        if not self.training:
            embeddings = embeddings[:keep]
        x = F.relu(self.norm(self.mix(embeddings))[:keep], inplace=True)
        logits: Tensor = self.classifier(self.dropout(x))
        return logits
