"""The configuration of QDFormer. Imports no torch.

Much of the method was never published; docs/explanation/qdformer.md says which defaults are the paper's, which are
those of its public ancestor R2VOS, and which are ours.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from avseg.config import InputSpec, ModelConfig, Temporal, check_choices
from avseg.losses.config import QueryConfig
from avseg.models.config import FIVE_SECONDS, Option, check_hearing, check_least


@dataclass(frozen=True)
class CodebookConfig:
    """The codebook that all tokens share."""

    codes: int = 512
    """K."""
    width: int | None = None
    """Channels of a code; None: those of a token. Otherwise tokens are mapped to it and back."""
    update: Literal["grad", "ema"] = "grad"
    """How codes move: by the gradient of the codebook term, or to the moving average of their tokens."""
    beta: float = 0.25
    """Factor of the commitment term."""
    decay: float = 0.99
    """`ema`: of the moving averages."""
    epsilon: float = 1e-5
    """`ema`: Laplace smoothing of the counts."""
    restart_after: int | None = None
    """Steps without use after which a code is replaced by a token of the batch; None: never."""
    normalise: bool = False
    """Tokens and codes are compared at unit length."""
    shared: bool = True
    """One codebook for all places of tokens; otherwise one for each."""

    def __post_init__(self) -> None:
        check_choices(self, "the codebook")
        if self.codes < 1 or (self.width is not None and self.width < 1):
            raise ValueError(f"a codebook of {self.codes} codes of width {self.width}, wanted 1 or more of both")
        if self.beta < 0 or not 0 < self.decay < 1 or self.epsilon <= 0:
            raise ValueError(
                f"codebook got beta {self.beta}, decay {self.decay}, epsilon {self.epsilon}; "
                "wanted beta from 0 on, decay between 0 and 1, epsilon over 0"
            )
        if self.restart_after is not None and self.restart_after < 1:
            raise ValueError(f"codebook.restart_after {self.restart_after}, wanted 1 step or more, or None for never")


@dataclass(frozen=True)
class LocalConfig:
    """Local calibration: tokens of each frame, made from its sound given the clip's tokens."""

    layers: int = 3
    """Layers of local calibration."""
    query: Literal["global", "learned"] = "global"
    """Initial value of a frame's tokens: the clip's quantised tokens plus what is learnt of each place, or the latter
    alone, so that the clip's tokens reach no object query (the ablation "local only")."""
    memory: Literal["frame", "frame+global", "window"] = "frame"
    """Keys of their attention: the frame's sound; that and the clip's tokens; or the sound of `window` frames
    around it.
    """
    window: int = 3
    """Frames around a frame whose sound is seen with the memory `window`."""
    stop_gradient: bool = True
    """Nothing flows back into the clip's tokens through these."""
    distill_weight: float = 0.0
    """Weight of an explicit term that draws a sounding frame's tokens to the clip's quantised ones; the paper has
    none.
    """

    def __post_init__(self) -> None:
        check_choices(self, "local calibration")
        if self.layers < 1 or self.window < 1 or self.window % 2 == 0 or self.distill_weight < 0:
            raise ValueError(
                f"local calibration got layers {self.layers}, window {self.window}, distill_weight "
                f"{self.distill_weight}; wanted 1 layer or more, an odd window, a weight from 0 on"
            )


