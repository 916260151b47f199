"""Silhouettes and textures as functions of an object's own coordinates.

Coordinates u (right) and v (down) are in units of the object's radius and turn with it. A silhouette gives a signed
distance, negative inside; a texture gives a mix in [0, 1] of the object's two colours, colours being drawn at random.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Field: TypeAlias = NDArray[np.float32]
Shape: TypeAlias = Callable[[Field, Field], Field]

_TURN = np.float32(2 * np.pi)


def _disc(u: Field, v: Field) -> Field:
    return np.hypot(u, v) - np.float32(0.9)


def _ring(u: Field, v: Field) -> Field:
    return np.abs(np.hypot(u, v) - np.float32(0.7)) - np.float32(0.27)


def _star(u: Field, v: Field) -> Field:
    """Five points: folded into a tenth of a turn, the outline is one line from a tip to the next notch."""
    tip, notch, tenth = 1.08, 0.5, np.pi / 5
    angle = np.abs(np.mod(np.arctan2(v, u), np.float32(2 * tenth)) - np.float32(tenth))
    radius = np.hypot(u, v)
    x, y = radius * np.cos(angle), radius * np.sin(angle)
    # The notch lies at angle 0 and the tip at a tenth of a turn.
    dx, dy = tip * np.cos(tenth) - notch, tip * np.sin(tenth)
    length = np.hypot(dx, dy)
    return ((x - np.float32(notch)) * np.float32(dy / length) - y * np.float32(dx / length)).astype(np.float32)


def _cross(u: Field, v: Field) -> Field:
    a, b = np.abs(u), np.abs(v)
    long, short = np.maximum(a, b), np.minimum(a, b)
    return np.maximum(long - np.float32(0.98), short - np.float32(0.33))


def _triangle(u: Field, v: Field) -> Field:
    slope = np.abs(u) * np.float32(np.sqrt(0.75)) - v * np.float32(0.5)
    return np.maximum(slope, v) - np.float32(0.56)


def _square(u: Field, v: Field) -> Field:
    out: Field = np.maximum(np.abs(u), np.abs(v)) - np.float32(0.78)
    return out


def _crescent(u: Field, v: Field) -> Field:
    bite = np.hypot(u - np.float32(0.52), v) - np.float32(0.72)
    out: Field = np.maximum(np.hypot(u, v) - np.float32(0.98), -bite)
    return out


def _flower(u: Field, v: Field) -> Field:
    radius = np.hypot(u, v)
    petals = np.float32(0.74) + np.float32(0.24) * np.cos(np.float32(5) * np.arctan2(v, u))
    out: Field = (radius - petals) * np.float32(0.75)
    return out


def _crisp(wave: Field) -> Field:
    """A wave in [-1, 1] as a mix with soft but quick borders."""
    out: Field = np.clip(np.float32(0.5) + np.float32(1.8) * wave, 0, 1)
    return out


def _dots(u: Field, v: Field) -> Field:
    a, b = (np.mod(w * np.float32(2.2), 1) - np.float32(0.5) for w in (u, v))
    return _crisp(np.float32(2) * (np.float32(0.3) - np.hypot(a, b)))


def _spokes(u: Field, v: Field) -> Field:
    return _crisp(np.sin(np.float32(7) * np.arctan2(v, u)))


def _stripes(u: Field, v: Field) -> Field:
    return _crisp(np.sin(_TURN * np.float32(2.2) * u))


def _checks(u: Field, v: Field) -> Field:
    step = _TURN * np.float32(1.5)
    return _crisp(np.sin(step * u) * np.sin(step * v))


def _waves(u: Field, v: Field) -> Field:
    return _crisp(np.sin(_TURN * (np.float32(2.4) * v + np.float32(0.35) * np.sin(np.float32(7) * u))))


def _lattice(u: Field, v: Field) -> Field:
    step = _TURN * np.float32(1.6)
    return _crisp(np.maximum(np.cos(step * u), np.cos(step * v)) - np.float32(0.6))


def _gradient(u: Field, v: Field) -> Field:
    out: Field = np.clip(np.float32(0.5) + np.float32(0.55) * v, 0, 1)
    return out


def _target(u: Field, v: Field) -> Field:
    return _crisp(np.cos(_TURN * np.float32(2.3) * np.hypot(u, v)))


SILHOUETTES: tuple[Shape, ...] = (_disc, _ring, _star, _cross, _triangle, _square, _crescent, _flower)
TEXTURES: tuple[Shape, ...] = (_dots, _spokes, _stripes, _checks, _waves, _lattice, _gradient, _target)
REACH = 1.15
"""No silhouette reaches farther than this many radii from its centre."""


def antialias(distance: Field, pixels: float) -> Field:
    """Cover in [0, 1] of pixels at this signed distance (in radii), the radius being `pixels` long."""
    out: Field = np.clip(np.float32(0.5) - distance * np.float32(pixels), 0, 1)
    return out
