"""How masks look in an overlay. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Silent: TypeAlias = Literal["keep", "grey", "blur", "dark"]
Corner: TypeAlias = Literal["top-left", "top-right", "bottom-left", "bottom-right", "none"]


@dataclass(frozen=True)
class Style:
    """How masks are painted; the default is what published overlays look like."""

    opacity: float = 0.45
    """How much of the colour covers what sounds, 0 to 1; 0 leaves outlines alone."""
    silent: Silent = "keep"
    """What becomes of all that is silent: keep it as it is, or make it grey, blurred, or dark as around a spotlight."""
    legend: Corner = "top-left"
    """Of models that track: the corner of the list of tracks, or none."""
    type_size: float = 1.0
    """Of names and list, as a multiple of the usual one, 0.25 to 8."""

    def __post_init__(self) -> None:
        if not 0 <= self.opacity <= 1:
            raise ValueError(f"the opacity of an overlay is {self.opacity}; give a number from 0 to 1")
        if not 0.25 <= self.type_size <= 8:
            raise ValueError(f"the type size of an overlay is {self.type_size} times the usual one; give 0.25 to 8")


PLAIN = Style()
"""The default."""
