"""When each noun sounds: probabilities of labels to nouns, and nouns to spans of seconds by hysteresis."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from avseg.models.zeroshot.config import GateConfig
from avseg.models.zeroshot.names import Nouns

Floats = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]


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


def smoothed(sounding: Flags, config: GateConfig) -> Flags:
    """(S, N) flags of consecutive seconds: gaps bridged, then short spans dropped, then padded.

    A second that is padded in part counts whole.
    """
    if not (config.gap or config.shortest or config.pad):
        return sounding
    kept = np.zeros_like(sounding)
    pad = math.ceil(config.pad)
    for noun in range(sounding.shape[1]):
        for begin, end in spans(sounding[:, noun], config.gap):
            if end - begin >= config.shortest:
                kept[max(0, begin - pad) : end + pad, noun] = True
    return kept


def spans(sounding: Flags, gap: float = 0.0) -> list[tuple[int, int]]:
    """(begin, end) of the runs of (S,) flags; those with at most `gap` seconds between them are one."""
    found: list[tuple[int, int]] = []
    for second in np.flatnonzero(sounding).tolist():
        if found and second - found[-1][1] <= gap:
            found[-1] = (found[-1][0], second + 1)
        else:
            found.append((second, second + 1))
    return found
