"""What a recipe says of its data. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class DataConfig:
    """A data set by its name in `avseg.data.DATASETS`, where it lies, and how it is read."""

    name: str = "s4"
    root: Path | None = None
    """The folder of the data set; the synthetic world has none."""
    audio: Literal["wav", "log_mel"] = "wav"
    """Read the sound, or the log-mel pickles that S4 and MS3 ship."""
    sample_rate: int = 16000
    """Sounds of another rate are resampled on reading."""
    mask_mode: Literal["auto", "nonzero", "upstream"] = "auto"
    """MS3: what a mask file's values mean. `nonzero`: everything but 0 is foreground; `upstream`: the value of PIL's
    mode P over 255, rounded; `auto`: `nonzero`, but an error on the first file where the two disagree."""
    stereo: bool = False
    """Keep two channels of sound; otherwise they are averaged."""
    augment: tuple[Literal["flip", "colour", "mute"], ...] = ()
    """Random changes while training, in this order; the published runs have none."""
    difficulty: Literal["easy", "standard", "hard"] = "standard"
    """Synthetic world: how hard its clips are."""
    kind: Literal["binary", "semantic"] = "binary"
    """Synthetic world: the task."""
    clips: int = 1000
    """Synthetic world: clips of the training split."""
    held_out_clips: int = 40
    """Synthetic world: clips of the val split, and of the test split."""
    frames: int = 5
    """Synthetic world: frames of a clip, one second apart."""
    size: int = 224
    """Synthetic world: height and width of the pictures in pixels."""
    seed: int = 0
    """Synthetic world: another seed is another world; the splits of one seed share no clip."""
