"""The sound of long videos, second by second: any second can be made without the others."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from avseg.synth.scene import Scene
from avseg.synth.soundtrack import FADE, Soundtrack, Source, pulses
from avseg.synth.timbres import SAMPLE_RATE, Wave, level, voice

LEVEL = 0.04
"""Root mean square of a nominal source in the mean of both channels."""
_MOST = 0.99


def render_seconds(
    scene: Scene, soundtrack: Soundtrack, seconds: Iterable[int] | None = None, *, stereo: bool = False
) -> NDArray[np.float32]:
    """(1, S) or (2, S) at 16 kHz in [-1, 1], the length of the scene. Mono is the mean of left and right.

    Args:
        seconds: Only these are made, the rest is digital silence; None: all.
        stereo: Bodies are panned by where they are, linearly.
    """
    sound = np.zeros((1 + stereo, scene.seconds * SAMPLE_RATE), np.float32)
    for second in sorted(set(range(scene.seconds) if seconds is None else seconds)):
        both = _render_second(scene, soundtrack, second)
        place = slice(second * SAMPLE_RATE, (second + 1) * SAMPLE_RATE)
        sound[:, place] = both if stereo else both.mean(0)
    return sound


def _render_second(scene: Scene, soundtrack: Soundtrack, second: int) -> Wave:
    """(2, 16000)."""
    times = second + np.arange(SAMPLE_RATE) / SAMPLE_RATE
    rng = np.random.default_rng(np.random.SeedSequence([soundtrack.seed, 1, second]))
    noise = LEVEL * np.sqrt(2) * 10 ** (-soundtrack.snr / 20)
    both: Wave = rng.standard_normal((2, SAMPLE_RATE), np.float32) * np.float32(noise)
    for source in soundtrack.sources:
        if any(start < second + 1 and end > second for start, end in source.intervals):
            wave = _wave(source, times)
            right = _share_of_right(scene, source, times)
            both[0] += wave * (2 - 2 * right)
            both[1] += wave * (2 * right)
    return np.clip(both, -_MOST, _MOST, out=both)


def _wave(source: Source, times: NDArray[np.float64]) -> Wave:
    """(16000,) one second of a source at its loudness, with short fades where it starts and stops.

    Its random numbers begin anew with every second, so pitch, rates and phases are those of the second before; only
    noise repeats.
    """
    gain = np.float32(LEVEL * 10 ** (source.loudness / 20) / _level(source.kind, source.seed))
    wave: Wave = _voice(source.kind, source.seed, times) * gain
    if not any(start + FADE <= times[0] and end - FADE >= times[-1] for start, end in source.intervals):
        wave = wave * _cover(source, times)
    return wave * pulses(times, source.seed) if source.pulsing else wave


def _cover(source: Source, times: NDArray[np.float64]) -> Wave:
    """(16000,) 1 while a source sounds, 0 while it is silent."""
    cover = np.zeros(len(times))
    for start, end in source.intervals:
        if start < times[-1] and end > times[0]:
            cover = np.maximum(cover, np.clip(np.minimum(times - start, end - times) / FADE, 0, 1))
    return cover.astype(np.float32)


def _voice(kind: int, seed: int, times: NDArray[np.float64]) -> Wave:
    return voice(kind, times, np.random.default_rng(np.random.SeedSequence([seed, 0])))


@lru_cache(maxsize=8192)
def _level(kind: int, seed: int) -> float:
    """One measure for all seconds of a source, or it would be louder in one than in the next."""
    return float(level(_voice(kind, seed, np.arange(SAMPLE_RATE) / SAMPLE_RATE)))


def _share_of_right(scene: Scene, source: Source, times: NDArray[np.float64]) -> Wave | np.float32:
    """(16000,) share of the right channel; a body's follows its way (read every 50 ms)."""
    if source.body is None:
        return np.float32(source.side)
    coarse = times[0] + np.linspace(0, 1, 21)
    places = np.clip(scene.bodies[source.body].x.at(coarse) / scene.aspect, 0, 1)
    share: Wave = np.interp(times, coarse, places).astype(np.float32)
    return share
