"""The configuration of CATR; the published slips are settings of it. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from avseg.config import InputSpec, ModelConfig, Temporal, check_choices
from avseg.models.config import FIVE_SECONDS, PICTURES, Option, check_dropout, check_hearing, check_least


@dataclass(frozen=True)
class CATRLossConfig:
    """Weights of matching and losses (docs/reference/losses.md)."""

    score: float = 1.0
    """Weight of the cross-entropy that selects the query of the sounding object."""
    dice: float = 5.0
    """Weight of the Dice loss of masks."""
    focal: float = 5.0
    """Weight of the focal loss of masks."""
    bce: float = 4.0
    """Weight of the binary cross-entropy of masks."""
    no_object: float = 0.1
    """Weight of queries without an object, within the cross-entropy."""
    cost_score: float = 2.0
    """Weight of the score in matching."""
    cost_dice: float = 7.0
    """Weight of the Dice coefficient in matching; the published code always uses 7, whatever its options."""
    bce_space: Literal["logit", "probability"] = "logit"
    """`probability` repeats a published slip: binary cross-entropy with logits is taken of probabilities, so that the
    sigmoid is applied twice and no pixel gets below 0.31 or above 0.69 in the term."""

    def __post_init__(self) -> None:
        check_choices(self, "the losses of catr")
        for name in ("score", "dice", "focal", "bce", "no_object", "cost_score", "cost_dice"):
            if getattr(self, name) < 0:
                raise ValueError(f"criterion.{name} {getattr(self, name)} is negative; 0 leaves it out")


_LOSSES = CATRLossConfig()


@dataclass(frozen=True)
class CATRConfig(ModelConfig):
    """The defaults are the published sizes with the slips repaired; the presets repeat the slips."""

    family: ClassVar[str] = "catr"
    input: InputSpec = PICTURES
    temporal: Temporal = FIVE_SECONDS
    enlarge: int = 2
    """Normalised pictures are enlarged by this factor before the network sees them."""
    backbone: str = "pvt_v2_b5"
    """`pvt_v2_b5`, `resnet50`, or any timm model with features at strides 4, 8, 16, 32."""
    backbone_options: dict[str, Option] = field(default_factory=dict)
    """Passed to timm as they are."""
    dilations: tuple[int, ...] = (3, 6, 12, 18)
    """Dilations of the neck's parallel 3x3 convolutions."""
    width: int = 256
    """Channels of maps, tokens and queries."""
    heads: int = 8
    """Heads of every attention."""
    queries: int = 50
    """Object queries of a frame."""
    encoder_layers: int = 3
    """Layers of the spatial encoder; the temporal one has three, because its gates join three."""
    decoder_layers: int = 3
    """Layers of the decoder."""
    inner: int = 2048
    """Width of the feed-forward layers of the spatial encoder and the decoder, between their linear maps."""
    temporal_inner: int = 2048
    """Same option for the temporal encoder."""
    dropout: float = 0.1
    """Dropout of the transformer layers and of the projection of sound."""
    mask_width: int = 64
    """Channels of the mask features; queries are mapped to as many."""
    audio_network: Literal["vggish", "small"] = "vggish"
    """`vggish` is frozen, `small` learns with the rest."""
    audio_width: int = 128
    """Channels of the audio embedding; 128 for VGGish."""
    criterion: CATRLossConfig = _LOSSES
    """Weights of matching and losses."""

    # Published slips and oddities, each beside its repair.
    product: Literal["squared", "single"] = "squared"
    """How tokens meet what they find of the other sense: `squared`, x * y * y, as published, which loses the sign of y;
    `single`, x * y."""
    audio_frame: Literal["first", "each"] = "each"
    """Whose sound tokens enter the fusion: `first` repeats a published slip, those that have been refined beside the
    first frame of the clip alone; `each`, the sound tokens beside each frame meet the pixels of that frame."""
    second_gate: Literal["first", "own"] = "own"
    """Input of the second gate: `first` repeats a published slip, the sigmoid of the first gate's two means,
    which are sigmoids already, and their mean; `own`, as the first gate, one channel of the maps that it joins."""
    reduce: Literal["nearest", "mean"] = "mean"
    """How the fused map comes to the coarsest map's size: by the nearest pixel, as published, which throws 15 of 16
    pixels away, or by their mean."""
    choose: Literal["frame", "clip"] = "frame"
    """Which query is the prediction: the best of each frame, as published, or the best of a group of frames."""

    # Not published. With this value a model is as published.
    sounding_weight: float = 0.0
    """Weight of an auxiliary loss, which classes sound, told from the audio embedding alone."""
    sounding_classes: int = 0
    """Classes of that loss."""

    def idle(self) -> dict[str, str]:
        return {} if self.sounding_weight else {"sounding_classes": "sounding_weight is 0"}

    @property
    def group(self) -> int:
        """Frames that see each other."""
        return self.temporal.length or 1 if self.temporal.kind == "block" else 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "dilations", tuple(self.dilations))
        check_choices(self, "catr")
        check_hearing(self)
        if self.temporal.kind == "clip":
            raise ValueError('catr sees groups of frames; give temporal Temporal("block", 5) or Temporal("frame", 1)')
        if self.width % self.heads or self.width % 8:
            raise ValueError(f"width {self.width} does not divide into {self.heads} heads and into 8 parts of a norm")
        check_least(
            self, "enlarge", "queries", "encoder_layers", "decoder_layers", "inner", "temporal_inner", "mask_width"
        )
        check_dropout(self)
