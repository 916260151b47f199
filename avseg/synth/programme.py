"""The programme of a long synthetic video: visible and sounding objects over time (docs/reference/synthetic.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from avseg.synth.classes import KINDS
from avseg.synth.difficulty import Difficulty, get_difficulty
from avseg.synth.options import LONGEST_SIDE
from avseg.synth.picture import RIM
from avseg.synth.scene import Body, Scene, Swing, Visit, generator, place_scene
from avseg.synth.shapes import REACH
from avseg.synth.soundtrack import Soundtrack, Source, intervals_of

SHOWN_AFTER = 0.5
"""The frame of the second [k, k + 1) is the picture at k + 0.5 s."""
LONGEST = 86_400
"""s of a video; more is a slip of the keyboard."""
MOST_BODIES = 6
_AT_ONCE = (0.035, 0.285, 0.48, 0.14, 0.06)
"""How likely 0, 1, ... bodies sound at once; a tenth of them is not seen. AVISeg: 6 %, 36 %, 46 %, 8 %, 4 %."""
_TWINS = 0.5
"""Share of videos with two bodies of one class."""
_CHORUS = 0.5
"""Share of these whose twins always sound together."""
_VISITS = 0.3
"""Share of bodies that are away for a while."""
_MUTE = 0.5
"""Share of videos of four bodies or more in which one never sounds."""
_STREAM = 8
_DRAWS = 1000


@dataclass(frozen=True)
class VideoSpec:
    """The properties of a long video."""

    difficulty: str = "standard"
    seconds: tuple[int, int] = (30, 120)
    """The shortest and the longest; a video has one frame a second."""
    size: int | tuple[int, int] = (360, 640)
    """The side in pixels, or (H, W)."""
    stretch: tuple[int, int] = (2, 10)
    """The shortest and the longest time in s without a change of who sounds."""

    def __post_init__(self) -> None:
        timed = 1 <= self.seconds[0] <= self.seconds[1] <= LONGEST
        if not timed or min(self.shape) < 8 or max(self.shape) > LONGEST_SIDE:
            raise ValueError(
                f"got seconds {self.seconds} and size {self.size}, wanted 1 to {LONGEST} seconds, the fewest first, "
                f"and sides of 8 to {LONGEST_SIDE} pixels"
            )
        if not 1 <= self.stretch[0] <= self.stretch[1]:
            raise ValueError(f"got stretch {self.stretch}, wanted 1 or more seconds, the fewest first")
        get_difficulty(self.difficulty)

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W)."""
        return (self.size, self.size) if isinstance(self.size, int) else self.size


def draw_video(seed: int, index: int, spec: VideoSpec) -> tuple[Scene, Soundtrack]:
    """Return the programme of the long video `index` of the world `seed`.

    Raises:
        ValueError: a negative seed or index.
    """
    rng = generator(seed, index, _STREAM)
    difficulty = get_difficulty(spec.difficulty)
    seconds = int(rng.integers(spec.seconds[0], spec.seconds[1] + 1))
    scene, chorus = _draw_scene(rng, difficulty, seconds, spec.shape[1] / spec.shape[0])
    return scene, _draw_sound(generator(seed, index, _STREAM + 1), scene, spec, chorus)


def _draw_scene(
    rng: np.random.Generator, difficulty: Difficulty, seconds: int, aspect: float
) -> tuple[Scene, tuple[int, ...]]:
    """A scene of one body more than a short clip has, and which of them sound together always (two or none)."""
    count = min(MOST_BODIES, int(rng.choice(difficulty.objects)) + 1)
    kinds = [int(kind) for kind in rng.permutation(len(KINDS))[:count] + 1]
    if rng.random() < _TWINS:
        kinds[1] = kinds[0]
    scene = place_scene(rng, _crowded(difficulty, count), kinds, seconds, aspect=aspect)
    rims = rng.random(count) < 0.5
    twins = tuple(i for i, body in enumerate(scene.bodies) if [b.kind for b in scene.bodies].count(body.kind) == 2)
    together = bool(twins) and rng.random() < _CHORUS
    if twins:
        rims[twins[1]] = rims[twins[0]] == together
    bodies = [
        _with_doors(rng, replace(body, rimmed=bool(rim)), seconds, aspect)
        for body, rim in zip(scene.bodies, rims, strict=True)
    ]
    return replace(scene, bodies=tuple(bodies)), twins if together else ()


