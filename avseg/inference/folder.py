"""Many videos, one result folder each: finished ones are skipped, broken ones are reported and survived."""

from __future__ import annotations

import glob
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from avseg.config import TrackOptions
from avseg.inference.result import MaskKind
from avseg.inference.segmenter import Segmenter
from avseg.inference.source import check_hears
from avseg.inference.writer import FORMAT_VERSION, RESULT_NAME, Header, video_facts, write_video_result
from avseg.io.files import is_visible
from avseg.io.media import MediaError, probe
from avseg.models.files import load_model

log = logging.getLogger(__name__)

SUFFIXES = frozenset(
    (
        ".mp4",
        ".m4v",
        ".mov",
        ".mkv",
        ".webm",
        ".avi",
        ".mpg",
        ".mpeg",
        ".ts",
        ".m2ts",
        ".mts",
        ".wmv",
        ".flv",
        ".ogv",
        ".3gp",
    )
)
"""Of the files that are taken from a folder; a file that is named is tried whatever its suffix."""


@dataclass
class Report:
    """What became of each video."""

    out: Path
    done: dict[Path, Path] = field(default_factory=dict)
    """Video -> folder of its result, made now."""
    skipped: dict[Path, Path] = field(default_factory=dict)
    """Video -> folder of its result, which was there."""
    failed: dict[Path, str] = field(default_factory=dict)
    """Video -> why there is none, in one sentence."""
    without_overlay: dict[Path, str] = field(default_factory=dict)
    """Video -> why its result, which was made, has no overlay."""

    @property
    def exit_code(self) -> int:
        """0 when every video has its result and the overlay that was asked for, else 1."""
        return 1 if self.failed or self.without_overlay else 0

    def __str__(self) -> str:
        lines = [
            f"{len(self.done)} segmented, {len(self.skipped)} already there, {len(self.failed)} failed; {self.out}"
        ]
        lines += [f"  {video.name} -> {folder}" for video, folder in self.done.items()]
        lines += [f"  {video.name}: {reason}" for video, reason in (self.without_overlay | self.failed).items()]
        return "\n".join(lines)


def predict_paths(
    inputs: Sequence[str],
    model: str | Path,
    out: Path,
    *,
    fps: float | None = None,
    overlay: bool = True,
    masks: MaskKind | None = "png",
    device: str = "auto",
    tracks: TrackOptions | None = None,
) -> Report:
    """Segment the videos that `inputs` mean: files, folders (with those below), or patterns.

    Args:
        inputs: see `find_videos`.
        model: a model file, folder or Hub id.
        out: one folder a video is written here.
        fps: masks a second; None is 5, and for models that see whole clips the rate they were published with.
        overlay: write overlay.mp4 beside the masks.
        masks: how masks are stored; None stores none.
        device: see `Segmenter`.
        tracks: see `Segmenter`.

    Raises:
        FileNotFoundError: an input that means no video.
        ValueError: no input, a rate or options that do not fit the model, or a model that does not hear videos.
        OSError: `out` cannot be written to.
    """
    if not inputs:
        raise ValueError("no video is given; name files, folders of them, or patterns")
    videos = find_videos(inputs, out)
    _check_writable(out)
    loaded = load_model(model)
    check_hears(loaded.config)
    temporal = loaded.config.temporal
    usual = 1 / temporal.spacing if temporal.kind == "clip" else 5.0
    rate = usual if fps is None else fps
    segmenter = Segmenter(loaded, fps=rate, device=device, name=Path(model).name, tracks=tracks)
    return predict_folder(segmenter, videos, out, overlay=overlay, masks=masks)


def predict_folder(
    segmenter: Segmenter,
    videos: Sequence[str | Path],
    out: Path,
    *,
    overlay: bool = False,
    masks: MaskKind | None = "png",
) -> Report:
    """Segment `videos` one after another; each result folder is whole or absent, whatever interrupts the run.

    A result that was made with the same file size, model and settings is kept.
    """
    report = Report(Path(out))
    for video, name in result_names([Path(video) for video in videos], report.out).items():
        folder = report.out / name
        try:
            info = probe(video)
            header = Header(segmenter.describe(), segmenter.model.task, segmenter.fps, masks, overlay)
            if _is_finished(folder, header, video_facts(info)):
                report.skipped[video] = folder
                log.info("%s: already there in %s", video.name, folder)
                continue
            written = write_video_result(folder, info, segmenter.frames_of(info), header)
            report.done[video] = folder
            log.info("%s: %d masks in %s", video.name, written.count, folder)
            if written.fault:
                report.without_overlay[video] = written.fault
                log.error("%s: %s", video.name, written.fault)
        except Exception as error:  # one broken video must not cost the others
            reason = str(error) or type(error).__name__
            report.failed[video] = reason
            unexpected = not isinstance(error, (MediaError, OSError))
            log.error("%s: %s", video.name, reason, exc_info=error if unexpected else None)
    return report


def find_videos(inputs: Sequence[str], out: Path | None = None) -> list[Path]:
    """Video files that `inputs` mean, each once, in order; what lies in `out` is a result and no input.

    Hidden files and folders of a folder are passed over; a file that is named is taken.

    Raises:
        FileNotFoundError: an input that means none.
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
            kinds = f"; suffixes looked for: {' '.join(sorted(SUFFIXES))}" if path.is_dir() else ""
            raise FileNotFoundError(f"{text!r} is no file, no folder with videos and no pattern that fits any{kinds}")
        found.update(dict.fromkeys(files))
    return list(found)


def _is_result(file: Path, out: Path | None) -> bool:
    return out is not None and file.resolve().is_relative_to(out.resolve()) and (file.parent / RESULT_NAME).is_file()


def result_names(videos: Sequence[Path], out: Path) -> dict[Path, str]:
    """A folder name for each video: its stem, or, where two share it, its whole name, with its folder, or a number."""
    names: dict[Path, str] = {}
    stems = [video.stem for video in videos]
    files = [video.name for video in videos]
    for video in videos:
        if stems.count(video.stem) == 1 and _stands_for(out / video.stem, video):
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
    """Whether a result in `folder` is one of `video`, or there is none."""
    found = _read(folder)
    return found is None or found.get("video", {}).get("file") == video.name


def _is_finished(folder: Path, header: Header, facts: dict[str, Any]) -> bool:
    """Whether `folder` holds the result of this very file, model and settings."""
    found = _read(folder)
    if found is None or found.get("format_version") != FORMAT_VERSION:
        return False
    wanted = json.loads(json.dumps(header.to_dict(facts)))
    video = found.get("video", {})
    return all(found.get(key) == wanted[key] for key in ("model", "fps", "masks", "overlay", "tracks", "classes")) and (
        all(video.get(key) == value for key, value in wanted["video"].items())
    )


def _read(folder: Path) -> dict[str, Any] | None:
    try:
        found = json.loads((folder / RESULT_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _check_writable(out: Path) -> None:
    """Better now than after the first video."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe_file = out / ".avseg-writable"
        probe_file.touch()
        probe_file.unlink()
    except OSError as error:
        raise OSError(
            f"results cannot be written to {out} ({error.strerror}); give another folder with --out"
        ) from error
