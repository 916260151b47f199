"""Options of the VPO builder. Imports no torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

KINDS = ("ss", "ms", "msmi")
Kind = Literal["ss", "ms", "msmi"]
FOLDERS = {"ss": "VPO-SS", "ms": "VPO-MS", "msmi": "VPO-MSMI"}
SOUNDS = Path("vggsound_bench", "VGGSound", "audios")
"""Where the sounds lie below the root."""
_SOURCES = {"ss": (1, 1), "ms": (2, 3), "msmi": (1, 2)}
_OUTSIDE = ("class_map", "persons", "captions", "audios", "workers", "examples", "images_as")
"""Fields that do not belong to a set's identity: what the files say does, not where they lie."""


@dataclass(frozen=True)
class BuildOptions:
    """Options of the builder besides its inputs (docs/how-to/vpo.md)."""

    class_map: Path | None = None
    """JSON file with the sound labels of each VPO class. The default is avseg's map (docs/how-to/vpo.md)."""
    change: tuple[str, ...] = ()
    """Changes of single classes of the map, as `mouse=mouse clicking` or `car=car passing by;race car, auto racing`;
    nothing behind the equals sign leaves a class out."""
    persons: Path | None = None
    """CSV or JSON file that marks persons as male, female or baby."""
    captions: Path | None = None
    """COCO captions JSON; it classifies single persons in pictures that `persons` does not list."""
    audios: Path | None = None
    """Folder of the WAV files. The default is `audios` next to the table of sounds, or the folder of the table."""
    min_area: float = 0.01
    """Smallest area of a sounding instance, as a share of the picture."""
    sources: tuple[int, int] | None = None
    """Smallest and largest number of sounding objects in a sample. The default is 2 to 3 for MS and 1 to 2 for MSMI."""
    per_image: int | None = None
    """SS: largest number of samples per picture. By default every suitable instance has one."""
    cap: int | None = None
    """Largest number of sounding instances of a class, over all splits."""
    samples: int | None = None
    """Exact number of samples, over all splits. The default is all possible samples."""
    separation: float = 0.1
    """MSMI: smallest horizontal distance of a sounding instance from others of its class (share of the width)."""
    singles: bool = True
    """MSMI: refer to VPO-MS for pictures with one instance of a class; VPO-MS is built if it is missing."""
    position: Literal["box", "centroid"] = "box"
    """Position of an object's sound: the centre of its box, or the centroid of its pixels."""
    fractions: tuple[float, float, float] = (0.8, 0.1, 0.1)
    """Shares of train, val and test."""
    keep_splits: bool = True
    """Keep pictures and sounds in the split that their files name."""
    render: bool = False
    """Also write the three seconds of sound of each sample as a WAV file."""
    images_as: Literal["copy", "link"] = "copy"
    """Copy JPEG files, or link to them."""
    examples: int = 12
    """Number of samples on the report page."""
    workers: int = 0
    """Number of processes; 0 uses one per core, 1 uses this process. It does not change the result."""

    def __post_init__(self) -> None:
        if len(self.fractions) != 3 or min(self.fractions) < 0 or abs(sum(self.fractions) - 1) > 1e-6:
            raise ValueError(
                f"got the fractions {self.fractions}; wanted three numbers from 0 on that sum to 1: train, val, test"
            )
        if not (0 <= self.min_area < 1 and 0 <= self.separation < 1):
            raise ValueError(
                f"got min_area {self.min_area} and separation {self.separation}; both are shares from 0 to below 1"
            )
        least, most = self.sources or (1, 1)
        counts = (self.cap, self.samples, self.per_image, least)
        if any(count is not None and count < 1 for count in counts) or most < least:
            raise ValueError(
                f"got cap {self.cap}, samples {self.samples}, per_image {self.per_image}, sources {self.sources}; "
                "each must be at least 1, and the largest number of sources not below the smallest"
            )

    def sources_of(self, kind: str) -> tuple[int, int]:
        """The fewest and the most sounding objects of a sample.

        Raises:
            ValueError: other than one for SS.
        """
        if kind == "ss" and self.sources not in (None, (1, 1)):
            raise ValueError(f"got sources {self.sources}, but one object sounds in a sample of VPO-SS; leave it out")
        return self.sources or _SOURCES[kind]

    def identity(self) -> dict[str, Any]:
        """The choices that a set's content follows from, ready for JSON."""
        return {name: value for name, value in asdict(self).items() if name not in _OUTSIDE}
