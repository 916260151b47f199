"""The segmentation network: backbone, dilated neck, audio-visual attention, feature-pyramid decoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from avseg.nn.attention import AudioVisualAttention
from avseg.nn.backbones import staged_backbone
from avseg.nn.dilated import DilatedSum

NetworkOutput = tuple[Tensor, list[Tensor], list[Tensor | None]]


class ResidualUnit(nn.Module):
    """Two 3x3 convolutions around a rectified input.

    The published code rectifies in place, so that the skip adds the rectified input; weights were trained that way.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w), not negative -> (N, C, h, w)."""
        out: Tensor = self.second(F.relu(self.first(x), inplace=True))
        return out + x


class Fusion(nn.Module):
    """Add a stage's map to what comes from the coarser stages, refine, double the size."""

    def __init__(self, width: int, coarsest: bool) -> None:
        super().__init__()
        self.enter = None if coarsest else ResidualUnit(width)
        self.refine = ResidualUnit(width)

    def forward(self, stage: Tensor, coarser: Tensor | None) -> Tensor:
        """(N, C, h, w) rectified stage map, and (N, C, h, w) of the coarser ones -> (N, C, 2h, 2w)."""
        x = stage
        if self.enter is not None and coarser is not None:
            x = F.relu(coarser + self.enter(stage), inplace=True)
        return F.interpolate(self.refine(x), scale_factor=2.0, mode="bilinear", align_corners=True)


class LogitHead(nn.Module):
    """From half the picture's resolution to logits at the whole."""

    def __init__(self, width: int, widths: tuple[int, int], channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, widths[0], 3, padding=1)
        self.second = nn.Conv2d(widths[0], widths[1], 3, padding=1)
        self.classify = nn.Conv2d(widths[1], channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, h, w) -> (N, channels, 2h, 2w)."""
        x = F.interpolate(self.first(x), scale_factor=2.0, mode="bilinear", align_corners=False)
        logits: Tensor = self.classify(F.relu(self.second(x), inplace=True))
        return logits


class TPAVINetwork(nn.Module):
    """Pictures and audio embeddings in; logits, stage maps and aligned audio out."""

    def __init__(
        self,
        channels: int,
        backbone: str = "resnet50",
        backbone_options: Mapping[str, Any] | None = None,
        *,
        width: int = 256,
        dilations: Sequence[int] = (3, 6, 12, 18),
        head_widths: tuple[int, int] = (128, 32),
        attention: Mapping[int, AudioVisualAttention] | None = None,
        ways: Sequence[str] = ("heard",),
        group: int = 5,
    ) -> None:
        """
        Args:
            channels: of the logits.
            backbone: name of a timm model.
            backbone_options: passed to timm.
            width: channels of neck and decoder.
            dilations: of the neck.
            head_widths: channels of the head's two 3x3 convolutions.
            attention: the block of each stage that has one, 0 the finest.
            ways: `seen` and/or `heard`; with both, a stage's map is their mean.
            group: frames that see each other.
        """
        super().__init__()
        self.backbone = staged_backbone(backbone, backbone_options)
        self.neck = nn.ModuleList(DilatedSum(inputs, width, dilations) for inputs in self.backbone.channels)
        self.attention = nn.ModuleDict({str(stage): block for stage, block in sorted((attention or {}).items())})
        self.decoder = nn.ModuleList(Fusion(width, coarsest=stage == 3) for stage in range(4))
        self.head = LogitHead(width, head_widths, channels)
        self.ways = tuple(ways)
        self.group = group
        self.to(memory_format=torch.channels_last)

    def forward(self, images: Tensor, audio: Tensor, valid: Tensor | None = None) -> NetworkOutput:
        """
        Args:
            images: (N, 3, H, W) normalised, N = G * group, H and W multiples of 32.
            audio: (N, D) embeddings.
            valid: (N,) 1 where a frame exists; the maps of other frames are multiplied by 0 at every step (AVSS).

        Returns:
            Logits (N, C, H, W); the four rectified maps (N, width, H / s, W / s), s = 4, 8, 16, 32; and by stage the
            aligned audio (G, group, width) or None.
        """
        keep = None if valid is None else valid.to(images.dtype)[:, None, None, None]
        features = self.backbone(images.contiguous(memory_format=torch.channels_last))
        maps, heard = [], []
        for stage, feature in enumerate(features):
            attended, aligned = self._attend(stage, _masked(self.neck[stage](feature), keep), audio, keep)
            maps.append(F.relu(attended))
            heard.append(aligned)
        out: Tensor | None = None
        for stage in (3, 2, 1, 0):
            out = _masked(self.decoder[stage](maps[stage], out), keep)
        return _masked(self.head(out), keep), maps, heard

    def _attend(self, stage: int, x: Tensor, audio: Tensor, keep: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """A stage's map after its block, the mean over the ways it attends."""
        if str(stage) not in self.attention:
            return x, None
        block = self.attention[str(stage)]
        results, aligned = [], None
        for way in self.ways:
            result, heard = block(x, audio if way == "heard" else None, self.group)
            results.append(_masked(result, keep))
            aligned = heard if heard is not None else aligned
        return (results[0] if len(results) == 1 else torch.stack(results).mean(0)), aligned


def _masked(x: Tensor, keep: Tensor | None) -> Tensor:
    return x if keep is None else x * keep
