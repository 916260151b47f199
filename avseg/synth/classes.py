"""The eight classes: what each looks and sounds like, and the AVSBench-semantic class that stands for it on disk."""

from __future__ import annotations

from typing import NamedTuple


class ShapeClass(NamedTuple):
    """One class of the world; its silhouette and texture are in `shapes`, its timbre in `timbres`."""

    name: str
    texture: str
    timbre: str
    avss: str
    """The class that the AVSS writer uses for it."""


KINDS = (
    ShapeClass("disc", "polka dots", "motor: low buzz with strong tremolo", "motorcycle"),
    ShapeClass("ring", "spokes", "siren: frequency warble", "emergency-car"),
    ShapeClass("star", "stripes", "bird: rising chirps", "bird"),
    ShapeClass("cross", "checks", "rattle: train of broadband clicks", "keyboard"),
    ShapeClass("triangle", "waves", "beeper: gated tone", "clock"),
    ShapeClass("square", "lattice", "organ: steady harmonic stack", "accordion"),
    ShapeClass("crescent", "gradient", "steam: high band of noise", "hair-dryer"),
    ShapeClass("flower", "target rings", "bell: decaying inharmonic strikes", "bell"),
)

CLASSES = tuple(kind.name for kind in KINDS)
"""Names of the class ids 1..8."""
