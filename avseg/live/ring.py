"""A ring buffer of the last seconds of sound."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from avseg.io.video_sound import Mixer, Piece, SoundLine

GAP = 0.02
"""Largest difference in s between sound and its timestamps; beyond it the sound is moved, to stay in step with the
picture.
"""


class SoundRing:
    """Sound written by one thread and read by others; missing sound and sound older than `seconds` reads as zeros."""

    def __init__(self, seconds: float, channels: int, rate: int) -> None:
        """`rate`: Hz."""
        self.rate, self.channels = rate, channels
        self._samples = np.zeros((channels, max(1, round(seconds * rate))), np.float32)
        self._mixer, self._line = Mixer(rate, channels), SoundLine(rate, 0.0, GAP)
        self._lock = threading.Lock()
        self._stop = 0
        """Index after the last sample, counted from the first picture."""

    @property
    def end(self) -> float:
        """End of the sound in s, from the first picture."""
        return self._stop / self.rate

    def add(self, frame: object, time: float) -> None:
        """Add a decoded frame of sound that begins at `time` s; samples before the first picture are dropped."""
        for sound, stamp in self._mixer.add(frame, time):
            for piece in self._line.placed(sound, stamp):
                self.append(piece)

    def append(self, piece: NDArray[np.float32]) -> None:
        """Append samples (A, n)."""
        size = self._samples.shape[1]
        kept = piece[:, -size:]
        with self._lock:
            self._stop += piece.shape[1]
            places = np.arange(self._stop - kept.shape[1], self._stop) % size
            self._samples[:, places] = kept

    def read(self, begin: int, end: int) -> NDArray[np.float32]:
        """Read (A, end - begin) by sample indices."""
        found = np.zeros((self.channels, max(end - begin, 0)), np.float32)
        with self._lock:
            first, last = max(begin, 0, self._stop - self._samples.shape[1]), min(end, self._stop)
            if first < last:
                found[:, first - begin : last - begin] = self._samples[
                    :, np.arange(first, last) % self._samples.shape[1]
                ]
        return found

    def pieces(self, begin: float) -> Iterator[Piece]:
        """Yield the sound from `begin` s in pieces of a second, without end; an empty piece means no more sound yet."""
        first = at = round(begin * self.rate)
        while True:
            upto = min(self._stop, at + self.rate)
            yield (at - first) / self.rate, self.read(at, upto), self.rate
            at = max(at, upto)
