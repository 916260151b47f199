"""Options for writing synthetic AVISeg and for preparing AVISeg. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from avseg.synth.options import WorldOptions


@dataclass(frozen=True)
class LongVideoOptions(WorldOptions):
    """Options of the synthetic world."""

    size: tuple[int, int] = (360, 640)
    """Height and width of the pictures."""
    seconds: tuple[int, int] = (30, 120)
    """Shortest and longest video in seconds, with one frame per second."""
    stretch: tuple[int, int] = (2, 10)
    """Shortest and longest time in s between changes of the sounding objects."""
    held_out: int | None = None
    """Number of videos in val and in test. The default is 15 % of all for each."""
    segmentation: Literal["polygon", "rle", "counts"] = "polygon"
    """Format of masks: polygons, compressed run lengths, or run lengths as numbers."""
    sample_rate: int = 16000
    """Sample rate of the stereo sound in Hz; the published set has 44100, which takes longer to read."""
    movies: int = 0
    """Number of test videos to also write as MP4 with sound, in `movies`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.segmentation not in ("polygon", "rle", "counts") or self.sample_rate < 1000 or self.movies < 0:
            raise ValueError(
                f"got segmentation {self.segmentation!r}, sample_rate {self.sample_rate} and movies {self.movies}; "
                "wanted polygon, rle or counts, 1000 Hz or more, and a number that is not negative"
            )


@dataclass(frozen=True)
class FeatureOptions:
    """Options of the audio features."""

    vggish: Path | None = None
    """The published VGGish weights; without them no audio features are made."""
    short: Literal["zeros", "silence"] = "zeros"
    """Filling of a second whose sound ends too early: log-mel zeros, as published, or silence."""
    resampling: Literal["exact", "resampy_0.2", "resampy_0.4"] = "resampy_0.2"
    """Resampling to 16 kHz for the features (docs/reference/audio.md): as resampy up to 0.2.2 did, as it does
    from 0.3 on, or exactly. It is unknown which version made the shipped features."""

    def __post_init__(self) -> None:
        if self.vggish is None and (self.short, self.resampling) != ("zeros", "resampy_0.2"):
            raise ValueError("--short and --resampling need --vggish FILE, the weights for the audio features")
