"""Image backbones: four maps, the finest at stride 4 and first. Through timm where it is exact. Nothing is fetched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, TypeAlias

import timm
from torch import Tensor, nn

from avseg.config import did_you_mean
from avseg.nn.frozen import freeze_norms
from avseg.nn.hrnet import HRNet
from avseg.nn.swin import Swin
from avseg.nn.video_swin import VideoSwin

STRIDES = (4, 8, 16, 32)

TRAINING_DEFAULTS: dict[str, dict[str, Any]] = {
    "pvt_v2_b5": {"drop_path_rate": 0.1},
    "swin_large_patch4_window12_384": {"drop_path_rate": 0.3},
}
"""Published settings that timm leaves out; stochastic depth works in training alone."""

DEEP_RESNETS = {"resnet50_deep": "resnet50", "resnet101_deep": "resnet101"}
"""Names of `DeepResNet`, and timm's of the same depth."""
MULTI_GRID = (2, 4, 8)
"""Dilations of the three blocks of a deep ResNet's last stage, at output strides 8 and 16."""
VIDEO = "video_swin_tiny"


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


ImageBackbone: TypeAlias = Backbone | DeepResNet | HRNet | Swin | VideoSwin


def make_backbone(
    name: str, options: Mapping[str, Any] | None = None, output_stride: int = 32, frozen_norms: bool = False
) -> ImageBackbone:
    """The backbone of a name: a module of (N, 3, H, W) -> four maps, finest first, with `.channels`, their widths.

    Where `.clips` is true, the frames of a clip see each other: such a backbone takes the number of each clip's frames
    as a second argument, and without it every picture is a clip of its own.

    Args:
        name: `resnet50_deep`, `resnet101_deep`, `hrnet_w48` (HRNetV2), `video_swin_tiny` or any model of timm with
            features at strides 4, 8, 16, 32; names that begin with `swin_` give `Swin`.
        options: passed to timm as they are; `hrnet_w48` takes `width` and `modules` of `HRNet`, `video_swin_tiny` those
            of torchvision's `SwinTransformer3d`.
        output_stride: of the coarsest map; 8 and 16 are for the deep ResNets.
        frozen_norms: whether batch normalisations keep their statistics and factors, as `FrozenBatchNorm2d` does.

    Raises:
        ValueError: a name that timm does not have, features at other strides, or an output stride the backbone lacks.
    """
    backbone = _made(name, options, output_stride)
    return freeze_norms(backbone) if frozen_norms else backbone


def _made(name: str, options: Mapping[str, Any] | None, output_stride: int) -> ImageBackbone:
    if name in DEEP_RESNETS:
        return DeepResNet(name, options, output_stride)
    if output_stride != 32:
        raise ValueError(
            f"backbone {name!r} got output_stride {output_stride}, but only {' and '.join(DEEP_RESNETS)} can be "
            "dilated; wanted 32"
        )
    if name == "hrnet_w48":
        return _hrnet(options or {})
    if name == VIDEO:
        return VideoSwin(options)
    return _swin(name, options) if name.startswith("swin_") else Backbone(name, options)


def _swin(name: str, options: Mapping[str, Any] | None) -> Swin:
    _want_known(name)
    swin = Swin(name, _with_defaults(name, options))
    _want_strides(name, swin.strides)
    return swin


def _hrnet(options: Mapping[str, Any]) -> HRNet:
    unknown = sorted(set(options) - {"width", "modules"})
    if unknown:
        raise ValueError(f"backbone 'hrnet_w48' got the options {', '.join(unknown)}; it has width and modules")
    return HRNet(**options)


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
