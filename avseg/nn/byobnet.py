"""The smallest backbone, timm's `test_byobnet`, without timm: importing that takes longer than a short film.

The names of its weights, its numbers and how it begins are timm's (Wightman, PyTorch Image Models). It has four blocks,
each of another kind of residual block with squeeze and excitation (Hu et al. 2018).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

NAME = "test_byobnet"
STEM = 24
"""Channels of the map at stride 2."""


class Step(NamedTuple):
    """A convolution with its norm; or with `kernel` 0 a gate of each channel."""

    name: str
    width: int
    """Channels of what comes out; of a gate, the inner ones."""
    kernel: int
    stride: int = 1


STAGES: tuple[tuple[Step, ...], ...] = (
    (Step("conv1_kxk", 16, 3, 2), Step("attn", 8, 0), Step("conv2_1x1", 32, 1)),
    (Step("conv1_1x1", 32, 1), Step("conv2_kxk", 64, 3, 2), Step("attn_last", 16, 0)),
    (Step("conv1_kxk", 32, 3, 2), Step("conv2_kxk", 128, 3), Step("attn_last", 32, 0)),
    (
        Step("conv1_1x1", 64, 1),
        Step("conv2_kxk", 64, 3, 2),
        Step("attn", 16, 0),
        Step("conv3_1x1", 256, 1),
    ),
)
"""By stage what its block does; each halves the map."""


class Normed(nn.Module):
    """A convolution without bias, and its batch normalisation."""

    def __init__(self, inputs: int, width: int, kernel: int, stride: int = 1, rectified: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, width, kernel, stride, padding=kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(width)
        self.rectified = rectified

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, width, h / stride, w / stride)."""
        x = self.bn(self.conv(x))
        return F.relu(x, inplace=True) if self.rectified else x


class ChannelGate(nn.Module):
    """Squeeze and excitation: a factor of each channel, from the means of all."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(width, inner, 1)
        self.fc2 = nn.Conv2d(inner, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) -> the same."""
        means = x.mean((2, 3), keepdim=True)
        factors: Tensor = self.fc2(F.relu(self.fc1(means), inplace=True)).sigmoid()
        return x * factors


class Halved(nn.Module):
    """The shortcut of a block: the map at half its size, with as many channels."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.conv = Normed(inputs, width, 1, rectified=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, width, h / 2, w / 2), rounded up."""
        out: Tensor = self.conv(F.avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False))
        return out


class ResidualBlock(nn.Module):
    """The steps of a stage one after the other, around a shortcut."""

    def __init__(self, inputs: int, steps: Sequence[Step]) -> None:
        super().__init__()
        convolutions = [step for step in steps if step.kernel]
        self.names = tuple(step.name for step in steps)
        self.width = convolutions[-1].width
        self.shortcut = Halved(inputs, self.width)
        for step in steps:
            if not step.kernel:
                self.add_module(step.name, ChannelGate(inputs, step.width))
                continue
            last = step is convolutions[-1]
            convolution = Normed(inputs, step.width, step.kernel, step.stride, rectified=not last)
            if last:
                nn.init.zeros_(convolution.bn.weight)  # a block begins as its shortcut
            self.add_module(step.name, convolution)
            inputs = step.width

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, width, h / 2, w / 2), rounded up."""
        out = x
        for name in self.names:
            out = getattr(self, name)(out)
        return F.relu(out + self.shortcut(x), inplace=True)


class SmallStages(nn.Module):
    """The stem and the four stages, under timm's names."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = Normed(3, STEM, 3, 2)
        width, widths = STEM, []
        for number, steps in enumerate(STAGES):
            block = ResidualBlock(width, steps)
            width = block.width
            widths.append(width)
            self.add_module(f"stages_{number}", nn.Sequential(block))
        self.widths = tuple(widths)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> list[Tensor]:
        """(N, 3, H, W) -> four maps."""
        x, maps = self.stem(images), []
        for number in range(len(STAGES)):
            x = getattr(self, f"stages_{number}")(x)
            maps.append(x)
        return maps


class SmallBackbone(nn.Module):
    """`test_byobnet` with the attributes of all backbones."""

    clips: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__()
        self.stages = SmallStages()

    @property
    def channels(self) -> tuple[int, ...]:
        """Widths of the four maps."""
        return self.stages.widths

    def forward(self, images: Tensor) -> list[Tensor]:
        """(N, 3, H, W) normalised pictures -> four maps (N, C_i, H / stride_i, W / stride_i)."""
        maps: list[Tensor] = self.stages(images)
        return maps
