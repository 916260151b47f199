"""The scene: objects on smooth paths over a moving background, as functions of time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from avseg.synth.classes import KINDS
from avseg.synth.difficulty import Difficulty

Colour = tuple[float, float, float]
STRIDE = 2.0
"""s, how long a body takes to come in or to leave."""
TWIN_GAP = 0.35
"""Two objects of one class stay this far apart (share of the picture's width), so that stereo tells them apart."""
_TRIES = 60


def generator(seed: int, index: int, stream: int) -> np.random.Generator:
    """Random numbers that follow (seed, index, stream) alone: 0 scene, 1 soundtrack, 2 and up the sources.

    Raises:
        ValueError: a negative seed or index.
    """
    if seed < 0 or index < 0:
        raise ValueError(f"got seed {seed} and index {index}; both must be 0 or greater")
    return np.random.default_rng(np.random.SeedSequence([seed, index, stream]))


class Way(Protocol):
    """One coordinate of a body as a function of time."""

    def at(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """(T,) in picture heights."""
        ...


@dataclass(frozen=True)
class Swing:
    """One coordinate's way: `centre + reach * sin(2 pi t / period + phase)`."""

    centre: float
    reach: float
    period: float
    phase: float

    def at(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        return self.centre + self.reach * np.sin(2 * np.pi * times / self.period + self.phase)


@dataclass(frozen=True)
class Visit:
    """A way with doors: beyond the picture's border for some stretches, `STRIDE` seconds of walking around each."""

    home: Swing
    outside: float
    """Where the body is while it is away."""
    away: tuple[tuple[float, float], ...]
    """(start, end) in seconds; a stretch may begin before the scene or end behind it."""

    def at(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        gone = np.zeros(len(times))
        for start, end in self.away:
            gone = np.maximum(gone, np.clip(1 + np.minimum(times - start, end - times) / STRIDE, 0, 1))
        gone = gone * gone * (3 - 2 * gone)
        return self.home.at(times) * (1 - gone) + self.outside * gone


@dataclass(frozen=True)
class Body:
    """A visible object. Lengths are in picture heights; x runs from 0 to the scene's aspect, y from 0 to 1."""

    kind: int
    """Class id, 1..8."""
    radius: float
    x: Way
    y: Way
    angle: float
    spin: float
    """Radians a second."""
    colours: tuple[Colour, Colour, Colour]
    """The two of the texture and that of the outline, RGB in [0, 1]."""
    rimmed: bool = False
    """It wears a broad bright rim, the sign of those whose sound pulses (`soundtrack.pulses`)."""


@dataclass(frozen=True)
class Backdrop:
    """A drifting texture: value noise of three sizes and a running wave, mixed from three colours."""

    seed: int
    colours: tuple[Colour, Colour, Colour]
    drift: tuple[float, float]
    """Picture heights a second, (x, y)."""
    wave: tuple[float, float, float]
    """Turns per picture height in x and in y, turns per second."""
    contrast: float


@dataclass(frozen=True)
class Scene:
    """Bodies from the farthest to the nearest, before a backdrop."""

    bodies: tuple[Body, ...]
    backdrop: Backdrop
    seconds: int
    aspect: float = 1.0
    """Width over height."""

    def positions(self, times: NDArray[np.float64]) -> NDArray[np.float32]:
        """(N, T) horizontal positions of the bodies in [0, 1], 0 being the left border."""
        x = [body.x.at(times) / self.aspect for body in self.bodies]
        return np.clip(np.array(x, np.float32).reshape(len(self.bodies), len(times)), 0, 1)


def draw_scene(
    rng: np.random.Generator, difficulty: Difficulty, seconds: int, *, aspect: float = 1.0, twins: bool = False
) -> Scene:
    """A random scene; with `twins`, half of them hold two objects of one class at places well apart."""
    count = int(rng.choice(difficulty.objects))
    kinds = [int(kind) for kind in rng.permutation(len(KINDS))[:count] + 1]
    if twins and rng.random() < 0.5:
        kinds[1] = kinds[0]
    return place_scene(rng, difficulty, kinds, seconds, aspect=aspect)


def place_scene(
    rng: np.random.Generator, difficulty: Difficulty, kinds: list[int], seconds: int, *, aspect: float = 1.0
) -> Scene:
    """A random scene with one body of each of `kinds`; those of one class stand well apart."""
    bodies, attempts = None, 0
    while bodies is None:
        # A narrow picture may hold no such scene; what is allowed then grows until it does.
        allowed = difficulty.overlap + 0.05 * max(0, attempts - 10)
        bodies = _place_all(rng, replace(difficulty, overlap=allowed), kinds, seconds, aspect)
        attempts += 1
    order = rng.permutation(len(kinds))
    return Scene(tuple(bodies[i] for i in order), draw_backdrop(rng, difficulty.contrast), seconds, aspect)


def _place_all(
    rng: np.random.Generator, difficulty: Difficulty, kinds: list[int], seconds: int, aspect: float
) -> list[Body] | None:
    """Bodies that cover each other no more than allowed, or None where the first ones leave no room for the next."""
    times = np.linspace(0, seconds, 4 * seconds + 1)
    bodies: list[Body] = []
    ways: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []
    for kind in kinds:
        for _ in range(_TRIES):
            body = draw_body(rng, kind, difficulty.diameter, difficulty.sway, aspect)
            x, y = body.x.at(times), body.y.at(times)
            if all(
                _clear(body, other, np.hypot(x - a, y - b), difficulty.overlap)
                and (other.kind != kind or np.abs(x - a).min() > TWIN_GAP * aspect)
                for other, (a, b) in zip(bodies, ways, strict=True)
            ):
                bodies.append(body)
                ways.append((x, y))
                break
        else:
            return None
    return bodies


def _clear(body: Body, other: Body, distance: NDArray[np.float64], allowed: float) -> bool:
    depth = body.radius + other.radius - float(distance.min())
    return depth <= allowed * 2 * min(body.radius, other.radius)


def draw_body(
    rng: np.random.Generator, kind: int, diameter: tuple[float, float], sway: float, aspect: float = 1.0
) -> Body:
    """A body anywhere in the picture, of random size, way and colours."""
    radius = float(rng.uniform(*diameter)) / 2 * min(1.0, aspect)
    x, y = (_swing(rng, extent, radius, sway) for extent in (aspect, 1.0))
    angle, spin = float(rng.uniform(0, 2 * np.pi)), float(rng.uniform(-0.7, 0.7))
    return Body(kind, radius, x, y, angle, spin, draw_colours(rng))


def _swing(rng: np.random.Generator, extent: float, radius: float, sway: float) -> Swing:
    reach = float(rng.uniform(0.2, 1.0)) * max(0.0, min(sway, extent / 2 - 0.95 * radius))
    margin = 0.9 * radius + reach
    return Swing(float(rng.uniform(margin, extent - margin)), reach, float(rng.uniform(4, 9)), float(rng.uniform(0, 7)))


def draw_colours(rng: np.random.Generator) -> tuple[Colour, Colour, Colour]:
    """Two colours of clearly different lightness and a dark or light outline; they follow no class."""
    hues = rng.random(2)
    bright = _hsv(hues[0], rng.uniform(0.15, 0.9), rng.uniform(0.85, 1.0))
    deep = _hsv(hues[1], rng.uniform(0.5, 1.0), rng.uniform(0.25, 0.6))
    pair = (bright, deep) if rng.random() < 0.5 else (deep, bright)
    level = float(rng.choice([0.05, 0.97]))
    return (*pair, (level, level, level))


def draw_backdrop(rng: np.random.Generator, contrast: float) -> Backdrop:
    """A random backdrop whose colours stay muted."""
    colours = tuple(_hsv(rng.random(), rng.uniform(0.1, 0.55), rng.uniform(0.25, 0.8)) for _ in range(3))
    drift = tuple(float(d) for d in rng.uniform(-0.08, 0.08, 2))
    wave = (float(rng.uniform(-9, 9)), float(rng.uniform(-9, 9)), float(rng.uniform(-1, 1)))
    return Backdrop(int(rng.integers(2**31)), colours, drift, wave, contrast)  # type: ignore[arg-type]


def _hsv(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = (
        value - value * saturation * max(0.0, min(1.0, min(k, 4 - k)))
        for k in ((n + 6 * float(hue)) % 6 for n in (5, 3, 1))
    )
    return float(red), float(green), float(blue)
