"""Segmentation of many videos, one result folder each: finished videos are skipped, broken ones are reported."""

from __future__ import annotations

import glob
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

from avseg.inference.export.existing import Existing, read_result
from avseg.inference.export.files import RESULT_NAME, ResultHeader, facts_of
from avseg.inference.export.gathered import gathered
from avseg.inference.export.kinds import GATHERED, USUAL, Chosen, MaskChoice, OverlayChoice, choose, kinds
from avseg.inference.export.saving import Written, write_video_result
from avseg.inference.export.style import PLAIN
from avseg.inference.export.writer import Maker
from avseg.inference.loading import load_result
from avseg.inference.records import FrameStream, KnownStream
from avseg.inference.segmenter import Segmenter
from avseg.inference.source import check_hears
from avseg.io.excerpt import Excerpt
from avseg.io.files import clear_stale, is_visible
from avseg.io.media import MediaError, VideoInfo
from avseg.io.video import VIDEO_SUFFIXES
from avseg.lazy import imported
from avseg.models.budget import bytes_of
from avseg.models.files import load_model
from avseg.prepare.pseudo import Gathering
from avseg.progress import Progress

log = logging.getLogger(__name__)

SUFFIXES = VIDEO_SUFFIXES
"""Suffixes of videos in a folder; a file given by name may have any suffix."""
MOST_TOLD = 3
"""Largest number of objects in the line of a video, and of intervals per object."""


@dataclass
class FolderReport:
    """The outcome for each video."""

    out: Path
    done: dict[Path, Path] = field(default_factory=dict)
    """Video -> folder of its new result."""
    skipped: dict[Path, Path] = field(default_factory=dict)
    """Video -> folder of its existing result."""
    failed: dict[Path, str] = field(default_factory=dict)
    """Video -> reason for the failure, as one sentence."""
    lacking: dict[Path, dict[str, str]] = field(default_factory=dict)
    """Video -> kind of output missing from its new result -> reason."""
    notes: list[str] = field(default_factory=list)
    """Sentences about all videos together."""

    @property
    def without_overlay(self) -> dict[Path, str]:
        """Video -> reason why its new result has no overlay."""
        return {video: faults["overlay"] for video, faults in self.lacking.items() if "overlay" in faults}

    @property
    def exit_code(self) -> int:
        """0 if every video has its result with all requested outputs, else 1."""
        return 1 if self.failed or self.lacking else 0

    @property
    def summary(self) -> str:
        """One line with the number of each outcome."""
        told = f"{len(self.done)} segmented, {len(self.skipped)} already there, {len(self.failed)} failed"
        counts = Counter(kind for faults in self.lacking.values() for kind in faults)
        without = "".join(f", {count} without the {kinds()[kind].noun}" for kind, count in counts.items())
        where = f"; results are in {self.out}" if self.done or self.skipped else ""
        return "\n".join([f"{told}{without}{where}", *self.notes])

    def __str__(self) -> str:
        faults = [(video, reason) for video, of in self.lacking.items() for reason in of.values()]
        lines = [f"  {fault_line(video, reason)}" for video, reason in [*faults, *self.failed.items()]]
        return "\n".join([self.summary, *lines])


def predict_paths(
    inputs: Sequence[str],
    model: str | PathLike[str],
    out: Path,
    *,
    save: Sequence[str] = USUAL,
    overlay: OverlayChoice = None,
    masks: MaskChoice = "usual",
    overwrite: bool = False,
    start: float | str | None = None,
    end: float | str | None = None,
    audio: str | PathLike[str] | None = None,
    **segmenter: Any,
) -> FolderReport:
    """Segment the videos in `inputs`: files, folders (with subfolders), or patterns.

    Args:
        inputs: Files, folders, or patterns such as `clips/*.mp4`.
        model: Anything that `avseg.load_model` opens; a `ModelSource` holds choices too.
        out: The folder of the results; each video gets a folder in it.
        save: Kinds of output, as `avseg predict --save` takes them.
        overlay: Whether overlay.mp4 is written. None, or a `Style`, leaves that to `save`; a `Style` also says how
            masks are painted.
        masks: The form of the masks: `png`, `rle` or `npz`. `usual` writes PNG if `save` names masks; None writes none.
        overwrite: Replace results that are already there.
        start: Where the segmented part of every video begins, in s or as `1:02.5`; None is its first picture.
        end: Where the part ends, on the clock of the video; None is its last picture.
        audio: A file whose sound replaces that of the videos.
        segmenter: `fps`, `device`, `classes`, `threshold`, `options`, `engine` and `precision` of `Segmenter`, and
            `memory` of `Segmenter.within`.

    Returns:
        What became of each video. A broken video is reported and does not stop the others.

    Raises:
        FileNotFoundError: An input matches no video.
        ValueError: No input, an unknown kind of output, text that is no time or size, a rate, option or output that
            does not fit the model, or a model that takes audio features in place of sound.
        OSError: `out` cannot be written to.
    """
    if not inputs:
        raise ValueError("no video given; name files, folders or patterns")
    choose(save, overlay, masks)
    Excerpt.wanted(start, end, audio)
    memory = segmenter.pop("memory", None)
    memory = None if memory is None else bytes_of(memory)
    videos = find_videos(inputs, out)
    check_writable(out)
    loaded = load_model(model)
    check_hears(loaded.config)
    return predict_folder(
        Segmenter(loaded, **{"name": Path(model).name, **segmenter}).within(memory),
        videos,
        out,
        save=save,
        overlay=overlay,
        masks=masks,
        overwrite=overwrite,
        start=start,
        end=end,
        audio=audio,
    )


