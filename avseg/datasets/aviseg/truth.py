"""Ground truth of AVISeg, a file in the YouTube-VIS format: only file offsets are kept, masks are parsed per video."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch

from avseg.data.tables import is_plain
from avseg.io.segmentation import from_segmentation
from avseg.types import Rle, TrackTarget

Size = tuple[int, int]
_SPACE = re.compile(r"[ \t\n\r]*")


@dataclass(frozen=True)
class Video:
    """The entry of a video in the file."""

    id: int
    name: str
    """The folder of its frames, which is how everything else calls it."""
    frames: tuple[str, ...]
    """FOLDER/FRAME.jpg in the order of time."""
    size: Size | None
    """(H, W), where the file tells it."""
    length: int | None
    """Frames by the file's own count, where it has one."""


@dataclass(frozen=True)
class TrackAnnotation:
    """Where an annotation stands in the file, and what is known of it without its masks."""

    id: int
    video_id: int
    category_id: int
    crowd: bool
    begin: int
    """First byte."""
    end: int
    length: int
    """Masks (or null) that it has."""
    shown: int
    """Frames in which it has a mask; for training (`boxed`) also a box."""
    boxed: int


@dataclass(frozen=True)
class TruthFile:
    """Videos, categories and the places of the annotations of one split."""

    path: Path
    videos: tuple[Video, ...]
    categories: dict[int, str]
    """Names by id, sorted by id."""
    tracks: dict[int, list[TrackAnnotation]]
    """Annotations by the id of their video, in the order of the file."""

    def read(self, tracks: Sequence[TrackAnnotation]) -> list[dict[str, Any]]:
        """Annotations with their masks, parsed now.

        Raises:
            FileNotFoundError, ValueError: the file is gone or was changed since it was opened.
        """
        try:
            with self.path.open("rb") as file:
                return [self._parsed(file, track) for track in tracks]
        except ValueError as error:
            raise ValueError(f"{self.path} was changed while in use ({error}); start again") from error

    @staticmethod
    def _parsed(file: BinaryIO, track: TrackAnnotation) -> dict[str, Any]:
        file.seek(track.begin)
        parsed: dict[str, Any] = json.loads(file.read(track.end - track.begin))
        return parsed

    def faults(self) -> Iterator[tuple[str, str]]:
        """(video or file, sentence) of what contradicts itself, without looking at masks."""
        yield from self._of_videos()
        known = {video.id: video for video in self.videos}
        seen: set[int] = set()
        for track in (track for group in self.tracks.values() for track in group):
            where = f"the annotation {track.id}"
            if track.video_id not in known:
                yield self.path.name, f"{where} has the video {track.video_id}, which the file does not list"
                continue
            video = known[track.video_id]
            if track.id in seen:
                yield video.name, f"{where} appears twice"
            seen.add(track.id)
            if track.category_id not in self.categories:
                ids = ", ".join(map(str, self.categories))
                yield video.name, f"{where} has the category {track.category_id}; the file's table has {ids}"
            if track.length != len(video.frames):
                yield video.name, wrong_length(track.id, track.length, len(video.frames))

    def _of_videos(self) -> Iterator[tuple[str, str]]:
        names: dict[str, int] = {}
        ids: dict[int, str] = {}
        for video in self.videos:
            if video.name in names:
                yield video.name, f"the videos {names[video.name]} and {video.id} have frames in one folder"
            if video.id in ids:
                yield video.name, f"it has the id {video.id} of the video {ids[video.id]!r}"
            names[video.name], ids[video.id] = video.id, video.name
            if not video.frames:
                yield video.name or str(video.id), "the video has no frames"
            if video.length is not None and video.length != len(video.frames):
                yield video.name, f"its length is {video.length}, but {len(video.frames)} frames are named"
            for name in video.frames:
                if not all(is_plain(part) for part in name.split("/")):
                    yield video.name, f"the frame {name!r} leads out of the folder; names must be FOLDER/FRAME.jpg"
                    break


