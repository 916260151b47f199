"""What makes a CAVP model; AVSS, AVSBench-Object and VPO, mono and stereo, are values here. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from avseg.config import AudioWindow, InputSpec, ModelConfig, Temporal
from avseg.losses.config import ContrastConfig

_NATIVE = InputSpec((512, 512), rule="keep", interpolation="bicubic")
_THREE_SECONDS = AudioWindow(seconds=3.0, anchor="frame", offset=-1.5, missing="silence")
_EVERY_FRAME = Temporal("frame", 1)

Option = bool | int | float | str


@dataclass(frozen=True)
class CAVPConfig(ModelConfig):
    """The defaults are the published VPO setting, mono."""

    family: ClassVar[str] = "cavp"
    input: InputSpec = _NATIVE
    audio: AudioWindow = _THREE_SECONDS
    temporal: Temporal = _EVERY_FRAME
    backbone: str = "resnet50_deep"
    """`resnet50_deep`, `resnet101_deep`, `hrnet_w48`, `pvt_v2_b5`, or any timm model with features at strides
    4, 8, 16, 32."""
    backbone_options: dict[str, Option] = field(default_factory=dict)
    """Passed to timm as they are."""
    output_stride: Literal[8, 16] = 8
    """Of the deep ResNets' last two stages: 8 for VPO, 16 for AVSBench. Weights do not tell it."""
    decoder: Literal["deeplab", "hrnet", "ocr"] = "deeplab"
    aspp_width: int = 256
    """Channels of the pyramid's output (DeepLabV3+): 256 with ResNets, 64 with PVT."""
    detail_width: int = 48
    """Channels of the finest map beside it; both together are the width of the fusion."""
    head_width: int = 256
    """Channels of the two 3x3 convolutions before DeepLabV3+'s classifier."""
    heads: int = 4
    """Of the fusion attention."""
    audio_network: Literal["vgg", "resnet18", "small"] = "resnet18"
    audio_channels: Literal[1, 2] = 1
    """1 averages stereo sound; 2 wants left and right."""
    mel_frames: int = 300
    """Log-mel frames kept of a window: 300 of 3 s, 96 of 1 s."""
    coordinates: bool = False
    """Not published: tell the fusion where a pixel lies (see `avseg.models.cavp.fusion`)."""
    auxiliary_weight: float = 0.0
    """OCR: weight of a cross-entropy on the soft regions; the published form has none."""
    contrast: ContrastConfig | None = field(default_factory=ContrastConfig)
    """The audio-visual contrastive term; None trains by cross-entropy alone."""
