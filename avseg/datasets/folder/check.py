"""Checks for missing, broken or contradictory files in a folder of videos."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from avseg.datasets import SPLITS
from avseg.datasets.folder.config import FolderConfig, FolderOptions
from avseg.datasets.folder.labels import Labels
from avseg.datasets.folder.reader import Folder
from avseg.datasets.folder.records import FolderVideo
from avseg.prepare.jobs import run_jobs
from avseg.prepare.report import CheckReport, Fault
from avseg.types import IGNORE

WHERE = "docs/how-to/own-data.md describes the layout of videos, masks and annotation files"


@dataclass
class _Found:
    clips: int = 0
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Job:
    folder: Folder
    """Folder of one video."""
    video: FolderVideo


def check(root: Path, options: FolderOptions = FolderOptions(), workers: int = 0) -> CheckReport:
    """Check a folder: decode every video, read every label, and list every fault.

    Frames and sounds that are decoded on the way are kept for training, which then begins at once.

    Args:
        root: The folder of the videos.
        options: How it is read.
        workers: Processes; 0 takes one for every core, 1 stays in this process.
    """
    report = CheckReport("folder", Path(root), dict.fromkeys(SPLITS, 0), where=WHERE, own=True)
    try:
        folder = Folder.of(FolderConfig(**vars(options)), Path(root))
    except (ValueError, OSError) as error:
        report.faults.append(Fault("all", Path(root).name, str(error)))
        return report
    report.faults += [Fault(folder.splits.get(where, "all"), where, what) for where, what in folder.faults()]
    try:
        kind, why = folder.kind
    except ValueError as error:
        report.faults.append(Fault("all", report.root.name, str(error)))
        return report
    report.notes.append(f"{kind}, because {why}" + _told(folder))
    out = len(folder.truth.videos) + len(folder.truth.bare) - len(folder.splits)
    if out > 0:
        report.notes.append(f"{out} videos are not in any split and are not read")
    _judge_splits(report, folder)
    _judge_videos(report, folder, workers)
    return report


def _told(folder: Folder) -> str:
    classes = folder.truth.classes
    if not classes:
        return ""
    names = ", ".join(classes[:8]) + (", ..." if classes[8:] else "")
    return f"; {len(classes)} class{'es' * bool(classes[1:])}: {names}"


def _judge_splits(report: CheckReport, folder: Folder) -> None:
    counts = Counter(folder.splits[video.name] for video in folder.videos())
    report.found = {split: counts[split] for split in SPLITS}
    report.expected = dict(report.found)
    for split in SPLITS if not report.faults else ():
        if not counts[split]:
            reason = "this split has no video with labels; list names and splits in split.csv"
            report.faults.append(Fault(split, "split.csv", reason))


def _judge_videos(report: CheckReport, folder: Folder, workers: int) -> None:
    videos = folder.videos()
    alone = replace(folder, truth=replace(folder.truth, faults=[], bare=[]))
    found = dict(run_jobs(_look, [_Job(alone, video) for video in videos], workers, "check folder", "video"))
    faulty = {fault.clip for fault in report.faults}
    report.whole = dict.fromkeys(SPLITS, 0)
    clips: Counter[str] = Counter()
    for number, video in enumerate(videos):
        split, one = folder.splits[video.name], found[number]
        clips[split] += one.clips
        report.faults += [Fault(split, video.name, reason) for reason in one.faults]
        report.notes += [f"{video.name}: {note}" for note in one.notes]
        report.whole[split] += not one.faults and video.name not in faulty
    report.notes.append("clips: " + ", ".join(f"{clips[split]} {split}" for split in SPLITS))


def _look(job: _Job) -> _Found:
    folder, video, found = job.folder, job.video, _Found()
    try:
        decoded = folder.decoded(video)
        if not decoded.channels:
            found.notes.append("the video has no sound; the model gets silence")
        if decoded.crowded:
            found.notes.append(
                f"{len(decoded.crowded)} of {len(video.labels.frames)} labelled pictures share a step with an earlier "
                f"one and are not read; a higher --data.fps than {folder.config.fps:g} reads more"
            )
        found.clips = len(folder.pieces(video, decoded))
    except (ValueError, OSError) as error:
        found.faults.append(str(error))
        return found
    _look_at_labels(folder, video, Labels(video, folder.truth.classes, False, decoded.size), found)
    return found


def _look_at_labels(folder: Folder, video: FolderVideo, labels: Labels, found: _Found) -> None:
    places = range(len(video.labels.frames))
    if folder.kind[0] == "instance":
        try:
            labels.roster(places)
        except (ValueError, OSError) as error:
            found.faults.append(str(error))
        return
    labels = replace(labels, binary=folder.kind[0] == "binary")
    foreground = ignored = False
    for place in places:
        try:
            values = np.unique(labels.map(place))
        except (ValueError, OSError) as error:
            found.faults.append(str(error))
            continue
        foreground |= bool(((values > 0) & (values != IGNORE)).any())
        ignored |= bool((values == IGNORE).any())
    if not foreground and not found.faults:
        what = "no label contains a sounding object"
        if ignored:
            found.faults.append(f"{what}, but 255, which is not judged; write class ids, or take classes.txt away")
        else:
            found.notes.append(what)
