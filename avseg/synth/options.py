"""What may be chosen of synthetic sets beside layout, place, number and seed. Imports no torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal


@dataclass(frozen=True)
class AVISegOptions:
    """What is AVISeg's own."""

    seconds: tuple[int, int] = (30, 120)
    """aviseg: the shortest and the longest video; one frame a second."""
    stretch: tuple[int, int] = (2, 10)
    """aviseg: the shortest and the longest time in s without a change of who sounds."""
    held_out: int | None = None
    """aviseg: videos of val, and of test; None: 15 % of all for each."""
    segmentation: Literal["polygon", "rle", "counts"] = "polygon"
    """aviseg: masks as polygons, compressed run lengths, or run lengths as numbers."""
    sample_rate: int = 16000
    """aviseg: Hz of the stereo sound; the published set has 44100, which takes longer to read."""
    movies: int = 0
    """aviseg: so many videos of test as MP4 with sound, in `movies`."""

    def __post_init__(self) -> None:
        if self.segmentation not in ("polygon", "rle", "counts") or self.sample_rate < 1000 or self.movies < 0:
            raise ValueError(
                f"got segmentation {self.segmentation!r}, sample_rate {self.sample_rate} and movies {self.movies}; "
                "wanted polygon, rle or counts, 1000 Hz or more, and a number that is not negative"
            )


@dataclass(frozen=True)
class MoreOptions(AVISegOptions):
    """What the command line offers of single data sets."""

    singles: float = 0.25
    """vpo_msmi: share of the samples that show one object of each class."""
    stereo: bool = False
    """vpo: pan what the report page plays; s4, ms3, avss, single: write sounds of two channels."""

    def of(self, name: str) -> dict[str, Any]:
        """What the writer of a data set takes of these; none where it has no own.

        Raises:
            ValueError: an option that was set and is of another data set.
        """
        values = asdict(self)
        takes = {
            "aviseg": [field.name for field in fields(AVISegOptions)],
            "vpo_ss": ["stereo"],
            "vpo_ms": ["stereo"],
            "vpo_msmi": ["singles", "stereo"],
        }
        own, defaults = takes.get(name, []), MoreOptions()
        has = own or ["stereo"]  # AVISeg's sound has two channels anyway
        stray = [key for key in values if key not in has and values[key] != getattr(defaults, key)]
        if stray:
            told = ", ".join("--" + key.replace("_", "-") for key in stray)
            raise ValueError(
                f"{told} is not for {name}; `avseg data synth --help` says which data set each option is of"
            )
        return {key: values[key] for key in own}
