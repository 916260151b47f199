"""What may be chosen of what is written of the world. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from avseg.synth.difficulty import get_difficulty

LONGEST_SIDE = 8192
"""Pixels; what is asked to be larger is a slip of the keyboard."""


@dataclass(frozen=True)
class WorldOptions:
    """What every writer has."""

    difficulty: Literal["easy", "standard", "hard"] = "standard"
    """How hard the clips are."""
    size: tuple[int, int] = (224, 224)
    """Height and width of the pictures."""

    def __post_init__(self) -> None:
        get_difficulty(self.difficulty)


@dataclass(frozen=True)
class ClipOptions(WorldOptions):
    """What the writers of short clips have."""

    video: bool = False
    """Write the raw MP4 with sound of each clip as well."""
    stereo: bool = False
    """Write sounds of two channels."""


@dataclass(frozen=True)
class SoundOptions(WorldOptions):
    """What a writer of videos has, which have their sound in them."""

    stereo: bool = False
    """Write sounds of two channels."""