def predict_folder(
    segmenter: Segmenter,
    videos: Sequence[str | Path] | Mapping[Path, str],
    out: Path,
    *,
    save: Sequence[str] = ("masks",),
    overlay: OverlayChoice = None,
    masks: MaskChoice = "usual",
    overwrite: bool = False,
    start: float | str | None = None,
    end: float | str | None = None,
    audio: str | PathLike[str] | None = None,
) -> FolderReport:
    """Segment `videos` one after another; an interrupted run leaves only complete results.

    A result of the same file, part, sound, model and rate is kept. Outputs that it lacks are added from its stored
    masks, or by predicting the video again if it has none. A result of another engine or precision is made again. A
    result of another file, model or rate stays as it is, and the video is reported as failed.

    Args:
        segmenter: The model and its options.
        videos: Video files, or a mapping from video files to the names of their folders.
        out: The folder of the results.
        save: Kinds of output, as in `predict_paths`.
        overlay: As in `predict_paths`.
        masks: As in `predict_paths`.
        overwrite: Make every result again and remove what was there.
        start: As in `predict_paths`.
        end: As in `predict_paths`.
        audio: As in `predict_paths`.

    Returns:
        What became of each video.

    Raises:
        ValueError: An unknown kind of output, an output that does not fit the model, or a part or sound that does not
            exist.
    """
    report, chosen = FolderReport(Path(out)), choose(save, overlay, masks)
    cut = Excerpt.wanted(start, end, audio)
    clear_stale(report.out)
    named = dict(videos) if isinstance(videos, Mapping) else result_names([Path(v) for v in videos], report.out)
    with ExitStack() as stack:
        makers = {kind: stack.enter_context(_maker(kind, segmenter, report)) for kind in chosen.more}
        wanted = _Wanted(chosen, makers, overwrite, cut)
        progress = stack.enter_context(Progress(len(named), "predict", "video", quiet=len(named) == 1))
        for video, name in named.items():
            try:
                _predict(segmenter, video, report, report.out / name, wanted)
            except Exception as error:  # one broken video must not cost the others
                reason = _reason(error)
                report.failed[video] = reason
                unexpected = not isinstance(error, (MediaError, FileExistsError, OSError))
                log.error("%s", fault_line(video, reason), exc_info=error if unexpected else None)
            progress.advance()
    return report


def fault_line(video: Path, reason: str) -> str:
    """Return the line of a failed video; many reasons begin with its name already."""
    return reason if reason.startswith((str(video), video.name)) else f"{video.name}: {reason}"


def _reason(error: Exception) -> str:
    """Return why a video has no result, without the path of the temporary folder in system messages."""
    if isinstance(error, OSError) and error.strerror and not isinstance(error, MediaError):
        return f"no result could be written ({error.strerror})"
    return str(error) or type(error).__name__


@dataclass(frozen=True)
class _Wanted:
    """The outputs of a run for each video."""

    chosen: Chosen
    makers: Mapping[str, Maker]
    overwrite: bool
    cut: Excerpt


def _maker(kind: str, segmenter: Segmenter, report: FolderReport) -> AbstractContextManager[Maker]:
    """Yield the maker of the writers of a kind, for all videos of a run.

    Raises:
        ValueError: an output that does not fit the model.
    """
    address = kinds()[kind].address
    if not kind.startswith(GATHERED):
        return nullcontext(imported(address))
    root = report.out / f"dataset_{kind.removeprefix(GATHERED)}"
    gathering = Gathering(imported(address), root, segmenter.model.task, segmenter.describe())
    return gathered(gathering, segmenter.fps, report.notes)


def _predict(segmenter: Segmenter, video: Path, report: FolderReport, folder: Path, wanted: _Wanted) -> None:
    """Segment one video and write its folder.

    Raises:
        MediaError: if the file is not a video.
        FileExistsError: if the folder holds a conflicting result.
    """
    info = wanted.cut.of(video)
    chosen = wanted.chosen
    header = ResultHeader(
        segmenter.describe(), segmenter.model.task, segmenter.fps, chosen.masks, chosen.more, chosen.style
    )
    existing = Existing.of(folder)
    contradiction = existing.contradiction(header, facts_of(info))
    if contradiction and not wanted.overwrite:
        raise FileExistsError(contradiction)
    anew = existing.made_by_another(header)
    if anew and not wanted.overwrite:
        log.info("%s: result of another engine or precision; predicting again", video.name)
    replacing = wanted.overwrite or anew
    lacking = header if replacing else existing.lacking(header)
    if chosen.style != PLAIN and "overlay" in chosen.more and not replacing and existing.has_overlay():
        log.warning("%s: keeping the existing overlay; remove it to paint it in this style", video.name)
    if lacking is None:
        report.skipped[video] = folder
        log.info("%s: already there", video.name)
        return
    frames = None if replacing else _stored(existing)
    lacking = existing.mending(lacking) if frames is None and not replacing else lacking
    log.debug("%s: %s", video.name, "predicted" if frames is None else "from its stored masks")
    frames = segmenter.frames_of(info) if frames is None else frames
    written = write_video_result(existing, info, frames, lacking, wanted.makers, replacing=replacing)
    report.done[video] = folder
    log.info("%s", sentence(info, written))
    if written.faults:
        report.lacking[video] = written.faults
        for fault in written.faults.values():
            log.error("%s", fault_line(video, fault))


