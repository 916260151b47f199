"""Building clips from raw videos and label files: frames, sound and log-mel windows in the layout of AVSBench."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from avseg.data import SPLITS
from avseg.data.tables import ClipFiles
from avseg.io.audio import read_wav, write_wav
from avseg.io.files import clear_stale, write_folder_aside
from avseg.io.image import write_jpeg, write_png
from avseg.io.pickles import write_tensor
from avseg.prepare.files import TRUTH, ClipFolder, copy_file, is_fatal
from avseg.prepare.frames import extract_frames, stretch
from avseg.prepare.jobs import run_jobs
from avseg.prepare.report import PrepareReport

SAMPLE_RATE = 16000


@dataclass(frozen=True)
class _Job:
    id: str
    video: Path
    files: ClipFiles
    """Files to write."""
    labels: tuple[Path, ...]
    """Source of the labels."""
    size: tuple[int, int] | None


@dataclass(frozen=True)
class _Outcome:
    state: Literal["done", "skipped", "failed"]
    note: str = ""


def prepare_clips(source: ClipFolder, raw: Path, out: Path, workers: int = 0) -> PrepareReport:
    """Build the folder of a data set; a second run skips finished clips.

    Args:
        source: The data set.
        raw: Folder with the table, the raw videos and the label files (docs/reference/datasets.md); may be `out`
        itself.
        out: Folder to write; every file in it is whole or absent.
        workers: Processes; 0 takes one for every core, 1 stays in this process.

    A clip that cannot be made is reported, and the others continue.

    Raises:
        ValueError, FileNotFoundError: a table that is missing or does not fit.
        OSError: the disk is full or `out` cannot be written.
    """
    raw, out = Path(raw), Path(out)
    clear_stale(out, below=True)
    jobs = _jobs(source, raw, out)
    outcomes = dict(run_jobs(_prepare_clip, jobs, workers, f"prepare {source.name}"))
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


def _jobs(source: ClipFolder, raw: Path, out: Path) -> list[_Job]:
    splits = {split: source.open(split, raw) for split in SPLITS}  # checks the table before anything is written
    for table in (*source.tables, TRUTH):
        if (raw / table).is_file():
            copy_file(raw / table, out / table)
    jobs = []
    for split, given in splits.items():
        wanted = source.open(split, out)
        for i, row in enumerate(given.rows):
            video = source.video(raw, row)
            jobs.append(_Job(given.ids[i], video, wanted.files(i), given.files(i).labels, source.size))
    return jobs


def _prepare_clip(job: _Job) -> _Outcome:
    files = job.files
    if all(path.is_file() for path in _all(files)):
        return _Outcome("skipped")
    try:
        for source, place in zip(job.labels, files.labels, strict=True):
            copy_file(source, place)
        if not all(path.is_file() for path in files.frames):
            _write_frames(job)
        if not files.sound.is_file():
            _write_sound(job)
        note = "" if files.log_mel is None or files.log_mel.is_file() else _write_log_mel(files)
    except (ValueError, OSError) as error:
        if is_fatal(error):
            raise
        return _Outcome("failed", str(error))
    return _Outcome("done", note)


def _all(files: ClipFiles) -> list[Path]:
    return [*files.frames, *files.labels, files.sound, *([files.log_mel] if files.log_mel else [])]


def _write_frames(job: _Job) -> None:
    pictures = extract_frames(job.video, len(job.files.frames))
    with write_folder_aside(job.files.frames[0].parent) as folder:
        for path, picture in zip(job.files.frames, pictures, strict=True):
            sized = picture if job.size is None else stretch(picture, job.size)
            (write_jpeg if path.suffix == ".jpg" else write_png)(folder / path.name, sized)


def _write_sound(job: _Job) -> None:
    from avseg.io.video import read_audio, why_silent

    sound = read_audio(job.video, sample_rate=SAMPLE_RATE)
    if sound is None:
        raise ValueError(f"{job.video} {why_silent(job.video)}; a clip of an audio-visual data set needs sound")
    write_wav(job.files.sound, sound[0], SAMPLE_RATE)


def _write_log_mel(files: ClipFiles) -> str:
    """Write one window of the stored sound per frame; returns a note if their number differed."""
    from avseg.nn.mel import log_mel_examples

    assert files.log_mel is not None
    windows, count = log_mel_examples(read_wav(files.sound, SAMPLE_RATE, 1)[0][0]), len(files.frames)
    if len(windows) == 0:
        raise ValueError(f"{files.sound} is shorter than the 0.975 s of one log-mel window")
    missing = max(count - len(windows), 0)
    fitted = windows[[*range(min(count, len(windows))), *[len(windows) - 1] * missing]]
    write_tensor(files.log_mel, fitted)
    return "" if len(windows) == count else f"{len(windows)} log-mel windows of sound, {count} wanted; cut or repeated"
