"""The options of AVISeg. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from avseg.data.config import DataConfig


@dataclass(frozen=True)
class AVISegConfig(DataConfig):
    """AVISeg."""

    name: str = "aviseg"
    audio: Literal["wav", "features"] = "wav"
    """Source of the sound: the WAV files, or the feature vectors of the data set."""
    compat: tuple[Literal["replacement"], ...] = ()
    """Published slips to repeat (docs/reference/datasets.md): `replacement` lets `some_frames` draw a frame twice."""
    silent_videos: bool = False
    """Also train on videos without any sounding object; the published training leaves them out."""

    @property
    def draws_again(self) -> bool:
        return "replacement" in self.compat

    def idle(self, split: str) -> tuple[str, ...]:
        return (*super().idle(split), *(() if split == "train" else ("silent_videos",)))
