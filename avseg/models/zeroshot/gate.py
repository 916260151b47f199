"""When each noun sounds: probabilities of windows to seconds, and seconds to spans by hysteresis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from avseg.models.zeroshot.config import GateConfig
from avseg.models.zeroshot.names import Nouns

Floats = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Tags:
    """What a tagger says of windows of sound."""

    begins: Floats
    """(N,) s."""
    ends: Floats
    """(N,) s."""
    probabilities: Floats
    """(N, K)."""


@dataclass(frozen=True)
class Span:
    """A noun sounds from `begin` to `end`, in s."""

    noun: int
    begin: float
    end: float
    probability: float
    """Mean over its seconds."""


def by_second(tags: Tags, seconds: Sequence[int]) -> Floats:
    """(S, K): of each second the window whose centre is nearest to its middle, of two the earlier.

    The mean over all windows that touch a second would stretch every span by half a window.
    """
    centres = (np.asarray(tags.begins, np.float64) + tags.ends) / 2
    distance = np.abs(centres[None] - (np.asarray(seconds, np.float64)[:, None] + 0.5))
    return np.asarray(tags.probabilities[np.argmin(distance.round(6), axis=1)], np.float32)


def of_nouns(probabilities: Floats, nouns: Nouns) -> Floats:
    """(S, K) of labels to (S, N) of nouns: the highest of each noun's labels."""
    found = np.zeros((len(probabilities), len(nouns.names)), np.float32)
    for label, places in enumerate(nouns.of_label):
        for place in places:
            np.maximum(found[:, place], probabilities[:, label], out=found[:, place])
    return found


def loudness(sound: Floats, rate: int, start: float, seconds: Sequence[int]) -> Floats:
    """(S,) dBFS RMS of each second of (samples,); -inf where there is no sound."""
    found = np.full(len(seconds), -np.inf, np.float32)
    for row, second in enumerate(seconds):
        begin, end = (max(0, round((t - start) * rate)) for t in (second, second + 1))
        part = sound[begin:end].astype(np.float64)
        power = float(np.mean(part**2)) if len(part) else 0.0
        found[row] = 10 * np.log10(power) if power > 0 else -np.inf
    return found


class Gate:
    """Which nouns sound, second by second; needs no look-ahead, so that pieces give what the whole gives."""

    def __init__(self, config: GateConfig, nouns: Nouns) -> None:
        self.config, self.nouns = config, nouns
        self._on: Flags = np.zeros(len(nouns.names), bool)

    def step(self, probabilities: Floats, decibels: float) -> Flags:
        """(N,) which nouns sound in the next second.

        Args:
            probabilities: (N,) of the nouns.
            decibels: dBFS, RMS of the second.
        """
        if decibels < self.config.silence:
            self._on = np.zeros_like(self._on)
            return self._on.copy()
        self._on = (probabilities >= self.config.on) | (self._on & (probabilities >= self.config.off))
        sounding = self._on.copy()
        if self.config.generic_only_alone:
            for generic, kind in self.nouns.kinds.items():
                sounding[generic] &= not any(sounding[place] for place in kind)
        order = np.argsort(-probabilities, kind="stable")
        best = [place for place in order if sounding[place]][: self.config.most]
        chosen = np.zeros_like(sounding)
        chosen[best] = True
        return chosen


def spans(sounding: Flags, probabilities: Floats, seconds: Sequence[int], config: GateConfig) -> list[Span]:
    """The spans of (S, N) flags, by noun and time: gaps bridged, then short ones dropped, then padded.

    `probabilities`: (S, N).
    """
    found: list[Span] = []
    for noun in range(sounding.shape[1]):
        runs: list[list[int]] = []
        for row in np.flatnonzero(sounding[:, noun]).tolist():
            if runs and seconds[row] - seconds[runs[-1][-1]] - 1 <= config.gap:
                runs[-1].append(row)
            else:
                runs.append([row])
        for run in runs:
            begin, end = float(seconds[run[0]]), float(seconds[run[-1]] + 1)
            if end - begin >= config.shortest:
                mean = float(probabilities[run, noun].mean())
                found.append(Span(noun, max(0.0, begin - config.pad), end + config.pad, mean))
    return found
