"""The options of a folder of videos. Imports no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Self

from avseg.data.config import DataConfig


@dataclass(frozen=True)
class FolderConfig(DataConfig):
    """Your own videos in a folder.

    Raises:
        ValueError: a rate or a length that is not positive.
    """

    name: str = "folder"
    fps: float = 1.0
    """Frames per second to take from videos; masks with plain numbers as names count in these frames."""
    task: Literal["auto", "binary", "semantic", "instance"] = "auto"
    """The task. `auto`: instance where every file of annotations tells objects apart, else semantic where all have
    class names, else binary."""
    clip_seconds: float = 5.0
    """Length in seconds of the clips cut from videos; with tracks, videos are read whole."""
    split: Path | None = None
    """A CSV file with the columns name and split. The default is split.csv in the folder, or else a hash of the name of
    each video: about 80 % train, 10 % val, 10 % test."""
    cache: Path | None = None
    """Cache for decoded frames and sounds. The default is the folder .avseg next to the videos."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (0 < self.fps <= 1000 and self.clip_seconds > 0 and math.isfinite(self.clip_seconds)):
            raise ValueError(
                f"got fps {self.fps:g} and clip_seconds {self.clip_seconds:g}, wanted positive numbers, fps of 1000 at "
                "most (--data.fps, --data.clip-seconds)"
            )

    def on_shards(self, root: Path) -> Self:
        return replace(super().on_shards(root), split=None, cache=None)

    @property
    def steps(self) -> int:
        """Return the number of frames of a clip."""
        return max(1, round(self.clip_seconds * self.fps))


@dataclass(frozen=True)
class FolderOptions:
    """Options for checking a folder; use the same values as for training."""

    fps: float = FolderConfig.fps
    """Frames per second to take from videos; masks with plain numbers as names count in these frames."""
    task: Literal["auto", "binary", "semantic", "instance"] = FolderConfig.task
    """The task; `auto` derives it from the labels."""
    clip_seconds: float = FolderConfig.clip_seconds
    """Length in seconds of the clips cut from videos; with tracks, videos are not cut."""
    split: Path | None = None
    """A CSV file with the columns name and split. The default is split.csv in the folder, or else a hash of the
    names."""
    cache: Path | None = None
    """Cache for decoded frames and sounds. The default is the folder .avseg next to the videos."""
