"""The configuration of TPAVI; S4, MS3 and AVSS are settings of it. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from avseg.config import InputSpec, ModelConfig, Temporal
from avseg.losses.config import AVMConfig
from avseg.models.config import FIVE_SECONDS, PICTURES, Option, check_foreground_weight, check_hearing, check_least


@dataclass(frozen=True)
class TPAVIConfig(ModelConfig):
    """The defaults are the published S4 setting with the larger backbone."""

    family: ClassVar[str] = "tpavi"
    input: InputSpec = PICTURES
    temporal: Temporal = FIVE_SECONDS
    backbone: str = "pvt_v2_b5"
    """`resnet50`, `pvt_v2_b5`, or any timm model with features at strides 4, 8, 16, 32."""
    backbone_options: dict[str, Option] = field(default_factory=dict)
    """Passed to timm as they are."""
    width: int = 256
    """Channels of the neck, the attention and the decoder."""
    inner: int = 128
    """Channels of queries, keys and values."""
    dilations: tuple[int, ...] = (3, 6, 12, 18)
    """Dilations of the neck's parallel 3x3 convolutions."""
    head_widths: tuple[int, int] = (128, 32)
    """Channels of the two convolutions before the classifier."""
    stages: tuple[int, ...] = (0, 1, 2, 3)
    """Stages with attention, 0 the finest; none: a picture-only network."""
    audio_attention: bool = True
    """Whether pictures attend to the sound."""
    self_attention: bool = False
    """With both, a stage's map is the mean of the two results, which share their weights."""
    align_bias: bool = True
    """Whether the audio alignment has a bias: S4 and MS3 do, AVSS does not."""
    group: int = 5
    """Frames that see each other; AVSS clips of ten are two groups of five. 1 works frame by frame."""
    valid_mask: bool = False
    """AVSS: padded frames are the mean colour, and everything made of them is multiplied by zero."""
    audio_network: Literal["vggish", "small"] = "vggish"
    """`vggish` is frozen, `small` learns with the rest."""
    audio_width: int = 128
    """Channels of the audio embedding; 128 for VGGish."""
    binary_space: Literal["logit", "probability"] = "logit"
    """Where binary cross-entropy is taken (`avseg.losses.binary_loss`); `probability` is the published form."""
    avm: AVMConfig | None = None
    """The audio-visual matching term; none in the published S4 setting."""

    # Not published. With these values a model is as published.
    foreground_weight: float = 1.0
    """Semantic tasks: weight of pixels that are not background in the cross-entropy; the published form has 1.
    Small networks trained from scratch leave the all-background solution sooner with more.
    """
    sounding_weight: float = 0.0
    """Not published: weight of an auxiliary loss, which classes sound, told from the audio embedding alone."""
    sounding_classes: int = 0
    """Classes of that loss where the task is binary; otherwise those of the task."""

    def idle(self) -> dict[str, str]:
        return {} if self.sounding_weight else {"sounding_classes": "sounding_weight is 0"}

    def __post_init__(self) -> None:
        for name in ("dilations", "head_widths", "stages"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if self.stages and not (self.audio_attention or self.self_attention):
            raise ValueError(
                f"stages {self.stages} ask for attention but audio_attention and self_attention are both off; "
                "switch one on, or give stages=() for a picture-only network"
            )
        if not set(self.stages) <= {0, 1, 2, 3} or len(set(self.stages)) < len(self.stages):
            raise ValueError(f"stages {self.stages}, wanted different ones of 0, 1, 2, 3")
        check_least(self, "group")
        check_hearing(self)
        if self.temporal.kind == "block" and self.temporal.length != self.group:
            raise ValueError(
                f"group is {self.group} but temporal.length is {self.temporal.length}; give both the same number, "
                'or Temporal("frame", 1) with group=1'
            )
        self._check_losses()

    def _check_losses(self) -> None:
        check_foreground_weight(self)
        if self.avm is not None:
            deaf = set(self.avm.stages) - (set(self.stages) if self.audio_attention else set())
            if deaf:
                raise ValueError(f"the matching term needs stages {sorted(deaf)}, which have no audio attention")