@dataclass(frozen=True)
class AssemblyConfig:
    """How queries become a map (docs/explanation/qdformer.md)."""

    gate: float | None = 0.3
    """Binary: a frame on which the query's class probability is not above this is empty; None: no such gate."""
    merge: Literal["top", "max", "noisy_or"] = "top"
    """Binary: the query that is best over the clip; or all, each weighed by its class probability."""
    reduce: Literal["max", "sum"] = "max"
    """Semantic: a class's map from those of all queries."""
    background: float | None = None
    """Semantic: a fixed score of the background; None: 1 - the highest score of a class."""

    def __post_init__(self) -> None:
        check_choices(self, "the assembly of maps")
        for name in ("gate", "background"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise ValueError(f"assembly.{name} {value}, wanted a probability from 0 to 1, or None")


_CODEBOOK, _LOCAL, _ASSEMBLY, _CRITERION = CodebookConfig(), LocalConfig(), AssemblyConfig(), QueryConfig()
_PICTURES = InputSpec((224, 224))


@dataclass(frozen=True)
class QDFormerConfig(ModelConfig):
    """The defaults are the ResNet-50 setting on clips of five frames."""

    family: ClassVar[str] = "qdformer"
    input: InputSpec = _PICTURES
    temporal: Temporal = FIVE_SECONDS
    backbone: str = "resnet50"
    """`resnet50`, `swin_tiny_patch4_window7_224`, `video_swin_tiny`, or any timm model with maps at strides 4 to 32."""
    backbone_options: dict[str, Option] = field(default_factory=dict)
    """Passed to timm as they are."""
    freeze_norms: bool = True
    """Batch normalisation of the backbone keeps its statistics and factors."""
    frozen_stages: int = 1
    """Number of frozen stages of a ResNet, in addition to the frozen stem; 0: nothing is frozen."""
    freeze_visual: bool = False
    """The whole backbone does not learn."""
    audio_network: Literal["none", "vggish", "small"] = "vggish"
    """`none` wants clips with audio features (T, audio_width) or, of S parts of each second, (T, S, audio_width);
    `vggish` (frozen) and `small` (learns) make one vector a second from sound."""
    audio_width: int = 128
    """Channels of the audio embedding; 128 for VGGish."""
    width: int = 256
    """C, the channels of maps, tokens and queries."""
    heads: int = 8
    """Heads of every attention."""
    feedforward: int = 2048
    """Inner width of all transformer layers."""
    dropout: float = 0.1
    """Dropout of the transformer layers."""
    decompose: bool = True
    """Global decomposition. Otherwise one token a frame, the sound itself and not quantised, for all queries, whatever
    `local_calibration` says; and the clip's mean, quantised with `quantise`, for fusion."""
    tokens: int = 5
    """N."""
    decomposition_layers: int = 3
    """Layers of the global decomposition."""
    quantise: bool = True
    """Tokens are replaced by their nearest codes."""
    codebook: CodebookConfig = _CODEBOOK
    """The codes and how they move."""
    local_calibration: bool = True
    """Otherwise the clip's tokens are the object queries of every frame."""
    local: LocalConfig = _LOCAL
    """How the tokens of a frame are made."""
    early_fusion: bool = True
    """Every pixel attends to the tokens before the encoder; the answer is its factor."""
    token_position: Literal["none", "sine", "learned"] = "none"
    """Positional encoding of the tokens as keys in early fusion."""
    encoder_layers: int = 4
    """Layers of deformable attention; 0 leaves the encoder out."""
    points: int = 4
    """Samples that a head takes of each of four maps."""
    pixel_decoder: Literal["audio_dual", "default"] = "audio_dual"
    """Whether pictures and tokens look at each other at stride 32, or maps are merely joined from coarse to fine."""
    dual_pool: Literal["adaptive3", "mean", "attention"] = "adaptive3"
    """How N tokens become the three filters of the dual pixel decoder."""
    decoder_layers: int = 4
    """Layers of the decoder."""
    box_refine: bool = True
    """Each layer of the decoder has box and class heads of its own and begins at the boxes of the layer before it;
    otherwise all layers share one of each."""
    class_layers: int = 2
    """Layers of the class head; R2VOS has 1."""
    mask_channels: int = 8
    """Inner channels of the dynamic mask head."""
    relative_unit: float = 1.0
    """Pixels by which relative coordinates are divided before the mask head sees them; 64 brings them to order one."""
    criterion: QueryConfig = _CRITERION
    """Matching and losses."""
    quantiser_weight: float = 0.5
    """Weight of the terms of the codebook."""
    assembly: AssemblyConfig = _ASSEMBLY
    """How queries become a map."""

    # Ours: neither the paper nor R2VOS has these (docs/explanation/qdformer.md); of the deviation neither tells.
    audio_context_layers: int = 0
    """Layers of self-attention over the seconds of a clip before its sound is decomposed."""
    prototype_deviation: float = 0.02
    """Scale of initial tokens: prototypes of clips and positions of frames. With a small scale all tokens may stay
    similar for long, because layers add the same output to each (docs/results/experiments.md).
    """
    queries_per_token: int = 1
    """Object queries that a token makes."""
    sounding_weight: float = 0.0
    """Not published: the factor of a loss that asks the sound of every second alone which classes it is of, so that an
    audio network learns from the first step on. 0 leaves it out."""
    sounding_classes: int | None = None
    """Binary tasks with that loss: the number of the data set's classes."""

    def idle(self) -> dict[str, str]:
        return {} if self.sounding_weight else {"sounding_classes": "sounding_weight is 0"}

    @property
    def hears(self) -> bool:
        return self.audio_network != "none"

    def __post_init__(self) -> None:
        check_choices(self, "qdformer")
        if self.width % self.heads or self.width % 4:
            raise ValueError(f"width {self.width} does not divide into {self.heads} heads and into 4")
        check_hearing(self)
        if not 0 <= self.audio_context_layers <= 2:
            raise ValueError(f"audio_context_layers {self.audio_context_layers}, wanted 0, 1 or 2")
        if self.class_layers not in (1, 2):
            raise ValueError(f"class_layers {self.class_layers}, wanted 1 or 2")
        if not 0 <= self.frozen_stages <= 4 or self.encoder_layers < 0:
            raise ValueError(
                f"frozen_stages {self.frozen_stages}, encoder_layers {self.encoder_layers}; wanted 0 to 4 and 0 or more"
            )
        check_least(
            self, "tokens", "decomposition_layers", "points", "decoder_layers", "queries_per_token", "mask_channels"
        )
        if self.quantiser_weight < 0:
            raise ValueError(f"quantiser_weight {self.quantiser_weight} is negative; 0 leaves the loss out")
        if not 0 <= self.dropout < 1 or self.relative_unit <= 0 or self.prototype_deviation <= 0:
            raise ValueError(
                f"dropout {self.dropout}, relative_unit {self.relative_unit}, prototype_deviation "
                f"{self.prototype_deviation}; wanted 0 to 1, and both others over 0"
            )
