"""Object-contextual representations (Yuan et al. 2020): pixels look at one vector per class, of soft regions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from avseg.models.cavp.deeplab import DecoderOutput
from avseg.models.cavp.hrnet import side_by_side


def _normed(inputs: int, outputs: int, size: int = 1) -> nn.Sequential:
    """Convolution, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, padding=size // 2), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


class RegionAttention(nn.Module):
    """Attention from pixels to regions; queries and keys have half the width of a pixel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = width // 2
        self.query = nn.Sequential(_normed(width, inner), _normed(inner, inner))
        self.key = nn.Sequential(_normed(width, inner), _normed(inner, inner))
        self.value = _normed(width, inner)
        self.leave = _normed(inner, width)
        self.join = _normed(2 * width, width)
        self.dropout = nn.Dropout2d(0.05)

    def forward(self, pixels: Tensor, regions: Tensor) -> Tensor:
        """(N, D, h, w) pixels and (N, D, classes, 1) regions -> (N, D, h, w)."""
        h, w = pixels.shape[-2:]
        queries = self.query(pixels).flatten(2).transpose(1, 2)  # (N, P, d)
        keys = self.key(regions).flatten(2)  # (N, d, classes)
        values = self.value(regions).flatten(2).transpose(1, 2)  # (N, classes, d)
        weights = torch.softmax(queries @ keys * keys.shape[1] ** -0.5, -1)  # (N, P, classes)
        context = (weights @ values).transpose(1, 2).unflatten(2, (h, w))  # (N, d, h, w)
        out: Tensor = self.dropout(self.join(torch.cat([self.leave(context), pixels], 1)))
        return out


class OCRDecoder(nn.Module):
    """Regions and context on HRNet's maps, and a 1x1 classifier."""

    def __init__(self, channels: Sequence[int], classes: int, width: int = 512) -> None:
        """
        Args:
            channels: of the backbone's maps, the finest first.
            classes: of the logits.
            width: D, channels of pixels and regions; queries and keys have half as many.
        """
        super().__init__()
        inputs = sum(channels)
        self.width = width
        self.regions = nn.Sequential(_normed(inputs, inputs, 3), nn.Conv2d(inputs, classes, 1))
        self.pixels = _normed(inputs, width, 3)
        self.attention = RegionAttention(width)
        self.classifier = nn.Conv2d(width, classes, 1)

    def forward(self, maps: Sequence[Tensor]) -> DecoderOutput:
        """Maps of the backbone, the finest first -> features (N, D, H / 4, W / 4) and the regions' logits."""
        x = side_by_side(maps)
        logits = self.regions(x)  # (N, classes, h, w)
        pixels = self.pixels(x)
        shares = torch.softmax(logits.flatten(2), -1)  # (N, classes, P), over space
        regions = pixels.flatten(2) @ shares.transpose(1, 2)  # (N, D, classes)
        return DecoderOutput(self.attention(pixels, regions.unsqueeze(-1)), logits)

    def classify(self, embeddings: Tensor, keep: int) -> Tensor:
        """(M, D, h, w) -> (keep, classes, h, w)."""
        logits: Tensor = self.classifier(embeddings[:keep])
        return logits
