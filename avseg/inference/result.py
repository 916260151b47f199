"""What was found in a video: masks, names, scores, and when each object sounds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from avseg.io.rle import decode, encode
from avseg.types import Clip, InstancePrediction, Rle, Task

if TYPE_CHECKING:
    from avseg.io.media import VideoInfo
    from avseg.io.pictures import Pictures

MaskKind = Literal["png", "rle", "npz"]
SEEN = 0.001
"""Share of the picture that a mask must cover for its object to count as sounding; smaller specks are noise."""


@dataclass(frozen=True)
class Found:
    """One object in one frame."""

    id: int
    """Its value in label maps: the class id, or the number of the object where objects are told apart. 1 to 255."""
    class_id: int
    """1..K; 1 for binary tasks."""
    name: str
    score: float
    """Mean probability of the pixels inside the mask, 0 to 1; for tracked objects the score of the track."""
    area: int
    """Pixels."""
    box: tuple[int, int, int, int]
    """Left, top, width, height in pixels."""
    rle: Rle

    @property
    def mask(self) -> NDArray[np.bool_]:
        """(H, W) bool."""
        return decode(self.rle)

    @classmethod
    def of(cls, mask: NDArray[np.bool_], identity: tuple[int, int, str], score: float) -> Found:
        """Of a mask (H, W) with at least one pixel; `identity` is (id, class id, name)."""
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        left, top = int(columns[0]), int(rows[0])
        box = (left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1)
        return cls(*identity, score, int(mask.sum()), box, encode(mask))


@dataclass(frozen=True)
class Track:
    """One object that was tracked through a video, whether it sounds just now or not."""

    id: int
    """Its value in label maps, 1 to 255."""
    class_id: int
    """1..K."""
    name: str
    """Of the class."""
    score: float
    """0 to 1."""


@dataclass(frozen=True)
class FrameResult:
    """What was found in one picture."""

    index: int
    time: float
    """s from the first picture of the video, when this one is shown."""
    heard: tuple[float, float]
    """s, begin and end of the sound that the model heard with it."""
    size: tuple[int, int]
    """(H, W) of the video."""
    objects: tuple[Found, ...]
    tracks: tuple[Track, ...] = ()
    """All that is tracked in the video, best first; empty for models that do not track."""

    @property
    def labels(self) -> NDArray[np.uint8]:
        """(H, W) ids of objects, 0 is background; where objects overlap the one with the highest score lies on top."""
        labels = np.zeros(self.size, np.uint8)
        for found in sorted(self.objects, key=lambda one: one.score):
            labels[found.mask] = found.id
        return labels

    @property
    def mask(self) -> NDArray[np.bool_]:
        """(H, W) everything that sounds."""
        return self.labels > 0

    @property
    def names(self) -> dict[int, str]:
        """The name of each id."""
        return {found.id: found.name for found in self.objects}


class FrameStream(Iterator[FrameResult]):
    """Results frame by frame; after the last one `end` and `fps` tell of the pictures that were decoded."""

    def __init__(self, frames: Iterator[FrameResult], pictures: Pictures) -> None:
        self._frames = frames
        self._pictures = pictures

    def __next__(self) -> FrameResult:
        return next(self._frames)

    @property
    def end(self) -> float:
        """s, the end of the last picture that was decoded."""
        return self._pictures.end

    @property
    def fps(self) -> float:
        """Pictures a second that were decoded, on average."""
        return self._pictures.count / self._pictures.end if self._pictures.end else 0.0

    @property
    def damaged(self) -> int:
        """Packets of picture and sound that are damaged."""
        return self._pictures.damaged


class PerFrame(Sequence[NDArray[Any]]):
    """One array a frame, made when asked for; `numpy.asarray` stacks them all."""

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


@dataclass
class Intervals:
    """Gathers, frame by frame, when each object sounds; of tracks a mask of any size tells it.

    A frame speaks for the time from half-way to the frame before to half-way to the frame after, measured between the
    middles of the sounds they heard; the first reaches back to 0 and the last on to the end.
    """

    least: float = SEEN
    _spans: dict[int, list[list[float]]] = field(default_factory=dict)
    _who: dict[int, tuple[int, str]] = field(default_factory=dict)
    _open: set[int] = field(default_factory=set)
    _middle: float | None = None
    _tracks: tuple[Track, ...] = ()

    def add(self, frame: FrameResult) -> None:
        """The next frame."""
        middle = sum(frame.heard) / 2
        border = 0.0 if self._middle is None else (self._middle + middle) / 2
        self._middle = middle
        self._tracks = frame.tracks
        floor = 0 if frame.tracks else self.least * frame.size[0] * frame.size[1]
        now = {found.id: found for found in frame.objects if found.area >= floor}
        for gone in self._open - set(now):
            self._spans[gone][-1][1] = border
        for new in set(now) - self._open:
            self._spans.setdefault(new, []).append([border, border])
            self._who[new] = (now[new].class_id, now[new].name)
        self._open = set(now)

    def closed(self, end: float) -> list[dict[str, Any]]:
        """By object: id, class id, class and the (begin, end) in s, rounded to milliseconds; of tracks, all of them and
        each with its score. `end`: s, the end of the last picture."""
        spans = {i: [list(span) for span in spans] for i, spans in sorted(self._spans.items())}
        for still in self._open:
            spans[still][-1][1] = end
        told = {i: _within(of, end) for i, of in spans.items()}
        if not self._tracks:
            return [
                {"id": i, "class_id": self._who[i][0], "class": self._who[i][1], "intervals": of}
                for i, of in told.items()
            ]
        return [
            {
                "id": track.id,
                "class_id": track.class_id,
                "class": track.name,
                "score": round(track.score, 4),
                "intervals": told.get(track.id, []),
            }
            for track in sorted(self._tracks, key=lambda one: one.id)
        ]


def _within(spans: list[list[float]], end: float) -> list[list[float]]:
    """Spans cut off at the end of the video; what a frame heard may reach beyond it. One is left in any case."""
    cut = [[round(min(begin, end), 3), round(min(stop, end), 3)] for begin, stop in spans]
    return [span for span in cut if span[1] > span[0]] or cut[:1]


class TrackTable:
    """Gathers, frame by frame, the masks of each track."""

    def __init__(self, name: str) -> None:
        """`name`: of the video."""
        self.name = name
        self._last: FrameResult | None = None
        self._masks: dict[int, list[Rle | None]] = {}

    def add(self, frame: FrameResult) -> None:
        """The next frame."""
        self._last = frame
        there: dict[int, Rle] = {found.id: found.rle for found in frame.objects}
        for track in frame.tracks:
            self._masks.setdefault(track.id, []).append(there.get(track.id))

    def prediction(self, task: Task) -> InstancePrediction:
        """All of them.

        Raises:
            ValueError: a task without tracks, or no frame.
        """
        if task.kind != "instance" or self._last is None:
            raise ValueError(f"{self.name} has no tracks: a {task.kind} model told of it; take one that tracks objects")
        tracks = self._last.tracks
        return InstancePrediction(
            id=self.name,
            masks=[self._masks[track.id] for track in tracks],
            scores=torch.tensor([track.score for track in tracks], dtype=torch.float32),
            classes=torch.tensor([track.class_id for track in tracks], dtype=torch.int64),
            track_ids=torch.tensor([track.id for track in tracks], dtype=torch.int64),
            size=self._last.size,
        )


@dataclass(frozen=True)
class Result:
    """Everything found in one video or clip; masks are kept run-length encoded and unpacked when looked at."""

    id: str
    frames: tuple[FrameResult, ...]
    task: Task
    fps: float
    """Masks a second."""
    model: str
    source: Path | Clip
    info: VideoInfo | None
    """Facts of the video; None where a clip was segmented."""
    size: tuple[int, int]
    """(H, W)."""
    duration: float
    """s, the end of the last picture."""
    rate: float
    """Pictures a second of the video or clip, on average."""
    damaged: int = 0
    """Packets of picture and sound that are damaged; 0 for a clip."""

    @property
    def times(self) -> NDArray[np.float64]:
        """(T,) s, when the segmented pictures are shown."""
        return np.array([frame.time for frame in self.frames], np.float64)

    @property
    def labels(self) -> PerFrame:
        """T label maps (H, W) uint8 of object ids."""
        return PerFrame(self.frames, lambda frame: frame.labels)

    @property
    def masks(self) -> PerFrame:
        """T masks (H, W) bool of everything that sounds."""
        return PerFrame(self.frames, lambda frame: frame.mask)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes found, in the order of their ids."""
        found = {one.class_id: one.name for frame in self.frames for one in frame.objects}
        return tuple(found[i] for i in sorted(found))

    @property
    def tracks(self) -> tuple[Track, ...]:
        """All that was tracked, best first; empty for models that do not track."""
        return self.frames[0].tracks if self.frames else ()

    @property
    def scores(self) -> dict[int, NDArray[np.float64]]:
        """By object id: (T,) its score in each frame, 0 where it is not found."""
        ids = sorted({found.id for frame in self.frames for found in frame.objects})
        table = {i: np.zeros(len(self.frames)) for i in ids}
        for t, frame in enumerate(self.frames):
            for found in frame.objects:
                table[found.id][t] = found.score
        return table

    @property
    def sounding(self) -> list[dict[str, Any]]:
        """When each object sounds: dicts of id, class_id, class and intervals [[begin, end], ...] in s; of a model that
        tracks, every track, with its score."""
        intervals = Intervals()
        for frame in self.frames:
            intervals.add(frame)
        return intervals.closed(self.duration)

    def save_video(self, path: str | Path) -> Path:
        """Write the video with the masks painted in, at its own frame rate and with its own sound, as MP4."""
        from avseg.inference.overlay import save_overlay

        return save_overlay(self, Path(path))

    def save(self, folder: str | Path, masks: MaskKind | None = "png", *, overlay: bool = False) -> Path:
        """Write result.json, masks and, if wanted, the overlay video into `folder`.

        They take the place of a result that was there; other files of the folder stay.
        """
        from avseg.inference.saving import save_result

        return save_result(self, Path(folder), masks, overlay=overlay)

    def to_prediction(self) -> InstancePrediction:
        """The tracks as `avseg.io.youtube_vis` writes them and metrics judge them; None where a track is silent.

        Raises:
            ValueError: a model that does not track.
        """
        table = TrackTable(self.id)
        for frame in self.frames:
            table.add(frame)
        return table.prediction(self.task)

    def to_coco(self) -> dict[str, Any]:
        """Images (one a frame), annotations (RLE) and categories in COCO's form."""
        from avseg.inference.coco import to_coco

        return to_coco(self)
