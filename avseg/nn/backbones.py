"""Image backbones by name: four maps, the finest at stride 4 and first. Nothing is fetched, and each kind of network is
imported on use, so that small models need neither timm nor torchvision."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from avseg.lazy import attach, imported
from avseg.nn.byobnet import NAME as SMALL
from avseg.nn.byobnet import SmallBackbone
from avseg.nn.frozen import freeze_norms

if TYPE_CHECKING:
    from avseg.nn.hrnet import HRNet
    from avseg.nn.swin import Swin
    from avseg.nn.timm_backbones import Backbone as Backbone
    from avseg.nn.timm_backbones import DeepResNet as DeepResNet
    from avseg.nn.video_swin import VideoSwin

    StagedBackbone: TypeAlias = Backbone | SmallBackbone
    ImageBackbone: TypeAlias = StagedBackbone | DeepResNet | HRNet | Swin | VideoSwin

DEEP_RESNETS = {"resnet50_deep": "resnet50", "resnet101_deep": "resnet101"}
"""Names of `DeepResNet`, and timm's of the same depth."""
VIDEO = "video_swin_tiny"

_HOMES = {"Backbone": "avseg.nn.timm_backbones", "DeepResNet": "avseg.nn.timm_backbones"}

__getattr__, __dir__ = attach(__name__, _HOMES)


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


def staged_backbone(name: str, options: Mapping[str, Any] | None = None) -> StagedBackbone:
    """A network of timm cut after its four stages; `test_byobnet` is made without timm.

    Args:
        name: any model of timm that gives features at strides 4, 8, 16, 32.
        options: passed to timm as they are.

    Raises:
        ValueError: a name that timm does not have, or features at other strides.
    """
    if name == SMALL and not options:
        return SmallBackbone()
    backbone: Backbone = imported("avseg.nn.timm_backbones:Backbone")(name, options)
    return backbone


def _made(name: str, options: Mapping[str, Any] | None, output_stride: int) -> ImageBackbone:
    if name in DEEP_RESNETS:
        deep: DeepResNet = imported("avseg.nn.timm_backbones:DeepResNet")(name, options, output_stride)
        return deep
    if output_stride != 32:
        raise ValueError(
            f"backbone {name!r} got output_stride {output_stride}, but only {' and '.join(DEEP_RESNETS)} can be "
            "dilated; wanted 32"
        )
    if name == "hrnet_w48":
        return _hrnet(options or {})
    if name == VIDEO:
        video: VideoSwin = imported("avseg.nn.video_swin:VideoSwin")(options)
        return video
    if name.startswith("swin_"):
        swin: Swin = imported("avseg.nn.timm_backbones:make_swin")(name, options)
        return swin
    return staged_backbone(name, options)


def _hrnet(options: Mapping[str, Any]) -> HRNet:
    unknown = sorted(set(options) - {"width", "modules"})
    if unknown:
        raise ValueError(f"backbone 'hrnet_w48' got the options {', '.join(unknown)}; it has width and modules")
    made: HRNet = imported("avseg.nn.hrnet:HRNet")(**options)
    return made
