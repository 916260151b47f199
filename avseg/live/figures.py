"""Statistics of a stream: latency, masks per second, skipped frames."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np

KEPT = 36_000
"""Number of latencies to keep; an hour at ten masks per second."""
LOOK_BACK = 5.0
"""Time in s over which rates are measured."""


class Figures:
    """Counters, written by the predicting thread and read by the page's threads."""

    def __init__(self) -> None:
        self.masks = 0
        """Number of frames with masks."""
        self.frames = 0
        """Number of frames received."""
        self.time = 0.0
        """Time in s of the last frame with masks."""
        self.sounding: tuple[str, ...] = ()
        """Names of the sounding objects in it."""
        self._latencies: deque[float] = deque(maxlen=KEPT)
        self._done: deque[tuple[float, int]] = deque(maxlen=1024)

    def add(self, shown: float, latency: float, frames: int, sounding: Sequence[str]) -> None:
        """Count a frame with masks.

        Args:
            shown: s, its time.
            latency: s from the arrival of its packet until it was painted.
            frames: frames received so far.
            sounding: names of its sounding objects.
        """
        self.masks, self.frames, self.time, self.sounding = self.masks + 1, frames, shown, tuple(sounding)
        self._latencies.append(latency)
        self._done.append((time.monotonic(), frames))

    @property
    def latencies(self) -> list[float]:
        """The latencies of the last masks in s, sorted."""
        return list(self._latencies)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types: latencies in ms, rates per second over the last seconds, shares from 0 to 1."""
        delays = 1000 * np.array(self.latencies or [0.0])
        now = time.monotonic()
        recent = [one for one in list(self._done) if now - one[0] <= LOOK_BACK]
        span = recent[-1][0] - recent[0][0] if len(recent) > 1 else 0.0
        return {
            "time": round(self.time, 3),
            "masks": self.masks,
            "frames": self.frames,
            "dropped": round(1 - self.masks / self.frames, 4) if self.frames else 0.0,
            "latency_ms": round(float(delays[-1]), 1),
            "latency_median_ms": round(float(np.median(delays)), 1),
            "latency_95_ms": round(float(np.percentile(delays, 95)), 1),
            "masks_per_second": round((len(recent) - 1) / span, 2) if span else 0.0,
            "frames_per_second": round((recent[-1][1] - recent[0][1]) / span, 2) if span else 0.0,
            "sounding": list(self.sounding),
        }
