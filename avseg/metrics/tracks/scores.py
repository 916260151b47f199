"""Scores of sounding tracks, as AVISeg has them (Guo et al. 2025): FSLA, HOTA and mAP, all of one table a video."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Literal, Self

import numpy as np

from avseg.metrics.base import Array, Metric, Resampled, Row
from avseg.metrics.suites.aviseg import SPEC
from avseg.metrics.tracks.fsla import fsla_counts, fsla_figures
from avseg.metrics.tracks.hota import COUNTS, hota_counts, hota_curves, hota_figures
from avseg.metrics.tracks.table import ALPHAS, Ids, VideoTable, video_table
from avseg.metrics.tracks.video_map import VideoTracks, class_curves, map_figures
from avseg.types import Prediction, Target, Task

ORDER = ("FSLA", "HOTA", "mAP", "FSLAn", "FSLAs", "FSLAm", "AssA", "DetA")
"""The columns of the published table; the first chooses among models."""

NOTHING = -1.0
"""Value of the published code for a range of areas without a true track (times 100)."""


@dataclass(frozen=True, eq=False)
class VideoScores:
    """The counts of one video."""

    id: str
    tracks: VideoTracks
    classes: Ids
    """(c,) those that are true or predicted in it."""
    hota: Array
    """(c, 7, 19)."""
    frames: Array
    """(3, 1 + 19)."""

    @classmethod
    def of(cls, clip_id: str, table: VideoTable, protocol: str) -> VideoScores:
        classes = np.union1d(table.truth_classes, table.classes)
        counts = np.zeros((len(classes), len(COUNTS), len(ALPHAS)))
        for place, number in enumerate(classes):
            true, predicted = table.truth_classes == number, table.classes == number
            counts[place] = hota_counts(
                table.iou[:, true][:, :, predicted], table.truth_there[true], table.there[predicted]
            )
        return cls(clip_id, VideoTracks.of(table), classes, counts, fsla_counts(table, protocol))

    def key(self) -> tuple[str, bytes]:
        """By which two differing entries for one clip are ordered."""
        arrays = [getattr(self.tracks, f.name) for f in fields(self.tracks)] + [self.classes, self.hota, self.frames]
        return self.id, b"".join(array.tobytes() for array in arrays)


def track_metrics(task: Task, protocol: str, *, silent: Literal["empty", "absent"] = "empty") -> list[Metric]:
    """FSLA, HOTA and mAP of tracks with all their parts.

    Args:
        task: Of the data set.
        protocol: One of the suite's.
        silent: What None in a prediction is to aviseg_upstream: an empty mask, as the published code writes it, or no
            mask at all.
    """
    return [TrackScores(task, protocol, silent)]


class TrackScores(Resampled):
    """FSLA, HOTA and mAP with all their parts (docs/reference/metrics.md), from the tracks of whole videos.

    aviseg_upstream: as the published code has them, slips included. A None in a prediction is an empty mask, which is
    what the published writer makes of it: it counts as a detection.

    aviseg: empty masks are no masks, HOTA is the mean over the classes that are true or predicted somewhere, pairs are
    looked up by what they are pairs of; figures that nothing stands behind are left out.
    """

    suite = SPEC.name

    def __init__(self, task: Task, protocol: str, silent: Literal["empty", "absent"]) -> None:
        self.task, self.protocol, self.silent = task, protocol, silent
        self.videos: dict[int, VideoScores] = {}

    def update(self, prediction: Prediction, target: Target, index: int) -> None:
        table = video_table(prediction, target)
        for what, classes in (("true", table.truth_classes), ("predicted", table.classes)):
            if classes.size and not 1 <= classes.min() <= classes.max() <= len(self.task.classes):
                raise ValueError(
                    f"clip {prediction.id!r}: {what} classes span {classes.min()}..{classes.max()}, "
                    f"wanted 1..{len(self.task.classes)}"
                )
        if self.protocol == "aviseg":
            table = table.without_empty()
        elif self.silent == "empty":
            table = replace(table, there=np.ones_like(table.there))
        self._put(index, VideoScores.of(prediction.id, table, self.protocol))

    def _put(self, index: int, scores: VideoScores) -> None:
        self.videos[index] = min(self.videos.get(index, scores), scores, key=VideoScores.key)

    def merge(self, other: TrackScores) -> None:
        for index, scores in other.videos.items():
            self._put(index, scores)

    @property
    def groups(self) -> list[int]:
        return sorted(self.videos)

    def resampled(self, drawn: Sequence[int]) -> Self:
        found = copy.copy(self)
        found.videos = {place: self.videos[index] for place, index in enumerate(drawn)}
        return found

    def by_class(self) -> dict[str, Array]:
        """HOTA and mAP of every class that is true or predicted somewhere; mAP where it is true somewhere."""
        videos, classes = list(self.videos.values()), len(self.task.classes) + 1
        hota, precision = np.full(classes, np.nan), np.full(classes, np.nan)
        every, counts = _class_counts(videos, None)
        hota[every] = hota_curves(counts)["HOTA"].mean(1)
        for number in every.tolist():
            precision[number] = class_curves([video.tracks for video in videos], number)[0][0].mean()
        return {"HOTA": hota, "mAP": precision}

    def compute(self) -> dict[str, float]:
        """All figures by name, from 0 to 1.

        Raises:
            ValueError: no video was seen.
        """
        if not self.videos:
            raise ValueError("there was no clip, so there is no score; call update before compute")
        videos = [self.videos[index] for index in sorted(self.videos)]
        if self.protocol == "aviseg":
            return _known(_figures(videos, None))
        # The published code goes through the videos by name, which decides between equal scores.
        videos = sorted(videos, key=lambda video: video.id)
        figures = _figures(videos, len(self.task.classes), _unmarked(videos))
        missing = {name: NOTHING for name, value in figures.items() if name[:2] in ("mA", "AR") and math.isnan(value)}
        return figures | missing

    def frame_counts(self) -> dict[str, tuple[float, int]]:
        """Right frames, as a mean over alphas, and all frames, by group: n, s, m."""
        counts = np.sum([video.frames for video in self.videos.values()], 0)
        return {name: (float(row[1:].mean()), int(row[0])) for name, row in zip("nsm", counts, strict=True)}

    def rows(self) -> list[Row]:
        """The figures of each video alone, over the classes that are true or predicted in it."""
        return [
            {"index": index, "id": video.id, "frames": int(video.frames[:, 0].sum()), **_known(_figures([video], None))}
            for index, video in sorted(self.videos.items())
        ]


def _figures(
    videos: Sequence[VideoScores], classes: int | None, unmarked: tuple[int, int] | None = None
) -> dict[str, float]:
    """All figures of some videos over the classes 1..`classes`, or (None) over those that occur."""
    every, counts = _class_counts(videos, classes)
    figures = fsla_figures(np.sum([video.frames for video in videos], 0))
    figures |= hota_figures(counts)
    figures |= map_figures([video.tracks for video in videos], every.tolist(), unmarked)
    return {name: figures[name] for name in (*ORDER, *(name for name in figures if name not in ORDER))}


def _class_counts(videos: Sequence[VideoScores], classes: int | None) -> tuple[Ids, Array]:
    """Classes 1..`classes`, or (None) those that occur: (C,), and their counts for HOTA: (C, 7, 19)."""
    every = np.arange(1, classes + 1) if classes else np.unique(np.concatenate([video.classes for video in videos]))
    counts = np.zeros((len(every), len(COUNTS), len(ALPHAS)))
    for video in videos:
        counts[np.searchsorted(every, video.classes)] += video.hota
    return every, counts


def _unmarked(videos: Sequence[VideoScores]) -> tuple[int, int] | None:
    """The first prediction of all: the published code numbers tracks from 0 and takes number 0 for no track."""
    place = next((place for place, video in enumerate(videos) if len(video.tracks.scores)), None)
    return None if place is None else (place, 0)


def _known(figures: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in figures.items() if not math.isnan(value)}
