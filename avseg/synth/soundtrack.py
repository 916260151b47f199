"""The soundtrack: times of sounding objects, and their mix in mono or in stereo panned by position."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avseg.synth.classes import KINDS
from avseg.synth.difficulty import Difficulty
from avseg.synth.scene import Scene
from avseg.synth.timbres import SAMPLE_RATE, Wave, play

Intervals = tuple[tuple[float, float], ...]
LEVEL = 0.06
"""Root mean square of a nominal source."""
FADE = 0.02
_SILENT = (0.0, 0.0, 0.0, 0.2, 0.2, 0.4)
"""Shares of a clip in which no visible body sounds, each as likely as it is often listed."""


@dataclass(frozen=True)
class Source:
    """One sounding thing: a visible body by its place in the scene, or (`body` None) something off-screen."""

    kind: int
    """Class id, 1..8."""
    intervals: Intervals
    """When it sounds, (start, end) in seconds."""
    body: int | None
    loudness: float = 0.0
    """dB over the nominal level."""
    side: float = 0.0
    """Where an off-screen source is heard, 0 left to 1 right."""
    seed: int = 0
    """Fixes pitch, rate, swell and noise of the sound."""
    pulsing: bool = False
    """It comes and goes twice a second (`pulses`), as the sounds of rimmed bodies do."""

    def sounding(self, times: NDArray[np.float64], span: float = 1.0) -> NDArray[np.bool_]:
        """(T,) whether it sounds for at least half of [t, t + span)."""
        heard = np.zeros(len(times))
        for start, end in self.intervals:
            heard += np.clip(np.minimum(end, times + span) - np.maximum(start, times), 0, None)
        return heard >= span / 2 - 1e-9


@dataclass(frozen=True)
class Soundtrack:
    """All sources and the noise behind them."""

    sources: tuple[Source, ...]
    snr: float
    """dB of a nominal source over the noise."""
    seed: int = 0

    def bodies_sounding(self, bodies: int, times: NDArray[np.float64], span: float = 1.0) -> NDArray[np.bool_]:
        """(N, T) which of the visible bodies sound in [t, t + span)."""
        table = np.zeros((bodies, len(times)), bool)
        for source in self.sources:
            if source.body is not None:
                table[source.body] |= source.sounding(times, span)
        return table

    def classes_heard(self, times: NDArray[np.float64], span: float = 1.0) -> NDArray[np.bool_]:
        """(T, 8) which classes are to be heard, off-screen ones included."""
        table = np.zeros((len(times), len(KINDS)), bool)
        for source in self.sources:
            table[:, source.kind - 1] |= source.sounding(times, span)
        return table


def draw_soundtrack(
    rng: np.random.Generator, scene: Scene, difficulty: Difficulty, sources: int | None = None
) -> Soundtrack:
    """Random sources for a scene, `sources` fixing how many bodies sound; at least one body never does.

    No more than half of the bodies sound at once, of two of one class only one, and off-screen sounds are of classes
    that no visible body has.
    """
    chosen = _choose_bodies(rng, scene, sources)
    table = _draw_schedule(rng, len(chosen), scene.seconds, max(1, len(scene.bodies) // 2))
    drawn = [
        _draw_source(rng, scene.bodies[body].kind, intervals_of(rng, row, difficulty.jitter), difficulty, body)
        for body, row in zip(chosen, table, strict=False)
    ]
    absent = sorted(set(range(1, len(KINDS) + 1)) - {body.kind for body in scene.bodies})
    if absent and rng.random() < difficulty.offscreen:
        row = _draw_schedule(rng, 1, scene.seconds, 1)[0]
        drawn.append(_draw_source(rng, int(rng.choice(absent)), intervals_of(rng, row, difficulty.jitter), difficulty))
    return Soundtrack(tuple(drawn), float(rng.uniform(*difficulty.snr)), int(rng.integers(2**31)))


def _choose_bodies(rng: np.random.Generator, scene: Scene, sources: int | None) -> list[int]:
    """Which bodies sound at some time: no two of one class, never all of them."""
    most = max(1, len(scene.bodies) - 1)
    wanted = min(most, sources) if sources is not None else int(rng.integers(1, most + 1))
    chosen: list[int] = []
    for body in rng.permutation(len(scene.bodies)):
        if len(chosen) < wanted and all(scene.bodies[c].kind != scene.bodies[body].kind for c in chosen):
            chosen.append(int(body))
    return chosen


def _draw_schedule(rng: np.random.Generator, sources: int, seconds: int, limit: int) -> NDArray[np.bool_]:
    """(sources, seconds) one run of whole seconds each, no more than `limit` at once, some seconds without any.

    Sources that find no room in a very short clip are left out.
    """
    second = np.arange(seconds)
    silent = min(seconds - 1, round(seconds * float(rng.choice(_SILENT))))
    sources = min(sources, limit * (seconds - silent))
    while sources:
        length = rng.integers(1, seconds + 1, sources)
        start = rng.integers(0, seconds - length + 1)
        table = (second >= start[:, None]) & (second < (start + length)[:, None])
        if table.sum(0).max() <= limit and (~table.any(0)).sum() == silent:
            return np.asarray(table)
    return np.zeros((0, seconds), bool)


def intervals_of(rng: np.random.Generator, row: NDArray[np.bool_], jitter: float) -> Intervals:
    """The runs of a row as times, moved by up to `jitter` seconds at each end."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], row.astype(int), [0]]))).reshape(-1, 2)
    moved = np.clip(edges + rng.uniform(-jitter, jitter, edges.shape), 0, len(row))
    return tuple((float(a), float(b)) for a, b in moved if b - a > FADE)


