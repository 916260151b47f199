"""The eight classes: what each looks and sounds like, and the classes of AVSS and VPO that stand for it on disk."""

from __future__ import annotations

from typing import NamedTuple


class ShapeClass(NamedTuple):
    """One class of the world; its silhouette and texture are in `shapes`, its timbre in `timbres`."""

    name: str
    texture: str
    timbre: str
    avss: str
    """The class that the AVSS writer uses for it."""
    vpo: str
    """The class that the VPO writer uses for it; its sounds go by the first VGGSound label of that class."""


KINDS = (
    ShapeClass("disc", "polka dots", "motor: low buzz with strong tremolo", "motorcycle", "motorcycle"),
    ShapeClass("ring", "spokes", "siren: frequency warble", "emergency-car", "car"),
    ShapeClass("star", "stripes", "bird: rising chirps", "bird", "bird"),
    ShapeClass("cross", "checks", "rattle: train of broadband clicks", "keyboard", "keyboard"),
    ShapeClass("triangle", "waves", "beeper: gated tone", "clock", "cell phone"),
    ShapeClass("square", "lattice", "organ: steady harmonic stack", "accordion", "airplane"),
    ShapeClass("crescent", "gradient", "steam: high band of noise", "hair-dryer", "skateboard"),
    ShapeClass("flower", "target rings", "bell: decaying inharmonic strikes", "bell", "sports ball"),
)

CLASSES = tuple(kind.name for kind in KINDS)
"""Names of the class ids 1..8."""
