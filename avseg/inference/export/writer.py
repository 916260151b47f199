"""The interface of output writers: a writer receives the frames of a result in order, then the facts known last."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from avseg.inference.export.kinds import Kind
from avseg.inference.export.style import PLAIN, Style
from avseg.inference.records import FrameResult
from avseg.io.files import remove
from avseg.io.media import MediaError, VideoInfo
from avseg.io.pictures import Timed
from avseg.io.shared import SharedPictures
from avseg.io.stages import Ahead
from avseg.io.video import iter_frames
from avseg.types import Clip, Task

Picture: TypeAlias = NDArray[np.uint8]
"""(H, W, 3) RGB."""
WAITING = 2
"""Largest number of full-size pictures in a queue between two stages."""


@dataclass(frozen=True)
class Told:
    """The facts of a result after its last frame."""

    duration: float
    """s."""
    sounding: list[dict[str, Any]]
    """When each object sounds; see `Result.sounding`."""
    explanation: Mapping[str, Any]
    """See `avseg.models.session.Session.notes`."""


class Writer(Protocol):
    """Writes one kind of output of one video.

    One thread calls `add`, another one all other methods, never at the same time.
    """

    def add(self, frame: FrameResult) -> None:
        """Add the next frame."""

    def finish(self, told: Told) -> None:
        """Write the rest after the last frame."""

    def abandon(self) -> None:
        """Close open files; the output is incomplete. May be called after `finish`."""


class FramePictures:
    """The full-size pictures of the masks, decoded again in step with the masks.

    Decoding starts at the first request.
    """

    def __init__(self, source: VideoInfo | Clip, fps: float) -> None:
        """`fps`: masks per second."""
        self._source, self._fps = source, fps
        self._taken: Ahead[Timed] | None = None
        self._next = 0
        self._picture: Picture | None = None

    def of(self, frame: FrameResult) -> Picture:
        """Return the picture of a frame; frames must be in order and may be skipped.

        Raises:
            MediaError: if the video can no longer be decoded.
        """
        if isinstance(self._source, Clip):
            return self._source.frames[frame.index].permute(1, 2, 0).contiguous().numpy()
        if self._taken is None:
            self._taken = Ahead(iter_frames(self._source, self._fps, frame.time, warn=False), WAITING)
            self._next = frame.index
        while self._next <= frame.index:
            self._next += 1
            taken = next(self._taken, None)
            self._picture = self._picture if taken is None else taken[1]
        if self._picture is None:
            raise MediaError(f"{self._source.path} no longer has a picture at {frame.time:.1f} s")
        return self._picture

    def close(self) -> None:
        """Close the video."""
        if self._taken is not None:
            self._taken.close()


Share: TypeAlias = Callable[[Event], SharedPictures | None]
"""See `avseg.inference.records.FrameStream.share`."""


def share_nothing(_: Event) -> None:
    """A `Share` for a video that is not decoded elsewhere."""
    return


@dataclass(frozen=True)
class Subject:
    """The facts that a writer gets before the first frame."""

    name: str
    """Name of the result's folder."""
    folder: Path
    """Folder for its file, which is moved to the result when that is complete."""
    source: VideoInfo | Clip
    task: Task
    pictures: FramePictures
    style: Style = PLAIN
    """Style of the masks."""
    stopped: Event = field(default_factory=Event)
    """Set to cancel the result, by another thread than the one that calls `Writer.add`; check it during long work on
    one frame.
    """
    share: Share = share_nothing
    """See `avseg.inference.records.FrameStream.share`."""


Maker: TypeAlias = Callable[[Subject], Writer]


class SurvivingWriter:
    """A writer whose failure does not end the result: the rest is kept and `fault` gives the reason."""

    def __init__(self, kind: Kind, maker: Maker, subject: Subject) -> None:
        self.fault = ""
        """The reason why the output is missing, as one sentence; empty without a fault."""
        self._kind, self._folder = kind, subject.folder
        self._writer: Writer | None = None
        with self._surviving():
            self._writer = maker(subject)

    def add(self, frame: FrameResult) -> None:
        """Add the next frame."""
        if self._writer is not None:
            with self._surviving():
                self._writer.add(frame)

    def finish(self, told: Told) -> None:
        """Write the rest."""
        if self._writer is not None:
            with self._surviving():
                self._writer.finish(told)

    def abandon(self) -> None:
        """Close open files and cancel the output."""
        if self._writer is not None:
            self._writer.abandon()

    @contextmanager
    def _surviving(self) -> Iterator[None]:
        from av.error import FFmpegError

        try:
            yield
        except (FFmpegError, OSError, ValueError, RuntimeError, LookupError, TypeError) as error:
            # The path in a system's message is that of a temporary folder.
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            self.fault = f"no {self._kind.noun} could be written ({reason}); the rest of the result is complete"
            self.abandon()
            self._writer = None
            if "/" not in self._kind.file:
                remove(self._folder / self._kind.file)
