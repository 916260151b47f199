"""Options for writing synthetic VPO. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from avseg.synth.options import LONGEST_SIDE, WorldOptions


@dataclass(frozen=True)
class StillOptions(WorldOptions):
    """Options of all three sets."""

    size: tuple[int, int] = (240, 320)
    """Height and width of the pictures."""
    sounds: int | None = None
    """Number of sound clips per class, over all splits. The default is one for four samples, from 16 to 64."""
    stereo: bool = False
    """Use panned sound on the report page; the set itself serves mono and stereo."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.size) < 16 or max(self.size) > LONGEST_SIDE or (self.sounds or 3) < 3:
            raise ValueError(
                f"got size {self.size} and sounds {self.sounds}; wanted sides of 16 to {LONGEST_SIDE} pixels, and 3 "
                "sounds, one for each split"
            )


@dataclass(frozen=True)
class SeveralOptions(StillOptions):
    """Options of the sets with several sounding objects."""

    sources: tuple[int, int] | None = None
    """Smallest and largest number of sounding objects in a sample. The default is 2 to 3 for MS and 1 to 2 for MSMI."""


@dataclass(frozen=True)
class TwinOptions(SeveralOptions):
    """Options of VPO-MSMI."""

    singles: float = 0.25
    """Share of the samples that show one object of each class and belong to VPO-MS."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.singles < 1:
            raise ValueError(f"got singles {self.singles}, wanted a share from 0 to below 1")
