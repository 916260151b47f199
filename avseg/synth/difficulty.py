"""How hard a clip is: one name fixes every range that scenes and soundtracks are drawn from."""

from __future__ import annotations

from dataclasses import dataclass

from avseg.config import did_you_mean


@dataclass(frozen=True)
class Difficulty:
    """Ranges of the draws; lengths are shares of the picture's height, levels are decibels."""

    objects: tuple[int, ...]
    """Counts of visible objects, each as likely as it is often listed."""
    diameter: tuple[float, float]
    overlap: float
    """Largest share of the smaller circle's diameter that two objects may cover of each other; negative: a gap."""
    sway: float
    """Largest amplitude of an object's motion."""
    contrast: float
    """Contrast of the background, 0..1."""
    snr: tuple[float, float]
    """Level of a nominal source over the background noise."""
    loudness: float
    """Sources differ from the nominal level by up to plus or minus this."""
    offscreen: float
    """Probability of a sound without a visible source."""
    jitter: float
    """Starts and stops lie up to this many seconds beside whole seconds."""


DIFFICULTIES = {
    "easy": Difficulty((2, 2, 3), (0.30, 0.40), -0.05, 0.08, 0.35, (28.0, 32.0), 1.0, 0.0, 0.0),
    "standard": Difficulty((2, 3, 4, 4), (0.24, 0.38), 0.22, 0.14, 0.6, (16.0, 22.0), 3.0, 0.25, 0.0),
    "hard": Difficulty((3, 4, 5, 6), (0.16, 0.36), 0.6, 0.24, 1.0, (4.0, 10.0), 6.0, 0.5, 0.4),
}


def get_difficulty(name: str) -> Difficulty:
    """The difficulty of this name.

    Raises:
        ValueError: no such difficulty.
    """
    if name not in DIFFICULTIES:
        raise ValueError(f"unknown difficulty {name!r}; {did_you_mean(name, DIFFICULTIES)}")
    return DIFFICULTIES[name]
