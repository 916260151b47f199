"""S4, MS3 and AVSS from raw videos and label files: pictures, sound and log-mel windows in the published layout."""

from __future__ import annotations

import errno
import logging
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from avseg.config import did_you_mean
from avseg.data import SPLITS, DataConfig, build_dataset
from avseg.datasets.tables import ClipFiles, Row
from avseg.io.audio import read_wav, write_wav
from avseg.io.files import clear_stale, write_aside, write_folder_aside
from avseg.io.image import write_jpeg, write_png
from avseg.io.pickles import write_tensor
from avseg.prepare.frames import extract_frames, stretch
from avseg.prepare.jobs import run_jobs
from avseg.prepare.report import PrepareReport

log = logging.getLogger(__name__)

SAMPLE_RATE = 16000
OBJECT_SIZE = (224, 224)
"""S4 and MS3 store their frames at this size; AVSS keeps that of the video."""
TABLES = {"s4": ("s4_meta_data.csv",), "ms3": ("ms3_meta_data.csv",), "avss": ("metadata.csv", "label2idx.json")}
"""Files that a data set's folder needs beside its clips; the first is its table."""


@dataclass(frozen=True)
class _Job:
    id: str
    video: Path
    files: ClipFiles
    """To be written."""
    labels: tuple[Path, ...]
    """Where the labels come from."""


@dataclass(frozen=True)
class _Outcome:
    state: Literal["done", "skipped", "failed"]
    note: str = ""


def prepare(name: str, raw: Path, out: Path, *, workers: int = 0) -> PrepareReport:
    """Make the folder of a data set. May be stopped at any time; a second run skips what is finished.

    Args:
        name: `s4`, `ms3` or `avss`.
        raw: Folder with the table, the raw videos and the label files (docs/datasets.md); may be `out` itself.
        out: Folder to write; every file in it is whole or absent.
        workers: Processes; 0 takes one for every core, 1 stays in this process.

    A clip that cannot be made is reported and the others go on.

    Raises:
        ValueError, FileNotFoundError: an unknown name, or a table that is missing or does not fit.
        OSError: the disk is full or `out` cannot be written.
    """
    if name not in TABLES:
        raise ValueError(f"no raw material of {name!r} is known; {did_you_mean(name, TABLES)}")
    raw, out = Path(raw), Path(out)
    clear_stale(out, below=True)
    jobs = _jobs(name, raw, out)
    outcomes = dict(run_jobs(_prepare_clip, jobs, workers, f"prepare {name}"))
    report = PrepareReport()
    for number, job in enumerate(jobs):
        outcome = outcomes[number]
        report.done += outcome.state == "done"
        report.skipped += outcome.state == "skipped"
        if outcome.state == "failed":
            report.failed.append((job.id, outcome.note))
        elif outcome.note:
            report.notes.append((job.id, outcome.note))
    return report


def raw_video(name: str, raw: Path, row: Row) -> Path:
    """Where the raw video of a clip lies."""
    if name == "s4":
        return raw / "s4_data" / "raw_videos" / row["split"] / row["category"] / f"{row['name']}.mp4"
    if name == "ms3":
        return raw / "ms3_data" / "raw_videos" / f"{row['name']}.mp4"
    return raw / row["label"] / row["uid"] / "video.mp4"


def _jobs(name: str, raw: Path, out: Path) -> list[_Job]:
    splits = [_open(name, raw, split) for split in SPLITS]  # checks the table before anything is written
    for table in (*TABLES[name], "truth.json"):  # the last marks a synthetic world
        if (raw / table).is_file():
            _copy(raw / table, out / table)
    jobs = []
    for split, source in zip(SPLITS, splits, strict=True):
        wanted = _open(name, out, split)
        for i, row in enumerate(source.rows):
            jobs.append(_Job(source.ids[i], raw_video(name, raw, row), wanted.files(i), source.files(i).labels))
    return jobs


def _open(name: str, root: Path, split: str) -> Any:
    return build_dataset(DataConfig(name=name), split, root)


def _prepare_clip(job: _Job) -> _Outcome:
    files = job.files
    if all(path.is_file() for path in _all(files)):
        return _Outcome("skipped")
    try:
        for source, place in zip(job.labels, files.labels, strict=True):
            _copy(source, place)
        if not all(path.is_file() for path in files.frames):
            _write_frames(job)
        if not files.sound.is_file():
            _write_sound(job)
        note = "" if files.log_mel is None or files.log_mel.is_file() else _write_log_mel(files)
    except (ValueError, OSError) as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES):
            raise
        return _Outcome("failed", str(error))
    return _Outcome("done", note)


def _all(files: ClipFiles) -> list[Path]:
    return [*files.frames, *files.labels, files.sound, *([files.log_mel] if files.log_mel else [])]


def _copy(source: Path, place: Path) -> None:
    if place.is_file() and (source.resolve() == place.resolve() or source.stat().st_size == place.stat().st_size):
        return
    with write_aside(place) as aside:
        shutil.copyfile(source, aside)


def _write_frames(job: _Job) -> None:
    pictures = extract_frames(job.video, len(job.files.frames))
    with write_folder_aside(job.files.frames[0].parent) as folder:
        for path, picture in zip(job.files.frames, pictures, strict=True):
            if path.suffix == ".jpg":
                write_jpeg(folder / path.name, picture)
            else:
                write_png(folder / path.name, stretch(picture, OBJECT_SIZE))


def _write_sound(job: _Job) -> None:
    from avseg.io.video import read_audio, why_silent

    sound = read_audio(job.video, sample_rate=SAMPLE_RATE)
    if sound is None:
        raise ValueError(f"{job.video} {why_silent(job.video)}; a clip of an audio-visual data set needs sound")
    write_wav(job.files.sound, sound[0], SAMPLE_RATE)


def _write_log_mel(files: ClipFiles) -> str:
    """Windows of the stored sound, as many as frames; gives a note where there were more or fewer."""
    from avseg.nn.mel import log_mel_examples

    assert files.log_mel is not None
    windows, count = log_mel_examples(read_wav(files.sound, SAMPLE_RATE, 1)[0][0]), len(files.frames)
    if len(windows) == 0:
        raise ValueError(f"{files.sound} is shorter than the 0.975 s of one log-mel window")
    missing = max(count - len(windows), 0)
    fitted = windows[[*range(min(count, len(windows))), *[len(windows) - 1] * missing]]
    write_tensor(files.log_mel, fitted)
    return "" if len(windows) == count else f"{len(windows)} log-mel windows of sound, {count} wanted; cut or repeated"
