"""The configuration of AVISM. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from avseg.config import AudioWindow, InputSpec, ModelConfig, SessionOptions, Temporal
from avseg.losses.config import SetConfig
from avseg.models.config import Option, check_hearing, check_least

_PICTURES = InputSpec((360, 360), rule="shorter_side", longest=1333)
_SECONDS = AudioWindow(seconds=0.975, anchor="frame", missing="zero_log_mel")
_CRITERION = SetConfig()
_WHOLE = Temporal("clip", None, spacing=1.0, shown_after=0.5)


@dataclass(frozen=True)
class AVISMOptions(SessionOptions):
    """The defaults are the published ones."""

    score: float = 0.3
    """Tracks whose score is not above this are dropped."""
    candidates: int = 100
    """Number of (query, class) pairs with the highest probability that may become tracks."""
    frames_in_memory: int = 36
    """Longest video in frames whose maps stay in memory; longer ones use a temporary file in half precision."""

    def __post_init__(self) -> None:
        if not 0 <= self.score < 1:
            raise ValueError(f"score {self.score}, wanted 0 or more and below 1, which no track's score exceeds")
        if self.frames_in_memory < 0:
            raise ValueError(f"frames_in_memory {self.frames_in_memory}, wanted 0 or more")
        if self.candidates < 1:
            raise ValueError(f"candidates {self.candidates}, wanted 1 or more")


@dataclass(frozen=True)
class AVISMConfig(ModelConfig):
    """The defaults are the published ResNet-50 setting."""

    family: ClassVar[str] = "avism"
    Options: ClassVar[type[SessionOptions]] = AVISMOptions
    input: InputSpec = _PICTURES
    audio: AudioWindow = _SECONDS
    temporal: Temporal = _WHOLE
    backbone: str = "resnet50"
    """`resnet50` (batch statistics frozen), `swin_large_patch4_window12_384`, or any timm model with features at
    strides 4, 8, 16, 32."""
    backbone_options: dict[str, Option] = field(default_factory=dict)
    """Passed to timm as they are."""
    freeze_norms: bool = True
    """Batch normalisation of the backbone keeps its statistics and factors, as published."""
    width: int = 256
    """Channels of maps, queries and masks."""
    heads: int = 8
    """Heads of every attention."""
    feedforward: int = 2048
    """Inner width of the two decoders' layers; the pixel decoder's is `pixel_feedforward`."""
    pixel_feedforward: int = 1024
    """Inner width of the pixel decoder's layers."""
    pixel_layers: int = 6
    """Layers of deformable attention."""
    frame_queries: int = 100
    """Queries of a frame."""
    frame_layers: int = 9
    """Layers of the frame decoder."""
    clip_queries: int = 100
    """Queries of a clip."""
    clip_layers: int = 3
    """Layers of the clip decoder."""
    object_layers: int = 6
    """Layers of the window attention among frame queries, and as many of sound over objects."""
    window: int = 6
    """Frames that see each other in a layer of window attention."""
    trained_layers: int = 3
    """Last layers of the frame decoder whose queries the clip decoder is trained on; prediction uses the last."""
    audio_network: Literal["none", "vggish", "small"] = "none"
    """`none` wants clips with audio features (T, audio_width), as AVISeg ships them; `vggish` (frozen) and `small`
    (learns) make them from sound."""
    audio_width: int = 128
    """Channels of the audio features."""
    criterion: SetConfig = _CRITERION
    """Matching and losses."""
    frames_at_once: int = 18
    """Pictures in one call of the frame stage."""

    # Not published. With these values a model is as published.
    heard_masks: bool = False
    """Not published: mask features of a second hear it, so that a track can fall silent where nothing to be seen
    changes. Without it sound decides which tracks there are, and pictures alone when they are empty."""
    sounding_weight: float = 0.0
    """Not published: the factor of a loss that asks the sound of every second alone which classes it is of, so that an
    audio network learns from the first step on. 0 leaves it out."""

    @property
    def hears(self) -> bool:
        return self.audio_network != "none"

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} does not divide into {self.heads} heads")
        if not 1 <= self.trained_layers <= self.frame_layers:
            raise ValueError(f"trained_layers {self.trained_layers}, wanted 1 to {self.frame_layers} (frame_layers)")
        check_hearing(self)
        check_least(self, "frames_at_once", "window", "frame_queries", "clip_queries")
