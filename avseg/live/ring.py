"""The last seconds of a sound, in memory that does not grow."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from avseg.io.video_sound import Mixer, Piece, SoundLine

GAP = 0.02
"""s; sound that leaves its stamps by more is moved back to them, so that it never drifts from the picture further."""


class SoundRing:
    """Sound from one thread, read by others; what is older than `seconds`, or never came, reads as zeros."""

    def __init__(self, seconds: float, channels: int, rate: int) -> None:
        """`rate`: Hz."""
        self.rate, self.channels = rate, channels
        self._samples = np.zeros((channels, max(1, round(seconds * rate))), np.float32)
        self._mixer, self._line = Mixer(rate, channels), SoundLine(rate, 0.0, GAP)
        self._lock = threading.Lock()
        self._stop = 0
        """The number behind the last sample, counted from the first picture."""

    @property
    def end(self) -> float:
        """s from the first picture up to which there is sound."""
        return self._stop / self.rate

    def add(self, frame: object, time: float) -> None:
        """A decoded frame of sound that begins at `time` s; what lies before the first picture is left out."""
        for sound, stamp in self._mixer.add(frame, time):
            for piece in self._line.placed(sound, stamp):
                self.append(piece)

    def append(self, piece: NDArray[np.float32]) -> None:
        """(A, n) behind what there is."""
        size = self._samples.shape[1]
        kept = piece[:, -size:]
        with self._lock:
            self._stop += piece.shape[1]
            places = np.arange(self._stop - kept.shape[1], self._stop) % size
            self._samples[:, places] = kept

    def read(self, begin: int, end: int) -> NDArray[np.float32]:
        """(A, end - begin) by the numbers of samples."""
        found = np.zeros((self.channels, max(end - begin, 0)), np.float32)
        with self._lock:
            first, last = max(begin, 0, self._stop - self._samples.shape[1]), min(end, self._stop)
            if first < last:
                found[:, first - begin : last - begin] = self._samples[
                    :, np.arange(first, last) % self._samples.shape[1]
                ]
        return found

    def pieces(self, begin: float) -> Iterator[Piece]:
        """All sound from `begin` s on, a second at a time, for ever: an empty piece means that there is no more yet."""
        first = at = round(begin * self.rate)
        while True:
            upto = min(self._stop, at + self.rate)
            yield (at - first) / self.rate, self.read(at, upto), self.rate
            at = max(at, upto)
