"""The configuration of CAVP; AVSS, AVSBench-Object and VPO, mono and stereo, are settings of it. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal, get_args, get_type_hints

from avseg.config import AudioWindow, InputSpec, ModelConfig, Temporal
from avseg.losses.config import ContrastConfig
from avseg.models.config import Option, check_foreground_weight, check_least

_NATIVE = InputSpec((512, 512), rule="keep", interpolation="bicubic")
_THREE_SECONDS = AudioWindow(seconds=3.0, anchor="frame", offset=-1.5, missing="silence")
_EVERY_FRAME = Temporal("frame", 1)

Decoder = Literal["deeplab", "hrnet", "ocr"]


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
    """Stride of the deep ResNets' coarsest map: 8 for VPO, 16 for AVSBench. Weights do not record it; other
    backbones have 32.
    """
    decoder: Decoder = "deeplab"
    """The decoder of the pictures."""
    aspp_width: int = 256
    """DeepLabV3+: channels of the pyramid's output, 256 with ResNets, 64 with PVT."""
    detail_width: int = 48
    """DeepLabV3+: channels of the finest map beside it. Both together are the width D of the fusion, which `heads` must
    divide."""
    head_width: int = 256
    """DeepLabV3+: channels of the two 3x3 convolutions before the classifier. OCR: channels of queries and keys; the
    fusion is twice as wide."""
    heads: int = 4
    """Heads of the fusion attention."""
    audio_network: Literal["vgg", "resnet18", "small", "vggish"] = "resnet18"
    """`vgg` is VGGish, which learns here; `vggish` is read as well."""
    audio_channels: Literal[1, 2] = 1
    """1 averages stereo sound; 2 wants left and right."""
    mel_frames: int = 300
    """Log-mel frames kept of a window: 300 of 3 s, 96 of 1 s."""
    contrast: ContrastConfig | None = field(default_factory=ContrastConfig)
    """The audio-visual contrastive term; None trains by cross-entropy alone."""

    # Not published. With these values a model is as published.
    coordinates: bool = False
    """Not published: tell the fusion where a pixel lies (see `avseg.models.cavp.fusion`)."""
    auxiliary_weight: float = 0.0
    """OCR: weight of a cross-entropy on the soft regions; the published form has none."""
    foreground_weight: float = 1.0
    """Semantic tasks: weight of pixels that are not background in the cross-entropy; the published form has 1.
    Small networks trained from scratch leave the all-background solution sooner with more.
    """

    @property
    def heard_channels(self) -> int:
        return self.audio_channels

    def idle(self) -> dict[str, str]:
        widths = {"deeplab": (), "ocr": ("aspp_width", "detail_width")}
        decoder = dict.fromkeys(
            widths.get(self.decoder, ("aspp_width", "detail_width", "head_width")), f"decoder is {self.decoder!r}"
        )
        if self.contrast is None or self.contrast.bank != "none":
            return decoder
        return {**decoder, **dict.fromkeys(("contrast.overwrite", "contrast.slots"), "contrast.bank is 'none'")}

    def __post_init__(self) -> None:
        if self.audio_network == "vggish":
            object.__setattr__(self, "audio_network", "vgg")
        for name in ("output_stride", "decoder", "audio_network", "audio_channels"):
            choices = get_args(get_type_hints(CAVPConfig)[name])
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} {getattr(self, name)!r} is none of {', '.join(map(repr, choices))}")
        check_least(self, "aspp_width", "detail_width", "head_width", "heads")
        self._check_width()
        self._check_sound()
        check_foreground_weight(self)
        if self.auxiliary_weight < 0 or (self.auxiliary_weight and self.decoder != "ocr"):
            raise ValueError(
                f"auxiliary_weight is {self.auxiliary_weight} with decoder={self.decoder!r}; the soft regions are "
                "OCR's, and 0 leaves the loss out"
            )

    def _check_width(self) -> None:
        """HRNet's is the sum of the backbone's and checked where that is known."""
        if self.decoder == "deeplab" and (self.aspp_width + self.detail_width) % self.heads:
            raise ValueError(
                f"aspp_width {self.aspp_width} + detail_width {self.detail_width} is not divided by {self.heads} heads"
            )
        if self.decoder == "ocr" and 2 * self.head_width % self.heads:
            raise ValueError(f"twice head_width {self.head_width} is not divided by {self.heads} heads")

    def _check_sound(self) -> None:
        if self.audio_network == "vgg" and (self.audio_channels, self.mel_frames) != (1, 96):
            raise ValueError(
                f"audio_network='vgg' takes one channel and 96 log-mel frames, got audio_channels="
                f"{self.audio_channels} and mel_frames={self.mel_frames}; use 'resnet18' or 'small'"
            )
        whole = 1 + round(self.audio.seconds * 16000) // 160
        if not 1 <= self.mel_frames <= whole:
            raise ValueError(
                f"mel_frames is {self.mel_frames}, but a window of {self.audio.seconds} s has {whole} log-mel frames"
            )
