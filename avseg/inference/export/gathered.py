"""Outputs that collect the videos of a run as a data set: one result per second, with picture and sound."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

from avseg.inference.export.writer import Maker, Picture, Subject, Told
from avseg.inference.records import FrameResult
from avseg.inference.source import VideoSound
from avseg.io.media import VideoInfo
from avseg.prepare.pseudo import SAMPLE_RATE, GatheredVideo, Gathering, JudgedSecond

WITHIN = 1e-6
"""Tolerance of a sound window in s, for rounding."""


@contextmanager
def gathered(gathering: Gathering, fps: float, notes: list[str]) -> Iterator[Maker]:
    """Yield the maker of the writers of all videos; at the end write the tables and add a sentence to `notes`.

    Args:
        gathering: The data set to write.
        fps: Masks per second.
        notes: Sentences about the run.

    Raises:
        ValueError: if there is less than one mask per second.
    """
    if fps < 1:
        raise ValueError(f"a data set needs a mask for every second, but fps is {fps:g}; use --fps 1 or more")
    try:
        yield lambda subject: SecondsWriter(subject, gathering, notes)
    finally:
        if told := gathering.close():
            notes.append(told)


class SecondsWriter:
    """Gives a data set one frame per second: the one whose sound is nearest to that second.

    The picture is the one that the masks were predicted from, so that both agree to the pixel. Of frames with the same
    sound the last is used: for models of blocks that is the published one, 15/16 s into the second.
    """

    def __init__(self, subject: Subject, gathering: Gathering, notes: list[str]) -> None:
        self._subject, self._notes = subject, notes
        self._best: tuple[float, FrameResult, Picture] | None = None
        """Distance of its sound from that of the second in s; the frame; its picture."""
        self._latest = 0
        """The second of this frame."""
        self._next = 0
        """The next second for the data set."""
        self._video: GatheredVideo | None = gathering.begin(subject.name)
        self._sound: VideoSound | None = None
        if isinstance(subject.source, VideoInfo) and subject.source.sound is not None:
            self._sound = VideoSound(subject.source, 1, SAMPLE_RATE)

    def add(self, frame: FrameResult) -> None:
        """Add the next frame."""
        if self._sound is None:
            return
        middle = sum(frame.heard) / 2
        second = max(math.floor(middle + WITHIN), self._latest)
        if second > self._latest:
            self._give_before(second)
        far = abs(middle - second - 0.5)
        if self._best is None or far <= self._best[0] + WITHIN:
            self._best, self._latest = (far, frame, self._subject.pictures.of(frame)), second

    def finish(self, told: Told) -> None:
        """Write the last second and add the video to the data set."""
        self._give_before(self._latest + 1)
        if self._sound is None:
            self._notes.append(f"{self._subject.name} has no sound, so no clips are made of it")
        if self._video is not None:
            self._video.finish()

    def abandon(self) -> None:
        """Remove the written files."""
        if self._video is not None:
            self._video.abandon()

    def _give_before(self, second: int) -> None:
        """Write the best frame for its second and for neighbouring seconds without a frame."""
        if self._best is None or self._sound is None or self._video is None:
            return
        _, frame, picture = self._best
        masks = {one.id: one.rle for one in frame.objects}
        classes = {one.id: one.class_id for one in frame.objects}
        for number in range(self._next, second):
            sound, _ = self._sound.cut(number, number + 1, number + 1, number)
            self._video.add(JudgedSecond(number, picture, masks, classes, sound))
        self._next, self._best = second, None
