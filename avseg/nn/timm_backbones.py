"""Image backbones through timm: four maps, the finest at stride 4 and first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import timm
from torch import Tensor, nn

from avseg.config import did_you_mean
from avseg.nn.backbones import DEEP_RESNETS, VIDEO
from avseg.nn.swin import Swin

STRIDES = (4, 8, 16, 32)

TRAINING_DEFAULTS: dict[str, dict[str, Any]] = {
    "pvt_v2_b5": {"drop_path_rate": 0.1},
    "swin_large_patch4_window12_384": {"drop_path_rate": 0.3},
}
"""Published settings that timm leaves out; stochastic depth works in training alone."""

MULTI_GRID = (2, 4, 8)
"""Dilations of the three blocks of a deep ResNet's last stage, at output strides 8 and 16."""


class Backbone(nn.Module):
    """A timm network cut after its four stages; `resnet50` has the layout and names of torchvision's."""

    clips: ClassVar[bool] = False

    def __init__(self, name: str, options: Mapping[str, Any] | None = None) -> None:
        """
        Args:
            name: any model of timm that gives features at strides 4, 8, 16, 32.
            options: passed to timm as they are.

        Raises:
            ValueError: a name that timm does not have, or features at other strides.
        """
        super().__init__()
        _want_known(name)
        self.stages = _four_stages(name, _with_defaults(name, options))
        _want_strides(name, tuple(self.stages.feature_info.reduction()))

    @property
    def channels(self) -> tuple[int, ...]:
        """Widths of the four maps."""
        return tuple(self.stages.feature_info.channels())

    def forward(self, images: Tensor) -> list[Tensor]:
        """(N, 3, H, W) normalised pictures -> four maps (N, C_i, H / stride_i, W / stride_i)."""
        maps = self.stages(images)
        # Some of timm's networks have their channels last.
        last = getattr(self.stages, "output_fmt", "NCHW") == "NHWC"
        return [x.permute(0, 3, 1, 2) for x in maps] if last else list(maps)


class DeepResNet(nn.Module):
    """ResNet-50 or -101 with a stem of three 3x3 convolutions (64, 64, 128) and dilated last stages.

    At output stride 16 the last stage keeps its size, at 8 the last two do, and the third stage's 3x3 convolutions
    but the first have dilation 2. In both the last stage's have dilations 2, 4, 8. None of this shows in the weights,
    whose keys below `stages.` are those of the published files. At 32 nothing is dilated.
    """

    clips: ClassVar[bool] = False

    def __init__(self, name: str, options: Mapping[str, Any] | None = None, output_stride: int = 16) -> None:
        """
        Args:
            name: a key of `DEEP_RESNETS`.
            options: passed to timm as they are.
            output_stride: of the coarsest map: 8, 16 or 32.

        Raises:
            ValueError: another output stride.
        """
        super().__init__()
        if output_stride not in (8, 16, 32):
            raise ValueError(f"backbone {name!r} got output_stride {output_stride}, wanted 8, 16 or 32")
        deep = {"stem_type": "deep", "stem_width": 64, "output_stride": output_stride}
        self.stages = _four_stages(DEEP_RESNETS[name], {**deep, **(options or {})})
        if output_stride < 32:
            # timm dilates the last stage evenly.
            for block, dilation in zip(self.stages.layer4, MULTI_GRID, strict=True):
                block.conv2.dilation = block.conv2.padding = (dilation, dilation)

    @property
    def channels(self) -> tuple[int, ...]:
        """Widths of the four maps."""
        return tuple(self.stages.feature_info.channels())

    def forward(self, images: Tensor) -> list[Tensor]:
        """(N, 3, H, W) normalised pictures -> four maps at strides 4, 8, then 16 or 8, then the output stride."""
        return list(self.stages(images))


def make_swin(name: str, options: Mapping[str, Any] | None) -> Swin:
    """A Swin of timm's name.

    Raises:
        ValueError: a name that timm does not have, or maps at other strides.
    """
    _want_known(name)
    swin = Swin(name, _with_defaults(name, options))
    _want_strides(name, swin.strides)
    return swin


def _four_stages(name: str, options: Mapping[str, Any]) -> Any:
    return timm.create_model(name, pretrained=False, features_only=True, out_indices=(-4, -3, -2, -1), **options)


def _with_defaults(name: str, options: Mapping[str, Any] | None) -> dict[str, Any]:
    return {**TRAINING_DEFAULTS.get(name, {}), **(options or {})}


def _want_known(name: str) -> None:
    if not timm.is_model(name):
        raise ValueError(f"timm has no model {name!r}; {_near(name)}")


def _want_strides(name: str, strides: tuple[int, ...]) -> None:
    if strides != STRIDES:
        raise ValueError(f"backbone {name!r} gives maps at strides {strides}, wanted {STRIDES}")


def _near(name: str) -> str:
    near = did_you_mean(name, [*timm.list_models(), *DEEP_RESNETS, VIDEO])
    return near.split("?")[0] + "?" if "?" in near else "timm.list_models() lists them"