def _stored(existing: Existing) -> FrameStream | None:
    """Return the frames of a finished result from its masks; None if there is no result or a mask is missing."""
    if existing.found is None:
        return None
    try:
        stored = load_result(existing.folder)
    except (ValueError, OSError):
        return None
    return KnownStream(stored.frames, stored.measured, stored.explanation)


def sentence(info: VideoInfo, written: Written) -> str:
    """Return a line such as `band.mp4  1920x1080  7.0 s  3.1x real time: guitar 0.0-6.4 s`."""
    speed = written.duration / written.seconds if written.seconds else 0.0
    facts = f"{info.path.name}  {info.width}x{info.height}  {written.duration:.1f} s  {speed:.1f}x real time"
    told = [_when(one) for one in written.sounding if one["intervals"]]
    more = [f"and {len(told) - MOST_TOLD} more"] if len(told) > MOST_TOLD else []
    return f"{facts}: {', '.join([*told[:MOST_TOLD], *more]) or 'nothing found'}"


def _when(one: dict[str, Any]) -> str:
    """Return `guitar 0.0-6.4 s`, `dog 0.0-1.2 and 3.0-4.1 s` or `dog 0.0-8.1 s (5 times)`; tracks show their number."""
    spans = one["intervals"]
    name = f"{one['class']} {one['id']}" if "score" in one else one["class"]
    if len(spans) > MOST_TOLD:
        return f"{name} {spans[0][0]:.1f}-{spans[-1][1]:.1f} s ({len(spans)} times)"
    return f"{name} {' and '.join(f'{begin:.1f}-{end:.1f}' for begin, end in spans)} s"


def find_videos(inputs: Sequence[str], out: Path | None = None) -> list[Path]:
    """Return the video files in `inputs`, each once, in order; files in `out` are results and are skipped.

    Hidden files and folders are skipped; a file given by name is always used.

    Raises:
        FileNotFoundError: if an input matches no video.
    """
    found: dict[Path, None] = {}
    for text in inputs:
        path = Path(text)
        if path.is_dir():
            files = [file for file in sorted(path.rglob("*")) if file.suffix.lower() in SUFFIXES and file.is_file()]
            files = [file for file in files if is_visible(file, path) and not _is_result(file, out)]
        elif path.is_file():
            files = [path]
        else:
            matches = sorted(glob.glob(text, recursive=True))  # noqa: PTH207  a pattern may be absolute
            files = [file for file in map(Path, matches) if file.is_file()]
        if not files:
            kinds = f"; known suffixes: {' '.join(sorted(SUFFIXES))}" if path.is_dir() else ""
            raise FileNotFoundError(
                f"{text!r} is not a video file, a folder with videos or a pattern that matches a video{kinds}"
            )
        found.update(dict.fromkeys(files))
    return list(found)


def _is_result(file: Path, out: Path | None) -> bool:
    return out is not None and file.resolve().is_relative_to(out.resolve()) and (file.parent / RESULT_NAME).is_file()


def result_names(videos: Sequence[Path], out: Path) -> dict[Path, str]:
    """Return a folder name for each video: its stem; if two share it, its file name, with its folder, or a number."""
    names: dict[Path, str] = {}
    stems = [video.stem for video in videos]
    files = [video.name for video in videos]
    for video in videos:
        made_before = read_result(out / video.name) is not None and _stands_for(out / video.name, video)
        if stems.count(video.stem) == 1 and _stands_for(out / video.stem, video) and not made_before:
            names[video] = video.stem
        elif files.count(video.name) == 1:
            names[video] = video.name
        else:
            names[video] = f"{video.resolve().parent.name}-{video.name}"
    taken: dict[str, int] = {}
    for video, name in names.items():
        taken[name] = taken.get(name, 0) + 1
        if taken[name] > 1:
            names[video] = f"{name}-{taken[name]}"
    return names


def _stands_for(folder: Path, video: Path) -> bool:
    """Whether `folder` holds a result of `video` or no result."""
    found = read_result(folder)
    facts = None if found is None else found.get("video")
    return not isinstance(facts, dict) or facts.get("file") == video.name


def check_writable(out: Path) -> None:
    """Check that results can be written before the first video is predicted."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe_file = out / ".avseg-writable"
        probe_file.touch()
        probe_file.unlink()
    except OSError as error:
        raise OSError(
            f"results cannot be written to {out} ({error.strerror}); choose another folder with --out"
        ) from error
