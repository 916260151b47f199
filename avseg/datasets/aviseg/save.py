"""Clips of any data set that tells objects apart in the layout of AVISeg, for `avseg data convert`."""

from __future__ import annotations

import json
from pathlib import Path

from avseg.datasets import SPLITS
from avseg.datasets.aviseg.layout import VideoFiles
from avseg.datasets.pieces import annotated_of, need_seconds
from avseg.datasets.vis_table import write_table
from avseg.types import Clip, Task, TrackTarget


class AVISegWriter:
    """One frame a second, a WAV, and a track of run lengths for every object."""

    def __init__(self, root: Path, task: Task) -> None:
        """
        Raises:
            ValueError: a task that does not tell objects apart.
        """
        if task.kind != "instance":
            raise ValueError(
                f"{task.kind} masks do not separate objects, and aviseg needs tracks; convert to s4, avss or folder"
            )
        self.root, self.task = root, task
        self.videos: dict[str, list[str]] = {split: [] for split in SPLITS}
        self.annotations: dict[str, list[tuple[int, str]]] = {split: [] for split in SPLITS}

    def add(self, split: str, clip: Clip) -> tuple[int, str]:
        """Write a video.

        Raises:
            ValueError: another rate than one frame a second, or frames without labels.
        """
        need_seconds(clip, "aviseg")
        if not isinstance(clip.target, TrackTarget) or not all(annotated_of(clip)):
            raise ValueError(f"the clip {clip.id!r} has frames without labels; tracks of aviseg need all of them")
        video, target = VideoFiles(self.root, split, clip.id, clip.sample_rate), clip.target
        for second, frame in enumerate(clip.frames):
            seen = {number: track[second] for number, track in enumerate(target.masks)}
            video.show(frame, {number: mask for number, mask in seen.items() if mask is not None})
        video.hear(clip.audio)
        entry, tracks = video.finish(dict(enumerate(target.classes.tolist())))
        self.videos[split].append(json.dumps(entry))
        self.annotations[split] += [(len(self.videos[split]), json.dumps(track)) for track in tracks]
        return 1, ""

    def finish(self) -> None:
        """Write the files of truth."""
        for split in SPLITS:
            write_table(
                self.root / f"{split}.json", self.videos[split], self.annotations[split], self.task.classes, "Converted"
            )
