"""Clips of any data set as a folder of videos, for `avseg data convert`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from avseg.data.tables import is_plain
from avseg.datasets.folder.find import CLASSES
from avseg.datasets.folder.splits import TABLE
from avseg.datasets.pieces import CLOSE, annotated_of, codes_of, refuse_ignored
from avseg.datasets.vis_table import track_entries, video_entry, write_table
from avseg.io.files import write_text
from avseg.io.image import write_png
from avseg.io.rle import decode, encode
from avseg.io.video import write_video
from avseg.render.palette import palette
from avseg.synth.layout import write_csv
from avseg.types import Clip, Rle, Task, TrackTarget


class FolderWriter:
    """An MP4 for each clip, with PNG label maps of frames that have labels beside it; tracks as one YouTube-VIS file.

    Both sides of an MP4 are even: of odd ones the last row or column is repeated, in labels as in pictures.
    """

    def __init__(self, root: Path, task: Task) -> None:
        self.root, self.task = root, task
        self.rows: list[tuple[str, str]] = []
        self.videos: list[str] = []
        self.annotations: list[tuple[int, str]] = []

    def add(self, split: str, clip: Clip) -> tuple[int, str]:
        """Write a clip.

        Raises:
            ValueError: a name that is no file name or that comes twice, or pixels that are not judged in binary masks.
        """
        if not is_plain(clip.id) or (self.root / f"{clip.id}.mp4").exists():
            raise ValueError(f"the clip {clip.id!r} cannot be used as a file name; ids must be plain and unique")
        frames = (frame.permute(1, 2, 0).numpy() for frame in clip.frames)
        samples = round(clip.end * clip.sample_rate)
        sound = clip.audio[:, max(0, round(-clip.audio_start * clip.sample_rate)) :][:, :samples]
        write_video(
            self.root / f"{clip.id}.mp4", frames, clip.rate, sound if sound.shape[1] else None, clip.sample_rate
        )
        if self.task.kind == "instance":
            self._add_tracks(clip)
        else:
            self._add_maps(clip)
        self.rows.append((clip.id, split))
        return 1, ""

    def finish(self) -> None:
        """Write classes, splits and tracks."""
        write_csv(self.root / TABLE, ("name", "split"), self.rows)
        if self.task.classes:
            write_text(self.root / CLASSES, "\n".join(self.task.classes) + "\n")
        if self.task.kind == "instance":
            write_table(self.root / "annotations.json", self.videos, self.annotations, self.task.classes, "Converted")

    def _add_maps(self, clip: Clip) -> None:
        codes, colours = codes_of(clip), palette(self.task).tolist()
        if self.task.kind == "binary":
            refuse_ignored(clip, codes, "folder without classes")
        for name, code, labelled in zip(_names(clip), codes, annotated_of(clip), strict=True):
            if labelled:
                even = np.pad(code, [(0, side % 2) for side in code.shape], mode="edge")
                path = self.root / clip.id / f"{name}.png"
                binary = self.task.kind == "binary"
                write_png(path, even * np.uint8(255) if binary else even, None if binary else colours)

    def _add_tracks(self, clip: Clip) -> None:
        if not isinstance(clip.target, TrackTarget) or not all(annotated_of(clip)):
            raise ValueError(f"the clip {clip.id!r} has frames without labels; tracks need all of them")
        names, target = [f"{clip.id}/{name}.png" for name in _names(clip)], _even(clip.target)
        self.videos.append(json.dumps(video_entry(names, target.size)))
        self.annotations += [(len(self.videos), json.dumps(one)) for one in track_entries(target)]


def _names(clip: Clip) -> list[str]:
    """How the pictures of a clip are called: by their second, where all are at whole seconds."""
    step = 1 / clip.rate
    times = [number * step for number in range(len(clip.frames))]
    if all(abs(time - round(time)) < CLOSE for time in times):
        return [f"{round(time):06d}" for time in times]
    return [f"{time:.6f}s" for time in times]


def _even(target: TrackTarget) -> TrackTarget:
    height, width = target.size
    if height % 2 == 0 and width % 2 == 0:
        return target

    def padded(mask: Rle | None) -> Rle | None:
        return None if mask is None else encode(np.pad(decode(mask), [(0, height % 2), (0, width % 2)], mode="edge"))

    masks = [[padded(mask) for mask in track] for track in target.masks]
    return replace(target, masks=masks, size=(height + height % 2, width + width % 2), areas=None)
