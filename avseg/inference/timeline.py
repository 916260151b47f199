"""Accumulators over frames: when each object sounds, and the masks of each track."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch

from avseg.inference.records import SEEN, FrameResult, Track
from avseg.types import InstancePrediction, Rle, Task


@dataclass
class Intervals:
    """Accumulates frame by frame when each object sounds; for tracks a mask of any size counts.

    A frame covers the time from half-way to the previous frame to half-way to the next, measured between the middles of
    their sounds; the first frame starts at 0 and the last one reaches to the end.
    """

    least: float = SEEN
    _spans: dict[int, list[list[float]]] = field(default_factory=dict)
    _who: dict[int, tuple[int, str]] = field(default_factory=dict)
    _open: set[int] = field(default_factory=set)
    _middle: float | None = None
    _tracks: tuple[Track, ...] = ()

    def add(self, frame: FrameResult) -> None:
        """Add the next frame."""
        middle = sum(frame.heard) / 2
        border = 0.0 if self._middle is None else (self._middle + middle) / 2
        self._middle = middle
        self._tracks = frame.tracks
        floor = 0 if frame.tracks else self.least * frame.size[0] * frame.size[1]
        now = {one.id: one for one in frame.objects if one.area >= floor}
        for gone in self._open - set(now):
            self._spans[gone][-1][1] = border
        for new in set(now) - self._open:
            self._spans.setdefault(new, []).append([border, border])
            self._who[new] = (now[new].class_id, now[new].name)
        self._open = set(now)

    def closed(self, end: float) -> list[dict[str, Any]]:
        """Return id, class id, class and spans (begin, end) of each object in s, rounded to milliseconds.

        For tracks, all of them, each with its score. `end`: the end of the last picture in s.
        """
        spans = {i: [list(span) for span in spans] for i, spans in sorted(self._spans.items())}
        for still in self._open:
            spans[still][-1][1] = end
        intervals = {i: _within(of, end) for i, of in spans.items()}
        if not self._tracks:
            return [
                {"id": i, "class_id": self._who[i][0], "class": self._who[i][1], "intervals": of}
                for i, of in intervals.items()
            ]
        return [
            {
                "id": track.id,
                "class_id": track.class_id,
                "class": track.name,
                "score": round(track.score, 4),
                "intervals": intervals.get(track.id, []),
            }
            for track in sorted(self._tracks, key=lambda one: one.id)
        ]


def _within(spans: list[list[float]], end: float) -> list[list[float]]:
    """Cut spans at the end of the video, which the sound of a frame may exceed; at least one is kept."""
    cut = [[round(min(begin, end), 3), round(min(stop, end), 3)] for begin, stop in spans]
    return [span for span in cut if span[1] > span[0]] or cut[:1]


class TrackTable:
    """Accumulates the masks of each track frame by frame."""

    def __init__(self, name: str) -> None:
        """`name`: of the video."""
        self.name = name
        self._last: FrameResult | None = None
        self._masks: dict[int, list[Rle | None]] = {}

    def add(self, frame: FrameResult) -> None:
        """Add the next frame."""
        self._last = frame
        there: dict[int, Rle] = {one.id: one.rle for one in frame.objects}
        for track in frame.tracks:
            self._masks.setdefault(track.id, []).append(there.get(track.id))

    def prediction(self, task: Task) -> InstancePrediction:
        """Return the prediction with all tracks.

        Raises:
            ValueError: if the task has no tracks, or there is no frame.
        """
        if task.kind != "instance" or self._last is None:
            raise ValueError(
                f"{self.name} has no tracks, because its {task.kind} model does not track; use a model that tracks"
            )
        tracks = self._last.tracks
        return InstancePrediction(
            id=self.name,
            masks=[self._masks[track.id] for track in tracks],
            scores=torch.tensor([track.score for track in tracks], dtype=torch.float32),
            classes=torch.tensor([track.class_id for track in tracks], dtype=torch.int64),
            track_ids=torch.tensor([track.id for track in tracks], dtype=torch.int64),
            size=self._last.size,
        )
