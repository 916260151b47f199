"""The eight classes: what each looks and sounds like."""

from __future__ import annotations

from typing import NamedTuple


class ShapeClass(NamedTuple):
    """One class of the world; its silhouette and texture are in `shapes`, its timbre in `timbres`."""

    name: str
    texture: str
    timbre: str


KINDS = (
    ShapeClass("disc", "polka dots", "motor: low buzz with strong tremolo"),
    ShapeClass("ring", "spokes", "siren: frequency warble"),
    ShapeClass("star", "stripes", "bird: rising chirps"),
    ShapeClass("cross", "checks", "rattle: train of broadband clicks"),
    ShapeClass("triangle", "waves", "beeper: gated tone"),
    ShapeClass("square", "lattice", "organ: steady harmonic stack"),
    ShapeClass("crescent", "gradient", "steam: high band of noise"),
    ShapeClass("flower", "target rings", "bell: decaying inharmonic strikes"),
)

CLASSES = tuple(kind.name for kind in KINDS)
"""Names of the class ids 1..8."""
