"""The options of the synthetic world. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from avseg.data.config import DataConfig


@dataclass(frozen=True)
class WorldConfig(DataConfig):
    """The synthetic world."""

    name: str = "synth"
    compat: tuple[Literal["replacement"], ...] = ()
    """For the kind `instance`: `replacement` lets `some_frames` draw a frame twice, as the published training does."""
    difficulty: Literal["easy", "standard", "hard"] = "standard"
    """Difficulty of the clips."""
    kind: Literal["binary", "semantic", "instance"] = "binary"
    """The task; `instance` gives long videos with tracks, like AVISeg."""
    clips: int = 1000
    """Number of clips in the training split."""
    held_out_clips: int = 40
    """Number of clips in the val split and in the test split."""
    frames: int = 5
    """Number of frames in a clip, one second apart."""
    size: int = 224
    """Height and width of the pictures in pixels."""
    keep: bool = False
    """Keep clips in memory once made; a clip of five frames of 64 x 64 takes half a megabyte."""
    seed: int = 0
    """Random seed of the world; the splits of one seed share no clip."""

    @property
    def draws_again(self) -> bool:
        return "replacement" in self.compat

    def idle(self, split: str) -> tuple[str, ...]:
        return (*super().idle(split), "held_out_clips" if split == "train" else "clips")
