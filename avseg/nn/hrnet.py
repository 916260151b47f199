"""HRNetV2 (Wang et al. 2020, "Deep High-Resolution Representation Learning"): four resolutions side by side.

An own file, because timm up-samples by fixed factors and by the nearest pixel, while the segmentation form samples
bilinearly, corners aligned, to the size of the map that it adds to; so pictures may have any size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from timm.models.resnet import BasicBlock, Bottleneck
from torch import Tensor, nn
from torch.nn import functional as F

MODULES = (1, 4, 3)
"""Published number of modules in stages 2, 3 and 4."""
BLOCKS = 4
"""Residual blocks of every branch of a module, and of the first stage."""


class HRNet(nn.Module):
    """Four maps at strides 4, 8, 16, 32 with widths w, 2w, 4w, 8w; 65,325,120 parameters for w = 48.

    Keys are those of the published files. Every batch norm has torch's eps and momentum.
    """

    clips: ClassVar[bool] = False

    def __init__(self, width: int = 48, modules: Sequence[int] = MODULES) -> None:
        """
        Args:
            width: channels of the finest branch.
            modules: how often the branches of stages 2, 3 and 4 exchange what they have.
        """
        super().__init__()
        widths = [width * 2**i for i in range(4)]
        self.channels = tuple(widths)
        self.conv1 = nn.Conv2d(3, 64, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.conv2 = nn.Conv2d(64, 64, 3, stride=2, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(64)
        widened = nn.Sequential(nn.Conv2d(64, 256, 1, bias=False), nn.BatchNorm2d(256))
        first = Bottleneck(64, 64, downsample=widened)
        self.layer1 = nn.Sequential(first, *(Bottleneck(256, 64) for _ in range(BLOCKS - 1)))
        self.transition1 = nn.ModuleList([_convolution(256, widths[0]), _step_down(256, widths[1])])
        self.stage2 = nn.Sequential(*(_Exchange(widths[:2]) for _ in range(modules[0])))
        self.transition2 = nn.ModuleList([nn.Identity(), nn.Identity(), _step_down(*widths[1:3])])
        self.stage3 = nn.Sequential(*(_Exchange(widths[:3]) for _ in range(modules[1])))
        self.transition3 = nn.ModuleList([*(nn.Identity() for _ in range(3)), _step_down(*widths[2:4])])
        self.stage4 = nn.Sequential(*(_Exchange(widths) for _ in range(modules[2])))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> list[Tensor]:
        """(N, 3, H, W) normalised pictures -> four maps, finest first, each half as large as the one before it."""
        x = F.relu(self.bn1(self.conv1(images)), inplace=True)
        x = self.layer1(F.relu(self.bn2(self.conv2(x)), inplace=True))  # (N, 256, H / 4, W / 4)
        two: list[Tensor] = self.stage2([grow(x) for grow in self.transition1])
        three: list[Tensor] = self.stage3(_grown(two, self.transition2))
        four: list[Tensor] = self.stage4(_grown(three, self.transition3))
        return four


class _Exchange(nn.Module):
    """Residual blocks on each branch; then every branch becomes the sum of all, brought to its size and width."""

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        count = range(len(widths))
        self.branches = nn.ModuleList(
            nn.Sequential(*(BasicBlock(width, width) for _ in range(BLOCKS))) for width in widths
        )
        self.fuse_layers = nn.ModuleList(
            nn.ModuleList(_path(widths, source, target) for source in count) for target in count
        )

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        maps = [branch(x) for branch, x in zip(self.branches, maps, strict=True)]
        return [self._fused(maps, target) for target in range(len(maps))]

    def _fused(self, maps: list[Tensor], target: int) -> Tensor:
        size = maps[target].shape[-2:]
        paths = self.fuse_layers[target]
        assert isinstance(paths, nn.ModuleList)
        total: Tensor | None = None
        for source, (path, x) in enumerate(zip(paths, maps, strict=True)):
            out = path(x)
            if source > target:
                out = F.interpolate(out, size, mode="bilinear", align_corners=True)
            total = out if total is None else total + out
        assert total is not None
        return torch.relu(total)


def _path(widths: Sequence[int], source: int, target: int) -> nn.Module:
    """From one branch to another: itself; 1x1 before it is enlarged; or a 3x3 of stride 2 for every halving."""
    if source == target:
        return nn.Identity()
    if source > target:
        return nn.Sequential(nn.Conv2d(widths[source], widths[target], 1, bias=False), nn.BatchNorm2d(widths[target]))
    steps: list[nn.Module] = [
        _convolution(widths[source], widths[source], stride=2) for _ in range(target - source - 1)
    ]
    return nn.Sequential(*steps, _convolution(widths[source], widths[target], stride=2)[:2])


def _grown(maps: list[Tensor], transition: nn.ModuleList) -> list[Tensor]:
    """The branches as they are, and one more, made of the coarsest."""
    return [grow(x) for grow, x in zip(transition, [*maps, maps[-1]], strict=True)]


def _step_down(entering: int, leaving: int) -> nn.Sequential:
    return nn.Sequential(_convolution(entering, leaving, stride=2))


def _convolution(entering: int, leaving: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(entering, leaving, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(leaving),
        nn.ReLU(inplace=True),
    )
