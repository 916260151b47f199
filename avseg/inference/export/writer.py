"""What every kind of output is written with: a writer gets the frames of a result in order, and what is known last."""

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
"""Pictures at the video's size between two stages."""


@dataclass(frozen=True)
class Told:
    """What is known of a result when its last frame has come."""

    duration: float
    """s."""
    sounding: list[dict[str, Any]]
    """When each object sounds; see `Result.sounding`."""
    explanation: Mapping[str, Any]
    """See `avseg.models.session.Session.notes`."""


class Writer(Protocol):
    """Writes one kind of output of one video.

    One thread calls `add`, another one everything else, never at the same time.
    """

    def add(self, frame: FrameResult) -> None:
        """The next frame."""

    def finish(self, told: Told) -> None:
        """There are no more frames; what is to be written is written now."""

    def abandon(self) -> None:
        """Close what is open; what was written is of no use. May come after `finish`."""


class FramePictures:
    """The pictures that masks were made of, at the video's size, decoded anew in step with the masks.

    Nothing is decoded before somebody asks.
    """

    def __init__(self, source: VideoInfo | Clip, fps: float) -> None:
        """`fps`: masks a second."""
        self._source, self._fps = source, fps
        self._taken: Ahead[Timed] | None = None
        self._next = 0
        self._picture: Picture | None = None

    def of(self, frame: FrameResult) -> Picture:
        """That of a frame; frames must come in order, and may be left out.

        Raises:
            MediaError: the video cannot be decoded any more.
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
            raise MediaError(f"{self._source.path} has no picture at {frame.time:.1f} s any more")
        return self._picture

    def close(self) -> None:
        """Close the video."""
        if self._taken is not None:
            self._taken.close()


Share: TypeAlias = Callable[[Event], SharedPictures | None]
"""See `avseg.inference.records.FrameStream.share`."""


def share_nothing(_: Event) -> None:
    """A `Share` of a video that nobody else decodes."""
    return


@dataclass(frozen=True)
class Subject:
    """What a writer is told before the first frame."""

    name: str
    """Of the result's folder."""
    folder: Path
    """Where its file is written; moved into place when the result is whole."""
    source: VideoInfo | Clip
    task: Task
    pictures: FramePictures
    style: Style = PLAIN
    """How masks are painted."""
    stopped: Event = field(default_factory=Event)
    """Set when nobody wants the result any more, by another thread than the one that calls `Writer.add`; who works long
    on one frame looks at it."""
    share: Share = share_nothing
    """See `avseg.inference.records.FrameStream.share`."""


Maker: TypeAlias = Callable[[Subject], Writer]


class SurvivingWriter:
    """A writer beside a result: where it fails, the rest of the result is kept and `fault` says why."""

    def __init__(self, kind: Kind, maker: Maker, subject: Subject) -> None:
        self.fault = ""
        """Why the output is not there, in one sentence; empty while nothing is wrong."""
        self._kind, self._folder = kind, subject.folder
        self._writer: Writer | None = None
        with self._surviving():
            self._writer = maker(subject)

    def add(self, frame: FrameResult) -> None:
        """The next frame."""
        if self._writer is not None:
            with self._surviving():
                self._writer.add(frame)

    def finish(self, told: Told) -> None:
        """Write what is left."""
        if self._writer is not None:
            with self._surviving():
                self._writer.finish(told)

    def abandon(self) -> None:
        """Close what is open; nobody wants it any more."""
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
            self.fault = f"no {self._kind.noun} could be written ({reason}); everything else of the result is there"
            self.abandon()
            self._writer = None
            if "/" not in self._kind.file:
                remove(self._folder / self._kind.file)