def read_truth(path: Path) -> TruthFile:
    """Open a file of truth. Its masks are parsed once and forgotten, so that memory does not follow their number.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no whole JSON, or not in the form of YouTube-VIS.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing; --data.root must be the folder that holds it (docs/reference/datasets.md)"
        )
    content = path.read_bytes()
    # Every byte one character, so that places are those in the file; names are parsed again as UTF-8.
    walk = _Walk(content.decode("latin-1"))
    tables: dict[str, Any] = {}
    tracks: dict[int, list[TrackAnnotation]] = {}
    try:
        for name in walk.members():
            if name == "annotations":
                for track in itertools.starmap(_track, walk.elements()):
                    tracks.setdefault(track.video_id, []).append(track)
            else:
                begin = walk.at
                walk.value()
                tables[name] = json.loads(content[begin : walk.at]) if name in ("videos", "categories") else None
        videos = tuple(_video(entry) for entry in tables["videos"])
        categories = {int(entry["id"]): str(entry["name"]) for entry in tables["categories"]}
    except KeyError as error:
        raise ValueError(f"{path} has no {error}; wanted the YouTube-VIS format (docs/reference/datasets.md)") from None
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(
            f"{path} is not a complete file of ground truth ({error}); download or copy it again"
        ) from error
    if not categories:
        raise ValueError(f"{path} has an empty table of categories; wanted their ids and names")
    return TruthFile(path, videos, dict(sorted(categories.items())), tracks)


def wrong_length(track_id: int, length: int, frames: int) -> str:
    """The sentence on an annotation that does not have one mask (or null) for each frame."""
    return f"the annotation {track_id} has {length} segmentations, wanted one (or null) for each of {frames} frames"


def size_of(video: Video, annotations: Sequence[Mapping[str, Any]]) -> Size | None:
    """(H, W) of a video: its own, else that of its first annotation; None where the file tells neither.

    Raises:
        ValueError: an annotation says otherwise.
    """
    size = video.size
    for annotation in annotations:
        stated = _size(annotation)
        size = size or stated
        if stated is not None and stated != size:
            raise ValueError(
                f"the annotation {annotation['id']} of the video {video.name!r} is {stated[0]} pixels high and "
                f"{stated[1]} wide, the video {size}"
            )
    return size


def track_target(
    annotations: Sequence[Mapping[str, Any]],
    size: Size,
    frames: Sequence[int],
    ranks: Mapping[int, int],
    boxed: bool = False,
) -> TrackTarget:
    """The truth of some frames of a video.

    Args:
        annotations: Of one video, as the file has them.
        size: (H, W) of its frames.
        frames: Numbers of the frames.
        ranks: Class id of every category id.
        boxed: A mask counts only beside a box, as in the published training; else by itself, as in the published
            evaluation. Files without any boxes have none to ask for.

    Raises:
        ValueError: a mask of no known form or of another size, or areas of another length than the masks.
    """
    masks = [[_mask(annotation, frame, size, boxed) for frame in frames] for annotation in annotations]
    return TrackTarget(
        masks=masks,
        classes=torch.tensor([ranks[int(annotation["category_id"])] for annotation in annotations], dtype=torch.int64),
        track_ids=torch.tensor([int(annotation["id"]) for annotation in annotations], dtype=torch.int64),
        annotated=torch.ones(len(frames), dtype=torch.bool),
        size=size,
        areas=_areas(annotations, masks, frames),
    )


def _mask(annotation: Mapping[str, Any], frame: int, size: Size, boxed: bool) -> Rle | None:
    boxes = _values(annotation, "bboxes") if boxed else None
    if boxes is not None and not boxes[frame]:
        return None
    try:
        return from_segmentation(annotation["segmentations"][frame], size)
    except ValueError as error:
        raise ValueError(f"the annotation {annotation['id']}, frame {frame}: {error}") from error


def _areas(
    annotations: Sequence[Mapping[str, Any]], masks: Sequence[Sequence[Rle | None]], frames: Sequence[int]
) -> torch.Tensor | None:
    """(N, T) float64 of the file, NaN where a mask is None; None where an annotation has no areas."""
    rows = [_values(annotation, "areas") for annotation in annotations]
    areas = torch.full((len(rows), len(frames)), float("nan"), dtype=torch.float64)
    for number, row in enumerate(rows):
        if row is None:
            return None
        for place, frame in enumerate(frames):
            if masks[number][place] is not None and row[frame] is not None:
                areas[number, place] = float(row[frame])
    return areas


def _values(annotation: Mapping[str, Any], key: str) -> list[Any] | None:
    """Boxes or areas, one (or null) for each mask; None where the file has none."""
    values: list[Any] | None = annotation.get(key) or None
    wanted = len(annotation["segmentations"])
    if values is not None and len(values) != wanted:
        raise ValueError(
            f"the annotation {annotation['id']} has {len(values)} {key}, wanted one (or null) for each of "
            f"{wanted} frames"
        )
    return values


def _video(entry: Mapping[str, Any]) -> Video:
    names = tuple(str(name) for name in entry["file_names"])
    length = entry.get("length")
    name = names[0].split("/")[0] if names else ""
    return Video(int(entry["id"]), name, names, _size(entry), None if length is None else int(length))


def _size(entry: Mapping[str, Any]) -> Size | None:
    height, width = entry.get("height"), entry.get("width")
    return (int(height), int(width)) if height and width else None


def _track(entry: Mapping[str, Any], begin: int, end: int) -> TrackAnnotation:
    masks, boxes = entry["segmentations"], entry.get("bboxes")
    return TrackAnnotation(
        id=int(entry["id"]),
        video_id=int(entry["video_id"]),
        category_id=int(entry["category_id"]),
        crowd=bool(entry.get("iscrowd")),
        begin=begin,
        end=end,
        length=len(masks),
        shown=sum(map(bool, masks)),
        boxed=sum(bool(mask and box) for mask, box in zip(masks, boxes or masks, strict=False)),
    )


class _Walk:
    """Goes through a JSON text value by value, without building it as a whole."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 3 if text.startswith("\xef\xbb\xbf") else 0  # a mark of UTF-8
        self._decode = json.JSONDecoder().raw_decode

    def value(self) -> Any:
        """The value that stands here."""
        value, self.at = self._decode(self.text, self._here())
        return value

    def members(self) -> Iterator[str]:
        """Names of an object; the value of each has to be taken before the next is asked for."""
        more = self._opened("{", "}")
        while more:
            name = self.value()
            self._take(":")
            yield name
            more = self._take(",}") == ","

    def elements(self) -> Iterator[tuple[Any, int, int]]:
        """Values of an array and where they stand."""
        more = self._opened("[", "]")
        while more:
            begin = self._here()
            value = self.value()
            yield value, begin, self.at
            more = self._take(",]") == ","

    def _here(self) -> int:
        self.at = _SPACE.match(self.text, self.at).end()  # type: ignore[union-attr]  # it matches nothing, too
        return self.at

    def _take(self, wanted: str) -> str:
        mark = self.text[self._here() : self.at + 1]
        if not mark or mark not in wanted:
            raise ValueError(f"{' or '.join(wanted)} is missing at byte {self.at}")
        self.at += 1
        return mark

    def _opened(self, mark: str, end: str) -> bool:
        """Whether something follows."""
        self._take(mark)
        if self.text[self._here() : self.at + 1] == end:
            self.at += 1
            return False
        return True
