"""The records of a result: objects of a frame, tracks, frames, and facts measured during decoding."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from threading import Event
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from avseg.io.pictures import Pictures
from avseg.io.rle import area, box, decode
from avseg.io.shared import SharedPictures
from avseg.types import Clip, Rle, Task

MaskKind = Literal["png", "rle", "npz"]
SEEN = 0.001
"""Share of the picture that a mask must cover for its object to count as sounding; smaller specks are noise."""
BINARY_NAME = "sounding"
"""The class name of the foreground of a binary task."""


def class_names(task: Task) -> tuple[str, ...]:
    """Return the foreground names; `names[i - 1]` is that of class id i."""
    return task.classes or (BINARY_NAME,)


@dataclass(frozen=True)
class Detection:
    """One object in one frame."""

    id: int
    """Its value in label maps, 1 to 255: the number of the track, or the class id if the model does not track."""
    class_id: int
    """1..K; 1 for binary tasks."""
    name: str
    """Name of the class."""
    score: float
    """Mean probability of the pixels inside the mask, 0 to 1; for tracked objects the score of the track."""
    area: int
    """Area in pixels."""
    box: tuple[int, int, int, int]
    """Left, top, width, height in pixels."""
    rle: Rle
    """The mask as run lengths."""

    @property
    def mask(self) -> NDArray[np.bool_]:
        """(H, W) bool mask of the object."""
        return decode(self.rle)

    @classmethod
    def of(cls, number: int, class_id: int, name: str, score: float, rle: Rle) -> Detection:
        """Make a detection from a mask with at least one pixel; `number` is its id."""
        return cls(number, class_id, name, score, area(rle), box(rle), rle)


@dataclass(frozen=True)
class Track:
    """One object tracked through a video, in frames where it sounds and where it is silent."""

    id: int
    """Its value in label maps, 1 to 255."""
    class_id: int
    """1..K."""
    name: str
    """Name of the class."""
    score: float
    """0 to 1."""


@dataclass(frozen=True)
class FrameResult:
    """The sounding objects of one picture."""

    index: int
    """Place among the segmented frames, from 0."""
    time: float
    """Time in s at which the picture is shown, from the first picture of the video."""
    heard: tuple[float, float]
    """Begin and end in s of the sound that the model heard with the picture."""
    size: tuple[int, int]
    """(H, W) of the video."""
    objects: tuple[Detection, ...]
    """The sounding objects; empty if nothing sounds."""
    tracks: tuple[Track, ...] = ()
    """All tracks of the video, best first; empty for models that do not track."""

    @property
    def labels(self) -> NDArray[np.uint8]:
        """(H, W) uint8 ids of objects, 0 is background; of overlapping objects, the one with the highest score wins."""
        labels = np.zeros(self.size, np.uint8)
        for one in sorted(self.objects, key=lambda one: one.score):
            labels[one.mask] = one.id
        return labels

    @property
    def mask(self) -> NDArray[np.bool_]:
        """(H, W) bool mask of all sounding objects."""
        return self.labels > 0

    @property
    def names(self) -> dict[int, str]:
        """The name of each id."""
        return {one.id: one.name for one in self.objects}


@dataclass(frozen=True)
class Measured:
    """Facts of a video known after its last picture is decoded, as in result.json."""

    fps: float
    """Mean number of pictures per second."""
    duration: float
    """s, the end of the last picture."""
    damaged_packets: int = 0
    """Number of damaged packets of picture and sound."""

    @classmethod
    def of(cls, source: Pictures | Clip) -> Measured:
        """Measure the pictures decoded so far, or a clip."""
        if isinstance(source, Clip):
            return cls(source.rate, source.end)
        return cls(source.count / source.end if source.end else 0.0, source.end, source.damaged)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types, rounded to microseconds."""
        return {
            "fps": round(self.fps, 6),
            "duration": round(self.duration, 6),
            "damaged_packets": self.damaged_packets,
        }


class FrameStream(Iterator[FrameResult]):
    """Results frame by frame; `measured` and `notes` are final after the last one."""

    _shared: Callable[[Event], SharedPictures] | None = None

    def __init__(
        self,
        frames: Iterator[FrameResult],
        pictures: Pictures,
        notes: Callable[[], Mapping[str, Any]] = dict,
        shared: Callable[[Event], SharedPictures] | None = None,
    ) -> None:
        """
        Args:
            frames: the results.
            pictures: those that are decoded for them.
            notes: of the session, see `avseg.models.session.Session.notes`.
            shared: see `share`; None: not to be had.
        """
        self._frames, self._pictures, self._notes, self._shared = frames, pictures, notes, shared

    def __next__(self) -> FrameResult:
        return next(self._frames)

    def share(self, stopped: Event) -> SharedPictures | None:
        """Share the decoded pictures with one reader, who must ask before the first result.

        Returns None if too many pictures would have to be kept for the reader. `stopped`: set to cancel.
        """
        shared, self._shared = self._shared, None
        return None if shared is None else shared(stopped)

    def check(self) -> None:
        """Raise if the work on the frames was cancelled; any thread may call it."""

    @property
    def measured(self) -> Measured:
        """Facts of the pictures decoded so far."""
        return Measured.of(self._pictures)

    @property
    def notes(self) -> Mapping[str, Any]:
        """The explanation of the prediction; empty for models without one."""
        return self._notes()


class KnownStream(FrameStream):
    """A stream of the frames of a finished result."""

    def __init__(self, frames: Sequence[FrameResult], measured: Measured, notes: Mapping[str, Any]) -> None:
        """`notes`: its explanation."""
        self._frames = iter(frames)
        self._measured, self._notes = measured, lambda: notes

    @property
    def measured(self) -> Measured:
        """Facts of all pictures."""
        return self._measured


class PerFrame(Sequence[NDArray[Any]]):
    """One array per frame, computed on access; `numpy.asarray` stacks them all."""

    def __init__(self, frames: Sequence[FrameResult], read: Callable[[FrameResult], NDArray[Any]]) -> None:
        self._frames = frames
        self._read = read

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return PerFrame(self._frames[index], self._read)
        return self._read(self._frames[index])

    def __iter__(self) -> Iterator[NDArray[Any]]:
        return map(self._read, self._frames)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        stacked = np.stack(list(self)) if self._frames else np.zeros((0, 0, 0), np.uint8)
        return stacked if dtype is None else stacked.astype(dtype)
