"""Finding the content of a folder of videos: videos, masks, annotation files, classes and faults."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from avseg.config import did_you_mean
from avseg.data.tables import is_plain
from avseg.datasets.folder.coco import read_coco, read_youtube_vis
from avseg.datasets.folder.cvat import read_cvat
from avseg.datasets.folder.label_studio import read_label_studio
from avseg.datasets.folder.masks import mask_folder, read_masks
from avseg.datasets.folder.records import AnnotationError, FolderVideo, VideoLabels, When
from avseg.io.files import is_visible
from avseg.io.video import VIDEO_SUFFIXES
from avseg.prepare.files import CONVERTED

Kind = Literal["binary", "semantic", "instance"]
CLASSES = "classes.txt"
NOT_ANNOTATIONS = ("truth.json", "result.json", CONVERTED)
FORMS = "COCO, YouTube-VIS and Label Studio (JSON), and CVAT for video or for images 1.1 (XML)"
LONGEST_LIST = 254
"""Classes; 255 is the value of pixels that are not judged."""


@dataclass
class FolderTruth:
    """Videos with their labels, and what does not fit."""

    root: Path
    videos: list[FolderVideo] = field(default_factory=list)
    """Videos with labels, by name."""
    bare: list[str] = field(default_factory=list)
    """Videos without any."""
    classes: tuple[str, ...] = ()
    listed: bool = False
    """The classes stand in classes.txt."""
    faults: list[tuple[str, str]] = field(default_factory=list)
    """(video or file, sentence)."""
    unread: list[str] = field(default_factory=list)
    """Files of annotations that cannot be read: what they would say of which video is unknown."""

    def kind(self) -> tuple[Kind, str]:
        """The task that fits all videos, and why, as the end of a sentence."""
        unnamed = [video.name for video in self.videos if not video.labels.named]
        if unnamed or not self.classes:
            what = f"the masks of {unnamed[0]} have" if unnamed else "there are"
            return "binary", f"{what} no class names ({CLASSES} would give them)"
        if self.videos and all(video.labels.objects for video in self.videos):
            return "instance", "all annotations separate objects"
        together = next((video for video in self.videos if not video.labels.objects), None)
        what = f"the {together.labels.form} of {together.name} separate" if together else "nothing tells"
        return "semantic", f"there are class names, and {what} no objects apart"


def scan(root: Path) -> FolderTruth:
    """Scan a folder for videos, masks and annotation files, without opening a video.

    Raises:
        FileNotFoundError: no video is there.
    """
    truth = FolderTruth(root)
    videos = _videos(truth)
    if not videos:
        raise FileNotFoundError(
            f"{root} holds no video (*.mp4, *.mov, *.mkv, ...); --data.root must be the folder of the videos themselves"
        )
    truth.classes, truth.listed = _listed(truth), (root / CLASSES).is_file()
    found: dict[str, list[VideoLabels]] = {}
    for name, labels in [*_of_folders(truth, videos), *_of_files(truth, videos)]:
        found.setdefault(name, []).append(labels)
    for name, path in sorted(videos.items()):
        several = found.get(name, [])
        if not several and name not in {where for where, _ in truth.faults}:
            truth.bare.append(name)
        elif not several:
            continue
        elif len(several) > 1:
            reason = f"has labels in {several[0].source} and in {several[1].source}; keep one of them"
            truth.faults.append((name, reason))
        else:
            truth.videos.append(FolderVideo(name, path, several[0]))
    if not truth.listed:
        truth.classes = _named(truth.videos)
    _judge_classes(truth)
    return truth


def read_annotations(path: Path, default: str) -> dict[str, VideoLabels]:
    """A file of annotations in any of the forms, by the name of the video.

    Raises:
        AnnotationError: none of these forms, or one that does not hold together.
    """
    try:
        if path.suffix.lower() == ".xml":
            return read_cvat(path, default)
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        if isinstance(content, list) and content:
            return read_label_studio(path, content, default)
        if isinstance(content, dict) and {"videos", "categories"} <= set(content):
            return read_youtube_vis(path, content)
        if isinstance(content, dict) and {"images", "categories"} <= set(content):
            return read_coco(path, content, default)
    except AnnotationError:
        raise
    except (ValueError, RecursionError, UnicodeDecodeError) as error:
        raise AnnotationError(
            f"{path} is not a complete file of annotations ({error}); export or copy it again"
        ) from error
    except (KeyError, TypeError, AttributeError, IndexError, OverflowError) as error:
        raise AnnotationError(f"{path} lacks a field of its format ({error!r}); export it again") from error
    raise AnnotationError(f"{path} has none of the known formats, {FORMS}; export as one of them, or move it elsewhere")


def _videos(truth: FolderTruth) -> dict[str, Path]:
    videos: dict[str, Path] = {}
    for path in sorted(truth.root.iterdir()):
        if path.suffix.lower() not in VIDEO_SUFFIXES or not path.is_file() or not is_visible(path, truth.root):
            continue
        if path.stem in videos:
            truth.faults.append(
                (path.name, f"{videos[path.stem].name} has the same name; rename one of the two videos")
            )
        elif not is_plain(path.stem):
            truth.faults.append((path.name, "the name of the video leads out of the folder; rename it"))
        else:
            videos[path.stem] = path
    return videos


def _listed(truth: FolderTruth) -> tuple[str, ...]:
    """The names of classes.txt; none where there is no such file."""
    path = truth.root / CLASSES
    if not path.is_file():
        return ()
    try:
        names = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        truth.faults.append((CLASSES, f"{path} is not UTF-8 text ({error}); write one name per line"))
        return ()
    while names and not names[-1]:
        names.pop()
    if not names or "" in names or len(set(names)) < len(names) or len(names) > LONGEST_LIST:
        reason = f"{path} must name 1 to {LONGEST_LIST} classes, one per line, each once, without empty lines"
        truth.faults.append((CLASSES, reason))
        return ()
    return tuple(names)


def _named(videos: Sequence[FolderVideo]) -> tuple[str, ...]:
    """The names that annotations have, where no file lists them: in the order of the model that predicted all of them,
    else in that of the alphabet, the same whatever the order of files."""
    lists = {tuple(video.labels.names.values()) for video in videos if not video.labels.objects}
    if len(lists) == 1 and all(video.labels.names for video in videos):
        return lists.pop()
    return tuple(sorted({name for video in videos for name in video.labels.classes}))


def _of_folders(truth: FolderTruth, videos: dict[str, Path]) -> Iterable[tuple[str, VideoLabels]]:
    for folder in sorted(path for path in truth.root.iterdir() if path.is_dir() and is_visible(path, truth.root)):
        if mask_folder(folder) is None:
            continue
        name = _video_of(folder.name, videos)
        if name is None:
            reason = f"there are masks in {folder} but no video of that name; {_nearest(folder.name, videos)}"
            truth.faults.append((folder.name, reason))
            continue
        try:
            yield name, read_masks(folder, truth.listed)
        except (AnnotationError, OSError) as error:
            truth.faults.append((name, str(error)))


def _of_files(truth: FolderTruth, videos: dict[str, Path]) -> Iterable[tuple[str, VideoLabels]]:
    for path in sorted(truth.root.iterdir()):
        wanted = path.suffix.lower() in (".json", ".xml") and path.name not in NOT_ANNOTATIONS
        if not wanted or not path.is_file() or not is_visible(path, truth.root):
            continue
        try:
            labels = read_annotations(path, path.stem)
        except (AnnotationError, OSError) as error:
            truth.faults.append((path.name, str(error)))
            truth.unread.append(path.name)
            continue
        of_videos: dict[str, VideoLabels] = {}
        for name, one in labels.items():
            video = _video_of(name, videos)
            if video is None:
                reason = f"{path} has labels of the video {name!r}, which does not exist; {_nearest(name, videos)}"
                truth.faults.append((path.name, reason))
                continue
            known = of_videos.get(video)
            of_videos[video] = one if known is None else replace(known, frames=(*known.frames, *one.frames))
        for video, one in of_videos.items():
            if again := _twice(one):
                truth.faults.append((video, f"{path} has two pictures at {again}; keep one of them"))
            yield video, one


def _twice(labels: VideoLabels) -> When | None:
    """A moment of which there are labels twice."""
    seen: set[When] = set()
    for frame in labels.frames:
        if frame.when in seen:
            return frame.when
        seen.add(frame.when)
    return None


def _video_of(name: str, videos: dict[str, Path]) -> str | None:
    """The video that is meant: by its stem or by its whole file name."""
    if name in videos:
        return name
    return next((stem for stem, path in videos.items() if path.name == name), None)


def _nearest(name: str, videos: dict[str, Path]) -> str:
    return did_you_mean(name, videos)


def _judge_classes(truth: FolderTruth) -> None:
    """Classes without a name, and names that classes.txt lacks."""
    for video in truth.videos:
        if not all(name.strip() for name in video.labels.classes):
            reason = f"{video.labels.source} has shapes of a class without a name; give it one"
            truth.faults.append((video.name, reason))
    if not truth.listed or not truth.classes:
        return
    for video in truth.videos:
        for name in video.labels.classes:
            if name not in truth.classes:
                reason = (
                    f"{video.labels.source} has the class {name!r}, which {truth.root / CLASSES} does not "
                    f"list; add it there, or {did_you_mean(name, truth.classes)}"
                )
                truth.faults.append((video.name, reason))
