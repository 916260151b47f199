"""The eight timbres. Each takes moments (s) and its own random numbers and gives a wave of root mean square 1.

Pitch, rate, colour of tone and slow swell are drawn per source, so a class is known by its kind of sound alone.
No timbre leaves more than a third of a second without sound.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16000
Wave: TypeAlias = NDArray[np.float32]
Timbre: TypeAlias = Callable[[NDArray[np.float64], np.random.Generator], Wave]

_TABLE = 2048
_CREST = 12.0
"""No wave peaks higher than this; clicks are turned down to it."""


def _additive(phase: NDArray[np.float64], amplitudes: Sequence[float]) -> Wave:
    """A periodic tone read from one period; `phase` in turns, `amplitudes` of the harmonics 1, 2, ..."""
    turn = 2 * np.pi * np.arange(_TABLE) / _TABLE
    period = sum(a * np.sin((n + 1) * turn + 1.7 * n * n) for n, a in enumerate(amplitudes))
    places = (phase * _TABLE).astype(np.int64) & (_TABLE - 1)
    wave: Wave = np.asarray(period, np.float32)[places]
    return wave


def _cycle(times: NDArray[np.float64], rate: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Where each moment lies in a repeated pattern, in [0, 1)."""
    return np.mod(times * rate + rng.random(), 1.0)


def _motor(times: NDArray[np.float64], rng: np.random.Generator) -> Wave:
    harmonics = rng.uniform(0.5, 1.0, 6) / np.arange(1, 7) ** 0.5
    tone = _additive(times * rng.uniform(110, 190), list(harmonics))
    beat = np.sin(2 * np.pi * _cycle(times, rng.uniform(7, 11), rng))
    return tone * (1 + 0.85 * beat).astype(np.float32)


def _siren(times: NDArray[np.float64], rng: np.random.Generator) -> Wave:
    pitch, rate, depth = rng.uniform(700, 1300), rng.uniform(2.0, 4.0), rng.uniform(0.3, 0.45)
    swing = np.cos(2 * np.pi * (times * rate + rng.random()))
    # The phase is the integral of pitch * (1 + depth * sin(2 pi rate t)).
    return _additive(pitch * times - pitch * depth / (2 * np.pi * rate) * swing + 1e3, [1.0, 0.35, 0.12])


def _bird(times: NDArray[np.float64], rng: np.random.Generator) -> Wave:
    low, ratio, rate = rng.uniform(1700, 2500), rng.uniform(2.0, 2.5), rng.uniform(4.0, 6.0)
    place = _cycle(times, rate, rng)
    duty = rng.uniform(0.6, 0.75)
    rise = np.minimum(place / duty, 1.0)
    phase = low / rate * duty * (rise + (ratio - 1) * rise**2 / 2)
    return np.sin(2 * np.pi * phase).astype(np.float32) * np.sin(np.pi * rise).astype(np.float32)


def _rattle(times: NDArray[np.float64], rng: np.random.Generator) -> Wave:
    rate, decay = rng.uniform(9, 15), rng.uniform(0.006, 0.012)
    since = _cycle(times, rate, rng) / rate
    noise = rng.standard_normal(len(times), np.float32)
    return noise * np.exp(-since / decay).astype(np.float32)


def _beeper(times: NDArray[np.float64], rng: np.random.Generator) -> Wave:
    place = _cycle(times, rng.uniform(4.5, 8), rng)
    tone = _additive(times * rng.uniform(2000, 3400), [1.0, 0.3])
    gate = np.clip(12 * (rng.uniform(0.22, 0.3) - np.abs(place - 0.5)), 0, 1)
    return tone * gate.astype(np.float32)


def _organ(times: NDArray[np.float64], rng: np.random.Generator) -> Wave:
    harmonics = rng.uniform(0.6, 1.0, 10) / np.arange(1, 11) ** 0.6
    return _additive(times * rng.uniform(220, 440), list(harmonics))


def _steam(times: NDArray[np.float64], rng: np.random.Generator) -> Wave:
    length = 1 << (len(times) - 1).bit_length()
    spectrum = np.fft.rfft(rng.standard_normal(length, np.float32))
    frequency = np.fft.rfftfreq(length, 1 / SAMPLE_RATE)
    spectrum *= np.exp(-(((frequency - rng.uniform(4400, 5800)) / rng.uniform(600, 1000)) ** 2))
    return np.fft.irfft(spectrum, length)[: len(times)].astype(np.float32)


def _bell(times: NDArray[np.float64], rng: np.random.Generator) -> Wave:
    pitch, rate = rng.uniform(420, 800), rng.uniform(3.0, 4.5)
    since = _cycle(times, rate, rng) / rate
    partials = np.zeros(len(times), np.float32)
    for ratio, level, decay in ((1.0, 1.0, 0.25), (2.76, 0.8, 0.16), (5.4, 0.6, 0.1), (8.93, 0.35, 0.06)):
        ring = np.sin(2 * np.pi * ratio * pitch * since) * np.exp(-since / decay)
        partials += (level * rng.uniform(0.7, 1.0) * ring).astype(np.float32)
    return partials


TIMBRES: tuple[Timbre, ...] = (_motor, _siren, _bird, _rattle, _beeper, _organ, _steam, _bell)


def play(kind: int, times: NDArray[np.float64], rng: np.random.Generator) -> Wave:
    """(S,) the sound of class id `kind` with a slow swell; its root mean square is 1, or less where peaks tower."""
    wave = voice(kind, times, rng)
    return wave / level(wave)


def voice(kind: int, times: NDArray[np.float64], rng: np.random.Generator) -> Wave:
    """Return the wave without normalisation."""
    wave = TIMBRES[kind - 1](times, rng)
    swell = 1 + 0.3 * np.sin(2 * np.pi * (times * rng.uniform(0.3, 1.2) + rng.random()))
    return wave * swell.astype(np.float32)


def level(wave: Wave) -> np.float32:
    """Return the divisor of a wave: its root mean square, or more for high peaks."""
    mean = float(np.sqrt(np.mean(np.square(wave))))
    return np.float32(max(mean, 1e-6, float(np.abs(wave).max()) / _CREST))
