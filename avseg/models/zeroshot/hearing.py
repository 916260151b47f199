"""The sounding nouns in each second of a video: windows of sound through tagger and gate, in order, piece by piece."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from avseg.models.zeroshot.config import ZeroShotConfig
from avseg.models.zeroshot.gate import Flags, Floats, Gate, loudness, of_nouns, smoothed
from avseg.models.zeroshot.names import Nouns
from avseg.models.zeroshot.parts import Tagger
from avseg.nn.resample import resample

AT_ONCE = 16
"""Windows in one call of the tagger."""
MOST_TAGS = 5
"""Largest number of reported tags per second."""


@dataclass(frozen=True, eq=False)
class Second:
    """The sounding nouns in one second."""

    number: int
    decibels: float
    """dBFS, RMS; -inf for digital silence."""
    tags: tuple[tuple[str, float], ...]
    """The most probable labels of the tagger."""
    probabilities: Floats
    """(N,) of the nouns."""
    sounding: Flags
    """(N,) which nouns sound."""


class Hearing:
    """The sound of one video. Of each second the window around its middle is heard.

    Sound before the first and behind the last sample is silence.
    """

    def __init__(self, tagger: Tagger, config: ZeroShotConfig, nouns: Nouns) -> None:
        self.seconds: list[Second] = []
        """All that were heard, in order."""
        self._tagger, self._config, self._nouns = tagger, config, nouns
        self._gate = Gate(config.gate, nouns)
        self._half = config.audio.seconds / 2
        self._rate = 0
        self._sound = torch.zeros(0)
        self._begin = 0
        """Number of the first sample held, counted from 0 s."""

    def add(self, sound: Tensor, rate: int, start: float) -> None:
        """Sound (S,) that begins at `start` s; what is held already is passed over.

        Raises:
            ValueError: another rate than before.
        """
        if self._rate not in (0, rate):
            raise ValueError(f"the sound goes on at {rate} Hz after {self._rate} Hz; give it at one rate")
        first, sound = round(start * rate), sound.detach().float().cpu()
        if not self._rate:
            self._rate, self._begin = rate, first
        missing = first - self._begin - len(self._sound)
        self._sound = torch.cat([self._sound, sound.new_zeros(max(missing, 0)), sound[max(-missing, 0) :]])

    def hear(self, first: int, last: int) -> None:
        """Tag the seconds up to `last` that were not tagged; `first` is the one that the video begins with."""
        begin = self.seconds[-1].number + 1 if self.seconds else first
        for number in range(begin, last + 1, AT_ONCE):
            self._hear(range(number, min(number + AT_ONCE, last + 1)))
        keep = round((last + min(1.0, 1.5 - self._half)) * self._rate) - 1
        cut = min(max(keep - self._begin, 0), len(self._sound))
        self._sound, self._begin = self._sound[cut:].clone(), self._begin + cut

    def _hear(self, numbers: range) -> None:
        decibels = loudness(self._sound.numpy(), self._rate, self._begin / self._rate, numbers)
        loud = [k for k, value in enumerate(decibels.tolist()) if value >= self._config.gate.silence]
        labels = np.zeros((len(numbers), len(self._tagger.labels)), np.float32)
        if loud:
            windows = torch.stack([self._window(numbers[k]) for k in loud])
            labels[loud] = self._tagger.tags(self._at_rate(windows)).float().cpu().numpy()
        nouns = of_nouns(labels, self._nouns)
        for k, number in enumerate(numbers):
            sounding = self._gate.step(nouns[k], float(decibels[k]))
            self.seconds.append(Second(number, float(decibels[k]), self._tags(labels[k]), nouns[k], sounding))

    def _tags(self, probabilities: Floats) -> tuple[tuple[str, float], ...]:
        order = np.argsort(-probabilities, kind="stable")[:MOST_TAGS].tolist()
        return tuple((self._tagger.labels[k], float(probabilities[k])) for k in order if probabilities[k] > 0)

    def _window(self, number: int) -> Tensor:
        """(S,) at the rate of the sound."""
        first = round((number + 0.5 - self._half) * self._rate) - self._begin
        stop = first + round(2 * self._half * self._rate)
        held = self._sound[max(first, 0) : max(stop, 0)]
        before = min(max(-first, 0), stop - first)
        return F.pad(held, (before, stop - first - before - len(held)))

    def _at_rate(self, windows: Tensor) -> Tensor:
        """(N, S) at the rate of the tagger."""
        wanted = self._config.sound_rate
        if self._rate == wanted:
            return windows
        samples = round(2 * self._half * wanted)
        brought = resample(windows[:, None], self._rate, wanted)[:, 0, :samples]
        return F.pad(brought, (0, samples - brought.shape[1]))

    def sounding(self) -> Flags:
        """(S, N) of all seconds: gaps bridged, short spans dropped, padded."""
        return smoothed(np.stack([second.sounding for second in self.seconds]), self._config.gate)

    @property
    def reach(self) -> int:
        """s behind a second that must be heard before it is known whether it sounds."""
        gate = self._config.gate
        return math.ceil(gate.gap + gate.shortest + gate.pad)
