"""The end of a video's last picture, and detection of truncated files."""

from __future__ import annotations

from collections import deque
from statistics import median
from typing import Any

from avseg.io.media import Media
from avseg.io.streams import HIGHEST, stated_rate

USUAL = 1 / 25
"""s that a frame lasts where nothing is known of it."""
SHORTEST = 1 / HIGHEST
"""s; a header that claims shorter frames is not believed."""
MISSING, LEAST_MISSING = 0.05, 0.5
"""Share of the stated length and s; when more than both is missing at the end, a file is cut short."""


class Ending:
    """Follows the frames of a video in display order and determines how long the last one is shown.

    A frame stays until the next one comes. Of the last one, what the file says holds where it can be right: its own
    duration, where durations belong to the frames they stand beside; else the length of the picture stream, where it
    ends within a frame's length; else it stays as long as the frames before it usually did.
    """

    def __init__(self, media: Media) -> None:
        self._media, self._stream = media, media.seen()
        self._nominal = 1 / (stated_rate(self._stream) or 1 / USUAL)
        self._gaps: deque[float] = deque(maxlen=25)
        """s between frames, the last few."""
        self._time = 0.0
        self._own = 0.0
        self._seen = False

    @property
    def step(self) -> float:
        """s that frames usually stay."""
        return median(self._gaps) if self._gaps else self._nominal

    def add(self, time: float, frame: Any) -> None:
        """The next frame, shown at `time` s from the first."""
        if self._seen:
            self._gaps.append(time - self._time)
        self._seen, self._time = True, time
        self._own = float((frame.duration or 0) * (frame.time_base or 0))

    def end(self, start: float) -> float:
        """s from the first picture. `start`: that of the first picture on the file's clock."""
        stated = self._stated(start)
        if self._durations_follow_decoding():
            begin = start if self._stream.start_time is None else self._stream.start_time * self._stream.time_base
            summed = float(begin) - start + self._media.clock.decoding(self._stream.index)
            ends = [end for end in (summed, stated) if end > self._time]
            return min(ends) if ends else self._time + self.step
        least, widest = min(self._gaps, default=SHORTEST), max(self._gaps, default=self._nominal)
        own = self._time + self._own
        if self._own >= max(least / 2, SHORTEST) or (self._own >= SHORTEST and abs(own - stated) < SHORTEST):
            return own
        return stated if SHORTEST <= stated - self._time <= 1.5 * widest else self._time + self.step

    def missing(self, start: float) -> float:
        """s that the file states beyond what it holds; 0 where it is whole."""
        if self._media.clock.cuts:
            return 0.0
        end = self.end(start)
        if self._length_is_its_own():
            # Fragments of MP4 count their length from zero, wherever the first of them begins.
            missing = self._stated(start) - end - max(float(self._stream.start_time * self._stream.time_base), 0.0)
        else:
            # The length of the whole file may be that of its sound or its subtitles.
            missing = self._stated(start) - max(end, self._media.clock.end() - start)
        return missing if missing > max(LEAST_MISSING, MISSING * (end + missing)) else 0.0

    def _stated(self, start: float) -> float:
        """s from the first picture, when the picture ends as the file states it; 0 where it states nothing."""
        if self._media.clock.cuts:
            return 0.0
        if self._stream.duration is not None:
            first = self._stream.start_time * self._stream.time_base if self._stream.start_time is not None else start
            return float(first) + float(self._stream.duration * self._stream.time_base) - start
        whole = self._media.container.duration
        return whole / 1e6 - start if whole else 0.0

    def _length_is_its_own(self) -> bool:
        """Whether the file states how long its picture is; FFmpeg gives streams without that the length of the file."""
        stream, whole = self._stream, self._media.container
        if stream.duration is None or stream.start_time is None:
            return False
        return bool(abs(stream.duration * stream.time_base - (whole.duration or 0) / 1e6) > stream.time_base)

    def _durations_follow_decoding(self) -> bool:
        """In MP4 and its kin, where pictures are shown in another order than they are decoded."""
        return "mp4" in self._media.container.format.name and bool(self._stream.codec_context.has_b_frames)