def _draw_source(
    rng: np.random.Generator, kind: int, intervals: Intervals, difficulty: Difficulty, body: int | None = None
) -> Source:
    loudness = float(rng.uniform(-difficulty.loudness, difficulty.loudness))
    return Source(kind, intervals, body, loudness, float(rng.integers(2)), int(rng.integers(2**31)))


def soundtrack_for(
    scene: Scene, classes: Sequence[int], *, intervals: Intervals | None = None, snr: float = 20.0, seed: int = 0
) -> Soundtrack:
    """A soundtrack in which the given class ids sound, all the time or in `intervals`; absent ones off-screen.

    Raises:
        ValueError: a class id outside 1..8.
    """
    when = intervals or ((0.0, float(scene.seconds)),)
    sources = []
    for order, kind in enumerate(classes):
        if not 1 <= kind <= len(KINDS):
            raise ValueError(f"got class id {kind}, wanted 1 to {len(KINDS)}")
        body = next((i for i, b in enumerate(scene.bodies) if b.kind == kind), None)
        sources.append(Source(kind, when, body, seed=seed * 1009 + order))
    return Soundtrack(tuple(sources), snr, seed)


def render_sound(scene: Scene, soundtrack: Soundtrack, *, stereo: bool = False) -> NDArray[np.float32]:
    """(1, S) or (2, S) at 16 kHz in [-1, 1]. Mono is the sum of left and right."""
    samples = scene.seconds * SAMPLE_RATE
    rng = np.random.default_rng(np.random.SeedSequence([soundtrack.seed, 1]))
    noise = LEVEL * 10 ** (-soundtrack.snr / 20)
    both = rng.standard_normal((2, samples), np.float32) * np.float32(noise / np.sqrt(2))
    for source in soundtrack.sources:
        for number, interval in enumerate(source.intervals):
            first, wave = _play_interval(source, interval, number, samples)
            right = _pan(scene, source, first, len(wave))
            both[0, first : first + len(wave)] += wave * (1 - right)
            both[1, first : first + len(wave)] += wave * right
    sound = both if stereo else both.sum(0, keepdims=True)
    peak = float(np.abs(both.sum(0)).max(initial=0.0))
    return np.asarray(sound if peak <= 0.95 else sound * np.float32(0.95 / peak))


def _play_interval(source: Source, interval: tuple[float, float], number: int, samples: int) -> tuple[int, Wave]:
    """The first sample and the wave of one interval, with short fades at its ends."""
    first, last = (min(samples, max(0, round(edge * SAMPLE_RATE))) for edge in interval)
    times = np.arange(first, last) / SAMPLE_RATE
    wave = play(source.kind, times, np.random.default_rng(np.random.SeedSequence([source.seed, number])))
    ramp = np.minimum(np.arange(len(wave)) + 0.5, np.arange(len(wave))[::-1] + 0.5) / (FADE * SAMPLE_RATE)
    if source.pulsing:
        wave = wave * pulses(times, source.seed)
    gain = LEVEL * 10 ** (source.loudness / 20)
    return first, wave * (np.minimum(ramp, 1) * gain).astype(np.float32)


def pulses(times: NDArray[np.float64], seed: int) -> Wave:
    """(S,) factors that are 0 for a quarter of a second about twice a second, with soft edges; 1 in the mean square.

    No timbre by itself is silent for so long, so pulsing is heard whatever the class.
    """
    rng = np.random.default_rng(np.random.SeedSequence([seed, 2]))
    place = np.mod(times * rng.uniform(1.8, 2.2) + rng.random(), 1.0)
    gate = np.clip(12 * (0.27 - np.abs(place - 0.5)), 0, 1)
    return (1.5 * gate).astype(np.float32)


def _pan(scene: Scene, source: Source, first: int, length: int) -> Wave:
    """(length,) share of the right channel; a body's follows its way (read every 50 ms)."""
    if source.body is None:
        return np.full(length, source.side, np.float32)
    times = np.arange(first, first + length) / SAMPLE_RATE
    coarse = np.linspace(times[0], times[-1], max(2, round((times[-1] - times[0]) * 20)))
    places = scene.positions(coarse)[source.body]
    share: Wave = np.interp(times, coarse, places).astype(np.float32)
    return share
