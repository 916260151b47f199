"""Checks for missing, broken or contradictory files in a folder of AVISeg."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from PIL import Image

from avseg.datasets import SPLITS
from avseg.datasets.aviseg.classes import aviseg_classes
from avseg.datasets.aviseg.reader import read_features
from avseg.datasets.aviseg.truth import Size, TruthFile, Video, read_truth, size_of, track_target
from avseg.io.audio import open_wav
from avseg.prepare.check import judge_counts, of_ours
from avseg.prepare.jobs import run_jobs
from avseg.prepare.report import CheckReport, Fault

PUBLISHED = {"train": 616, "val": 105, "test": 205}
"""Videos. That of val is what is left of the published 926."""
UNCONFIRMED = ("val",)
WHERE = "AVISeg is a download of its authors: see their project page (ruohaoguo/avis)"


@dataclass
class _Found:
    faults: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    """Unusual facts that are not faults."""


@dataclass(frozen=True)
class _Job:
    truth: TruthFile
    """Ground truth of one video."""
    folder: Path
    """Folder of the split."""


def check(root: Path, workers: int = 0) -> CheckReport:
    """Read the truth, every frame, every sound and the features of all videos, and list every fault.

    Args:
        root: The data set's folder. Where it holds `truth.json` it is a synthetic world, whose own table counts.
        workers: Processes; 0 takes one for every core, 1 stays in this process.
    """
    root = Path(root)
    report = CheckReport("aviseg", root, dict(PUBLISHED), where=WHERE)
    truths: dict[str, TruthFile] = {}
    for split in SPLITS:
        try:
            truths[split] = read_truth(root / f"{split}.json")
        except (ValueError, OSError) as error:
            report.faults.append(Fault(split, f"{split}.json", str(error)))
    report.found = {split: len(truth.videos) for split, truth in truths.items()}
    judge_counts(report, "{split}.json", "the file lists {} videos", UNCONFIRMED)
    _judge_categories(report, truths, ours=bool(of_ours(root)))
    for split, truth in truths.items():
        report.faults += [Fault(split, where, what) for where, what in truth.faults()]
    _judge_videos(report, truths, workers)
    return report


def _judge_categories(report: CheckReport, truths: dict[str, TruthFile], ours: bool) -> None:
    tables = {split: truth.categories for split, truth in truths.items()}
    for split, table in tables.items():
        first = next(iter(tables))
        if table != tables[first]:
            report.faults.append(Fault(split, f"{split}.json", f"has another table of categories than {first}.json"))
        strange = sorted(set(table.values()) - set(aviseg_classes()))
        if strange and not ours:
            reason = f"names categories outside of the 26 of AVISeg: {', '.join(strange)}"
            report.faults.append(Fault(split, f"{split}.json", reason))


def _judge_videos(report: CheckReport, truths: dict[str, TruthFile], workers: int) -> None:
    named = [(split, video) for split, truth in truths.items() for video in truth.videos]
    jobs = [_Job(_alone(truths[split], video), report.root / split) for split, video in named]
    found = dict(run_jobs(_look, jobs, workers, "check aviseg", "video"))
    faulty = {(fault.split, fault.clip) for fault in report.faults}
    report.whole = dict.fromkeys(SPLITS, 0)
    remarks: Counter[str] = Counter()
    for number, (split, video) in enumerate(named):
        remarks.update(found[number].remarks)
        report.faults += [Fault(split, video.name, reason) for reason in found[number].faults]
        report.whole[split] += not found[number].faults and (split, video.name) not in faulty
    report.notes += [f"{count} videos {remark}" for remark, count in sorted(remarks.items())]


def _alone(truth: TruthFile, video: Video) -> TruthFile:
    """The truth of one video."""
    return replace(truth, videos=(video,), tracks={video.id: truth.tracks.get(video.id, [])})


def _look(job: _Job) -> _Found:
    [video] = job.truth.videos
    found = _Found()
    size = _look_at_tracks(job.truth, video, found)
    _look_at_frames([job.folder / "JPEGImages" / name for name in video.frames], size, found)
    sound, features = (job.folder / kind / video.name for kind in ("WAVAudios", "FEATAudios"))
    _look_at_sound(sound.with_name(f"{video.name}.wav"), len(video.frames), found)
    path = features.with_name(f"{video.name}.npy")
    if not path.is_file():
        found.remarks.append("have no features; only --data.audio features needs them")
        return found
    try:
        read_features(path, len(video.frames))
    except (ValueError, OSError) as error:
        found.faults.append(str(error))
    return found


def _look_at_tracks(truth: TruthFile, video: Video, found: _Found) -> Size | None:
    """Judge every annotation by itself; gives the (H, W) that they agree on."""
    tracks = truth.tracks.get(video.id, [])
    if not any(track.boxed for track in tracks if not track.crowd):
        found.remarks.append("have no mask to train on, and training leaves them out")
    found.remarks += ["have crowds, which training leaves out"] * any(track.crowd for track in tracks)
    found.remarks += ["have masks without a box, which training leaves out"] * any(t.boxed < t.shown for t in tracks)
    found.faults += [f"the annotation {track.id} is null in every frame" for track in tracks if not track.shown]
    try:
        annotations = truth.read(tracks)
        size = size_of(video, annotations)
    except (ValueError, OSError) as error:
        found.faults.append(str(error))
        return video.size
    for track, annotation in zip(tracks, annotations, strict=True):
        if track.length == len(video.frames) and size is not None:
            _look_at_track(annotation, size, track.length, found)
    return size


def _look_at_track(annotation: dict[str, Any], size: Size, frames: int, found: _Found) -> None:
    try:
        ranks = {int(annotation["category_id"]): 1}  # judged elsewhere
        track_target([annotation], size, range(frames), ranks)
        track_target([annotation], size, range(1), ranks, boxed=True)  # for the number of boxes
    except ValueError as error:
        found.faults.append(str(error))


def _look_at_frames(paths: Sequence[Path], size: Size | None, found: _Found) -> None:
    missing = [path for path in paths if not path.is_file()]
    if missing:
        found.faults.append(f"{len(missing)} of {len(paths)} frames are missing, the first {missing[0]}")
    for path in paths:
        if path.is_file() and (fault := _fault_of_frame(path, size)):
            found.faults.append(fault)


def _fault_of_frame(path: Path, size: Size | None) -> str:
    try:
        with Image.open(path) as picture:
            stated = picture.height, picture.width
            picture.draft("RGB", (picture.width // 8, picture.height // 8))  # every byte is read, few pixels are made
            picture.load()
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        return f"{path} is not a complete picture ({error}); prepare or copy it again"
    if size is not None and stated != size:
        return f"the frame {path} is {stated[0]} pixels high and {stated[1]} wide, the truth {size[0]} and {size[1]}"
    return ""


def _look_at_sound(path: Path, seconds: int, found: _Found) -> None:
    try:
        wav = open_wav(path)
    except (ValueError, OSError) as error:
        found.faults.append(str(error))
        return
    if wav.samples.shape[1] < (seconds - 1) * wav.rate:
        found.remarks.append("have over a second less sound than frames; silence fills the gap")
