"""The configuration of a zero-shot model: its three parts and all thresholds. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import inf
from typing import ClassVar, Literal

from avseg.config import AudioWindow, InputSpec, ModelConfig, SessionOptions, Temporal, check_choices
from avseg.models.zeroshot.catalogue import FOLLOWERS, TAGGERS


@dataclass(frozen=True)
class Part:
    """One replaceable part, and the weights that it takes."""

    kind: str
    """A name in the part's registry of `avseg.models.zeroshot.catalogue`."""
    checkpoint: str = ""
    """Hub id, folder or file. Empty: the part has no weights."""
    revision: str = ""
    """Commit of the Hub id, or digest of a folder or file; empty until the weights are there."""


@dataclass(frozen=True)
class GateConfig:
    """Thresholds of the gate; published by nobody, ours."""

    on: float = 0.35
    """A noun begins to sound at this probability or above."""
    off: float = 0.15
    """It stops below this."""
    silence: float = -60.0
    """dBFS, RMS of a second: below it nothing sounds, whatever the tagger says."""
    most: int = 8
    """Nouns that may sound in one second, the most probable first."""
    generic_only_alone: bool = True
    """A generic noun (animal, vehicle, ...) does not sound in a second in which a specific one of its kind does."""
    pad: float = 0.0
    """s added on both sides of a span."""
    gap: float = 0.0
    """s of silence inside a span that are bridged."""
    shortest: float = 0.0
    """s: shorter spans are dropped."""

    def __post_init__(self) -> None:
        if not 0 <= self.off <= self.on <= 1:
            raise ValueError(f"the gate opens at {self.on} and closes below {self.off}; wanted 0 <= off <= on <= 1")
        if self.most < 1 or not all(0 <= seconds < inf for seconds in (self.pad, self.gap, self.shortest)):
            raise ValueError("the gate needs most >= 1 and pad, gap and shortest of 0 s or more")
        if not self.silence < inf:
            raise ValueError(f"the gate is silent below {self.silence} dBFS, wanted a number (-inf: never)")


@dataclass(frozen=True)
class FindConfig:
    """When the finder looks, and which of its boxes begin tracks."""

    box: float = 0.3
    """Boxes with a lower score are dropped."""
    side: int = 800
    """Pixels of the shorter side at which a finder that sizes pictures itself sees them."""
    same: float = 0.7
    """IoU from which only the better of two boxes of one noun is kept."""
    other: float = 0.9
    """IoU from which only the better of two boxes of different nouns is kept."""
    confirm: float = 0.5
    """A box with this IoU or more to the mask of a track of its noun confirms the track; others begin one."""
    objects: int = 8
    """Tracks of one noun at a time."""
    look: tuple[float, ...] = (0.0, 1.0, 2.0, 5.0)
    """s into its span at which a noun is looked for."""
    look_again: float = 5.0
    """s from one further look to the next."""

    def __post_init__(self) -> None:
        if not 0 <= self.box < 1 or self.side < 1 or self.objects < 1 or not self.look_again > 0 or not self.look:
            raise ValueError(
                "finding needs 0 <= box < 1, side and objects of 1 or more, look_again above 0 s and one look at least"
            )
        for name in ("same", "other", "confirm"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name} {getattr(self, name)} of finding, wanted an IoU above 0 and up to 1")
        if not all(early <= late < inf for early, late in pairwise((0.0, *self.look))):
            raise ValueError(f"finding looks at {self.look} s, wanted times from 0 s on, in order")


@dataclass(frozen=True)
class FollowConfig:
    """How long tracks are followed."""

    back: float = 5.0
    """s of pictures that are held: a track that is found within its span is followed back by so much."""
    lost: float = 3.0
    """s without the object after which a track ends."""
    keep: float = 10.0
    """s for which a track is followed after its noun fell silent; a noun that sounds again goes on with it."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Numbers the follower computes with."""

    def __post_init__(self) -> None:
        check_choices(self, "the follower")
        if not all(seconds >= 0 for seconds in (self.back, self.lost, self.keep)):
            raise ValueError("following needs back, lost and keep of 0 s or more")


