"""The configuration of AVSegFormer; S4, MS3 and AVSS are settings of it. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from avseg.config import InputSpec, ModelConfig, Temporal, check_choices
from avseg.models.config import (
    FIVE_SECONDS,
    PICTURES,
    Option,
    check_dropout,
    check_foreground_weight,
    check_hearing,
    check_least,
)

GROUPS = 32
"""Groups of group normalisation."""


@dataclass(frozen=True)
class AVSegFormerConfig(ModelConfig):
    """The network as published with the larger backbone at 224 x 224. The presets have the published losses too."""

    family: ClassVar[str] = "avsegformer"
    input: InputSpec = PICTURES
    temporal: Temporal = FIVE_SECONDS
    """Frames are worked on one by one. A block of five (AVSS: ten) seconds only says which second of sound, counted in
    steps of 0.96 s from the block's beginning, belongs to which frame."""
    backbone: str = "pvt_v2_b5"
    """`resnet50`, `pvt_v2_b5`, or any timm model with features at strides 4, 8, 16, 32."""
    backbone_options: dict[str, Option] = field(default_factory=dict)
    """Passed to timm as they are."""
    width: int = 256
    """Channels of maps, queries and masks."""
    heads: int = 8
    """Heads of every attention."""
    queries: int = 300
    """The mask head weighs each by its place, so that a model has as many as it was trained with."""
    learnable_queries: bool = True
    """A second table of queries is added to what the generator makes."""
    generator: Literal["attention", "repeat"] = "attention"
    """How sound becomes queries: a table that attends to it, or its vector over and over, as before 2023-08-14."""
    generator_layers: int = 6
    """Layers of the query generator."""
    generator_inner: int = 1024
    """Inner width of the query generator's layers."""
    encoder_layers: int = 6
    """Layers of deformable attention among the maps at strides 8, 16, 32."""
    points: int = 4
    """Samples that a head takes of each map."""
    decoder_layers: int = 6
    """Layers of the decoder."""
    inner: int = 2048
    """Inner width of the layers of encoder and decoder."""
    dropout: float = 0.1
    """Dropout of the encoder and the decoder."""
    mlp_width: int = 2048
    """Inner channels of the three linear maps between the queries' maps and the mask feature."""
    head_widths: tuple[int, int] = (128, 32)
    """Channels of the two convolutions before the classifier."""
    valid_mask: bool = False
    """AVSS: padded frames are the mean colour, batch norms see them in training, and what is made of them is multiplied
    by zero."""
    audio_network: Literal["vggish", "small"] = "vggish"
    """`vggish` is frozen, `small` learns with the rest."""
    audio_width: int = 128
    """Channels of the audio embedding; 128 for VGGish."""
    freeze_backbone_epochs: int = 0
    """Epochs at the beginning of a training in which the backbone has no gradient."""
    frozen_backbone: Literal["still", "published"] = "still"
    """Whether a backbone without gradient is in evaluation mode too. As published it is not: the statistics of its
    batch norms move and its stochastic depth draws."""
    binary_loss: Literal["dice", "bce"] = "dice"
    """Loss of binary tasks; `bce` is cross-entropy of probabilities. Semantic tasks use cross-entropy."""
    dice: Literal["smoothed", "published"] = "smoothed"
    """`smoothed` adds 1 to both sides of the ratio. As published a frame whose truth is empty has no gradient."""
    mix_weight: float = 0.1
    """Factor of the loss of the auxiliary mask, the mean of the mask feature over its channels; 0 leaves it out."""
    mix_probability: Literal["rescaled", "published"] = "rescaled"
    """That mean is never negative, so that its sigmoid, the published probability, never falls below a half. `rescaled`
    takes twice the sigmoid less one."""
    layer_weight: float = 0.0
    """Factor of the loss of a mask made of each decoder layer; published before 2023-08-14 was 0.1, with no other
    auxiliary mask. 0: the model has no such part."""

    # Not published. With these values a model is as published.
    sounding_weight: float = 0.0
    """Not published: weight of an auxiliary loss, which classes sound, told from the audio embedding alone."""
    sounding_classes: int = 0
    """Classes of that loss where the task is binary; otherwise those of the task."""
    foreground_weight: float = 1.0
    """Not published: weight of pixels that are not background in the cross-entropy of semantic tasks."""

    def idle(self) -> dict[str, str]:
        found = {} if self.sounding_weight else {"sounding_classes": "sounding_weight is 0"}
        if self.generator == "repeat":
            found |= dict.fromkeys(("generator_layers", "generator_inner"), "generator is 'repeat'")
        if not self.mix_weight:
            found["mix_probability"] = "mix_weight is 0"
        if not self.freeze_backbone_epochs:
            found["frozen_backbone"] = "freeze_backbone_epochs is 0"
        return found

    def __post_init__(self) -> None:
        object.__setattr__(self, "head_widths", tuple(self.head_widths))
        check_choices(self, "an AVSegFormer")
        if self.width % self.heads or self.width % GROUPS:
            raise ValueError(
                f"width {self.width} with {self.heads} heads; wanted a multiple of both the heads and {GROUPS}, the "
                "groups of its norms"
            )
        check_least(self, "queries", "encoder_layers", "decoder_layers", "points", "mlp_width")
        check_least(self, "generator_layers", "freeze_backbone_epochs", "mix_weight", "layer_weight", least=0)
        check_dropout(self)
        check_foreground_weight(self)
        check_hearing(self)
