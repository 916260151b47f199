"""Options for writing synthetic data sets. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from avseg.synth.difficulty import get_difficulty

LONGEST_SIDE = 8192
"""Pixels; what is asked to be larger is a slip of the keyboard."""


@dataclass(frozen=True)
class WorldOptions:
    """Options of every writer."""

    difficulty: Literal["easy", "standard", "hard"] = "standard"
    """Difficulty of the clips."""
    size: tuple[int, int] = (224, 224)
    """Height and width of the pictures."""

    def __post_init__(self) -> None:
        get_difficulty(self.difficulty)


@dataclass(frozen=True)
class ClipOptions(WorldOptions):
    """Options of writers of short clips."""

    video: bool = False
    """Also write the raw MP4 with sound of each clip."""
    stereo: bool = False
    """Write stereo sound."""


@dataclass(frozen=True)
class SoundOptions(WorldOptions):
    """Options of writers of videos with sound."""

    stereo: bool = False
    """Write stereo sound."""