@dataclass(frozen=True)
class ZeroShotOptions(SessionOptions):
    """Prediction options."""

    score: float = 0.0
    """Tracks whose score is not above this are dropped."""
    which: Literal["all", "largest", "best"] = "all"
    """Selection among several objects of one noun: all, the largest in each frame, or the one with the best score."""
    most_tracks: int = 255
    """Largest number of tracks, the best first; label maps hold at most 255."""

    def __post_init__(self) -> None:
        check_choices(self, "the zero-shot options")
        if not 1 <= self.most_tracks <= 255:
            raise ValueError(f"most_tracks {self.most_tracks}, wanted 1 to 255, the limit of label maps")
        if not 0 <= self.score < 1:
            raise ValueError(f"score {self.score}, wanted 0 or more and below 1, which no track's score exceeds")


def hearing(seconds: float) -> AudioWindow:
    """A window of sound centred on the whole second of a frame."""
    return AudioWindow(seconds=seconds, offset=(1.0 - seconds) / 2, anchor="second", missing="silence")


_PICTURES, _SOUND, _WHOLE = InputSpec(rule="keep"), hearing(3.0), Temporal("clip", None, spacing=1.0)


@dataclass(frozen=True)
class ZeroShotConfig(ModelConfig):
    """The defaults are those of the setting for a GPU, but for the rate of pictures."""

    family: ClassVar[str] = "zeroshot"
    Options: ClassVar[type[SessionOptions]] = ZeroShotOptions
    input: InputSpec = _PICTURES
    audio: AudioWindow = _SOUND
    """The sound that the tagger hears of a second, around its middle."""
    temporal: Temporal = _WHOLE
    tagger: Part = Part("ast", "MIT/ast-finetuned-audioset-10-10-0.4593")
    """Sound to probabilities of sounds."""
    finder: Part = Part("grounding_dino", "IDEA-Research/grounding-dino-tiny")
    """Nouns and a picture to boxes."""
    follower: Part = Part("sam2", "facebook/sam2.1-hiera-small")
    """Boxes and pictures to masks of tracks."""
    vocabulary: tuple[str, ...] = ()
    """The nouns that are listened for. Empty: those of our table for a tagger of AudioSet, the classes of the task for
    one that takes any words."""
    people: Literal["ask", "person"] = "ask"
    """Where the classes tell men, women and children apart: ask the finder which of them is seen, or for a person."""
    music: Literal["ignore", "instruments"] = "ignore"
    """Meaning of music without a specific instrument: nothing, or any musical instrument."""
    gate: GateConfig = GateConfig()
    """When a noun counts as sounding."""
    find: FindConfig = FindConfig()
    """When the finder looks, and which boxes begin tracks."""
    follow: FollowConfig = FollowConfig()
    """How long tracks are followed."""

    def __post_init__(self) -> None:
        check_choices(self, "a zero-shot model")
        if not 1 <= self.audio.seconds < inf:
            raise ValueError(
                f"a window of {self.audio.seconds} s of sound, wanted 1 s or more: whole seconds are heard"
            )
        if self.audio.anchor != "second" or not abs(self.audio.offset - (1.0 - self.audio.seconds) / 2) <= 1e-6:
            raise ValueError(
                f"the sound of a zero-shot model is a window around each second: give {hearing(self.audio.seconds)}"
            )
        if self.temporal.kind != "clip" or not 0 < self.temporal.spacing < inf:
            raise ValueError(
                f"a zero-shot model sees whole clips, a picture every so many s: {_WHOLE}; got {self.temporal}"
            )

    @property
    def sound_rate(self) -> int:
        return TAGGERS.find(self.tagger.kind).rate

    @property
    def parts(self) -> dict[str, Part]:
        """By stage; without the finder where the follower finds objects itself.

        Raises:
            ValueError: a kind of follower that there is not.
        """
        found = {"tagger": self.tagger, "finder": self.finder, "follower": self.follower}
        if FOLLOWERS.find(self.follower.kind).finds:
            del found["finder"]
        return found

    @property
    def origins(self) -> dict[str, str]:
        return {
            stage: f"{p.kind} {p.checkpoint}@{p.revision or '?'}" for stage, p in self.parts.items() if p.checkpoint
        }