def _crowded(difficulty: Difficulty, bodies: int) -> Difficulty:
    """Where many bodies move for long they are smaller and may hide more of each other."""
    scale = min(1.0, (4 / bodies) ** 0.5)
    diameter = (difficulty.diameter[0] * scale, difficulty.diameter[1] * scale)
    return replace(difficulty, diameter=diameter, overlap=difficulty.overlap + 0.15)


def _with_doors(rng: np.random.Generator, body: Body, seconds: int, aspect: float) -> Body:
    """The body, some of them away for a stretch: they come late, leave early, or come back."""
    away, length, left = rng.random() < _VISITS, rng.uniform(0.15, 0.4) * seconds, rng.random() < 0.5
    start = float(rng.uniform(-length / 2, seconds - length / 2))
    if not away or not isinstance(body.x, Swing):
        return body
    reach = body.radius * RIM * REACH
    return replace(body, x=Visit(body.x, -reach if left else aspect + reach, ((start, start + float(length)),)))


def _draw_sound(rng: np.random.Generator, scene: Scene, spec: VideoSpec, chorus: tuple[int, ...]) -> Soundtrack:
    """Random sources; who sounds follows nothing that is to be seen."""
    difficulty = get_difficulty(spec.difficulty)
    units = [chorus] if chorus else []
    units += [(i,) for i in range(len(scene.bodies)) if i not in chorus]
    if len(scene.bodies) >= 4 and rng.random() < _MUTE:
        del units[int(rng.integers(len(units)))]
    table = _draw_seen_programme(rng, units, scene, spec.stretch)
    seeds, loudness = rng.integers(2**31, size=len(table)), rng.uniform(-1, 1, len(table)) * difficulty.loudness
    sources = []
    for number, (body, row) in enumerate(zip(scene.bodies, table, strict=True)):
        # Whoever sounds together starts and stops together, to the sample.
        leader = min(chorus) if number in chorus else number
        when = intervals_of(np.random.default_rng(int(seeds[leader])), row, difficulty.jitter)
        if when:
            sources.append(
                Source(body.kind, when, number, float(loudness[number]), 0.0, int(seeds[number]), body.rimmed)
            )
    absent = sorted(set(range(1, len(KINDS) + 1)) - {body.kind for body in scene.bodies})
    if rng.random() < difficulty.offscreen:
        sources.append(_draw_offscreen(rng, int(rng.choice(absent)), scene.seconds, difficulty))
    return Soundtrack(tuple(sources), float(rng.uniform(*difficulty.snr)), int(rng.integers(2**31)))


def _draw_offscreen(rng: np.random.Generator, kind: int, seconds: int, difficulty: Difficulty) -> Source:
    """A sound of a class that is not to be seen, for up to a quarter of the video."""
    length = int(rng.integers(1, max(2, seconds // 4 + 1)))
    start = int(rng.integers(0, seconds - length + 1))
    loudness = float(rng.uniform(-difficulty.loudness, difficulty.loudness))
    when = ((float(start), float(start + length)),)
    return Source(kind, when, None, loudness, float(rng.integers(2)), int(rng.integers(2**31)), rng.random() < 0.5)


def _draw_seen_programme(
    rng: np.random.Generator, units: Sequence[tuple[int, ...]], scene: Scene, stretch: tuple[int, int]
) -> NDArray[np.bool_]:
    """(bodies, seconds) a programme in which somebody sounds, and is at home for some of the time that it does."""
    times = np.arange(scene.seconds, dtype=np.float64) + SHOWN_AFTER
    places = np.array([body.x.at(times) for body in scene.bodies])
    home = (places > 0) & (places < scene.aspect)
    table = np.zeros_like(home)
    for _ in range(_DRAWS):
        table = _draw_programme(rng, units, home.shape, stretch)
        if table.any() and (table.any(1) <= (table & home).any(1)).all():
            break
    return table


def _draw_programme(
    rng: np.random.Generator, units: Sequence[tuple[int, ...]], shape: tuple[int, ...], lengths: tuple[int, int]
) -> NDArray[np.bool_]:
    """(bodies, seconds) stretch after stretch with its own choice of units; one body at least is always silent."""
    bodies, seconds = shape
    table = np.zeros((bodies, seconds), bool)
    second = 0
    while second < seconds:
        stretch = slice(second, second + int(rng.integers(lengths[0], lengths[1] + 1)))
        wanted = min(int(rng.choice(len(_AT_ONCE), p=_AT_ONCE)), bodies - 1)
        for place in rng.permutation(len(units)):
            if len(units[place]) <= wanted:
                table[list(units[place]), stretch] = True
                wanted -= len(units[place])
        second = stretch.stop
    return table
