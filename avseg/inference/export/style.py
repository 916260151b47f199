"""The style of masks in an overlay. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Silent: TypeAlias = Literal["keep", "grey", "blur", "dark"]
Corner: TypeAlias = Literal["top-left", "top-right", "bottom-left", "bottom-right", "none"]


@dataclass(frozen=True)
class Style:
    """Style of painted masks; the default resembles published overlays."""

    opacity: float = 0.45
    """Opacity of the colour over sounding objects, 0 to 1; 0 draws only outlines."""
    silent: Silent = "keep"
    """Appearance of silent regions: keep them unchanged, or make them grey, blurred or dark as around a spotlight."""
    legend: Corner = "top-left"
    """Corner for the list of tracks of models that track, or none."""
    type_size: float = 1.0
    """Size of names and list relative to the usual one, 0.25 to 8."""

    def __post_init__(self) -> None:
        if not 0 <= self.opacity <= 1:
            raise ValueError(f"the opacity of an overlay is {self.opacity}, wanted a number from 0 to 1")
        if not 0.25 <= self.type_size <= 8:
            raise ValueError(f"the type size of an overlay is {self.type_size} times the usual one, wanted 0.25 to 8")


PLAIN = Style()
"""The default."""
