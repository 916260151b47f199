"""The options of a folder of one's own videos. Imports no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Self

from avseg.data.config import DataConfig


@dataclass(frozen=True)
class FolderConfig(DataConfig):
    """A folder of one's own videos.

    Raises:
        ValueError: a rate or a length that is not positive.
    """

    name: str = "folder"
    fps: float = 1.0
    """Frames of a clip per second of video; also the unit of masks whose names are plain numbers."""
    task: Literal["auto", "binary", "semantic", "instance"] = "auto"
    """The task. `auto`: instance where every file of annotations tells objects apart, else semantic where all have
    class names, else binary."""
    clip_seconds: float = 5.0
    """Seconds into which videos are cut, but for tracks: those are read whole."""
    split: Path | None = None
    """A CSV file with the columns name and split. The default is split.csv in the folder, or else a hash of the name of
    each video: about 80 % train, 10 % val, 10 % test."""
    cache: Path | None = None
    """Where decoded frames and sounds are kept. The default is the folder .avseg beside the videos."""

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
        """Frames of a clip."""
        return max(1, round(self.clip_seconds * self.fps))


@dataclass(frozen=True)
class FolderOptions:
    """How a folder is read while it is checked; give what training will be given."""

    fps: float = FolderConfig.fps
    """Frames of a clip per second of video; also the unit of masks whose names are plain numbers."""
    task: Literal["auto", "binary", "semantic", "instance"] = FolderConfig.task
    """The task; `auto` takes what the labels tell."""
    clip_seconds: float = FolderConfig.clip_seconds
    """Seconds into which videos are cut, but for tracks."""
    split: Path | None = None
    """A CSV file with the columns name and split. The default is split.csv in the folder, or else a hash of the
    names."""
    cache: Path | None = None
    """Where decoded frames and sounds are kept. The default is the folder .avseg beside the videos."""
