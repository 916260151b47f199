"""Preparing AVISeg from videos: a frame and a feature vector for every second, in the published layout."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from avseg.datasets import SPLITS
from avseg.datasets.aviseg.options import FeatureOptions
from avseg.datasets.aviseg.truth import TruthFile, Video, read_truth
from avseg.io.audio import read_wav, write_wav
from avseg.io.files import clear_stale, is_visible, write_aside
from avseg.io.image import write_jpeg
from avseg.models.convert import read_checkpoint
from avseg.nn.mel import EXAMPLE_FRAMES, EXAMPLE_SAMPLES, SAMPLE_RATE, LogMel
from avseg.nn.resample import Form, resample
from avseg.nn.vggish import VGGish
from avseg.prepare.files import TRUTH, copy_file, is_fatal
from avseg.prepare.jobs import run_jobs
from avseg.prepare.report import PrepareReport
from avseg.progress import tracked

MOVIES = "movies"
"""Folder of the videos in the raw material; each is NAME with any ending."""
SHOWN_AFTER = 0.5
"""s after the beginning of a second: the moment whose picture stands for it."""
_AT_ONCE = 32

Short: TypeAlias = Literal["zeros", "silence"]
"""Filling of a second with less than 0.975 s of sound: log-mel values of zero, as published, or the sound
followed by silence."""
RESAMPLING: Form = "resampy_0.2"
"""How a second is brought to 16 kHz. Which version of resampy made the shipped features is unknown; this one has the
filter that models resample sound with (docs/reference/audio.md)."""


@dataclass(frozen=True)
class _Job:
    video: Video
    movie: Path | None
    raw: Path
    out: Path
    """Folders of the split."""

    def frames(self, folder: Path) -> list[Path]:
        return [folder / "JPEGImages" / name for name in self.video.frames]

    def sound(self, folder: Path) -> Path:
        return folder / "WAVAudios" / f"{self.video.name}.wav"


@dataclass(frozen=True)
class _Outcome:
    made: bool = False
    failed: str = ""
    note: str = ""


def prepare(raw: Path, out: Path, options: FeatureOptions = FeatureOptions(), workers: int = 0) -> PrepareReport:
    """Make the folder of AVISeg, or what is missing in it. May be stopped; a second run skips what is finished.

    Args:
        raw: Folder with train.json, val.json, test.json (those that are there are made) and `movies`, or with the
            frames and sounds themselves (docs/reference/datasets.md); may be `out` itself.
        out: Folder to write; every file in it is whole or absent.
        options: How features of the sound are made.
        workers: Processes for pictures and sounds; 0 takes one for every core, 1 stays in this process.

    A video that cannot be made is reported and the others go on.

    Raises:
        ValueError, FileNotFoundError: no file of truth, one that contradicts itself, or weights of another network.
        OSError: the disk is full or `out` cannot be written.
    """
    raw, out = Path(raw), Path(out)
    network = None if options.vggish is None else _vggish(options.vggish)
    clear_stale(out, below=True)
    jobs = _jobs(raw, out)
    outcomes = dict(run_jobs(_make, jobs, workers, "prepare aviseg", "video"))
    report = PrepareReport()
    rows: Iterable[tuple[int, _Job]] = list(enumerate(jobs))
    if network is not None:
        rows = tracked(rows, "features of aviseg", "video")
    for number, job in rows:
        outcome, made = outcomes[number], False
        if not outcome.failed and network is not None:
            outcome, made = _with_features(job, outcome, network, options)
        report.done += not outcome.failed and (outcome.made or made)
        report.skipped += not outcome.failed and not (outcome.made or made)
        if outcome.failed:
            report.failed.append((job.video.name, outcome.failed))
        elif outcome.note:
            report.notes.append((job.video.name, outcome.note))
    if network is None:
        report.notes.append(("all", "no features were made; give the weights of VGGish (--vggish FILE) for them"))
    return report


def patches_of_seconds(
    audio: Tensor, rate: int, seconds: int, short: Short = "zeros", resampling: Form = RESAMPLING
) -> Tensor:
    """Log-mel pictures of the seconds of a sound by the published rule: (T, 1, 96, 64) float32.

    Each second is averaged over its channels, brought to 16 kHz by itself, and its first 96 frames of 10 ms are kept.

    Args:
        audio: (A, S) in [-1, 1].
        rate: Hz.
        seconds: T.
        short: What stands for seconds of less than 0.975 s.
        resampling: How a second is brought to 16 kHz.
    """
    rows = audio.double().mean(0)[: seconds * rate]
    there = len(rows) - rate * torch.arange(seconds)  # samples from the beginning of each second on
    rows = torch.nn.functional.pad(rows, (0, seconds * rate - len(rows))).reshape(seconds, rate)
    waves = resample(rows, rate, SAMPLE_RATE, resampling)
    patches: Tensor = LogMel()(waves)[:, :, :EXAMPLE_FRAMES]
    if short == "zeros":
        whole = there.clamp(0, rate) * SAMPLE_RATE // rate >= EXAMPLE_SAMPLES
        patches = patches * whole[:, None, None, None]
    return patches


def _vggish(weights: Path) -> VGGish:
    network = VGGish()
    try:
        network.load_state_dict(read_checkpoint(weights))
    except RuntimeError as error:
        raise ValueError(f"these are not the published weights of VGGish: {str(error).splitlines()[-1]}") from error
    return network.eval()


def _jobs(raw: Path, out: Path) -> list[_Job]:
    truths = {split: read_truth(raw / f"{split}.json") for split in SPLITS if (raw / f"{split}.json").is_file()}
    if not truths:
        raise FileNotFoundError(f"{raw} has no train.json, val.json or test.json; --raw must be their folder")
    for truth in truths.values():
        _check(truth)
    for name in (*(f"{split}.json" for split in truths), TRUTH):
        if (raw / name).is_file():
            copy_file(raw / name, out / name)
    folder = raw / MOVIES
    movies = {path.stem: path for path in sorted(folder.glob("*")) if path.is_file() and is_visible(path, folder)}
    return [
        _Job(video, movies.get(video.name), raw / split, out / split)
        for split, truth in truths.items()
        for video in truth.videos
    ]


def _check(truth: TruthFile) -> None:
    for where, what in truth.faults():
        raise ValueError(f"{truth.path}, {where}: {what}")


def _make(job: _Job) -> _Outcome:
    """Frames and sound of one video."""
    try:
        made, note = _make_frames(job)
        return _Outcome(_make_sound(job) or made, note=note)
    except (ValueError, OSError) as error:
        if is_fatal(error):
            raise
        return _Outcome(failed=str(error))


def _make_frames(job: _Job) -> tuple[bool, str]:
    wanted, there = job.frames(job.out), job.frames(job.raw)
    if all(path.is_file() for path in wanted):
        return False, ""
    if all(path.is_file() for path in there):
        for source, place in zip(there, wanted, strict=True):
            copy_file(source, place)
        return True, ""
    if job.movie is None:
        missing = next(path for path in there if not path.is_file())
        raise FileNotFoundError(f"the frame {missing} is missing, and there is no {MOVIES}/{job.video.name}.* either")
    return True, _extract(job, wanted)


def _extract(job: _Job, wanted: list[Path]) -> str:
    """Write a frame a second; past the end the last one stands in, and the note says so."""
    from avseg.io.video import iter_frames

    assert job.movie is not None
    count = 0
    for (_, picture), path in zip(iter_frames(job.movie, 1.0, SHOWN_AFTER), wanted, strict=False):
        size = picture.shape[0], picture.shape[1]
        if job.video.size not in (None, size):
            raise ValueError(f"{job.movie} is {size[0]} pixels high and {size[1]} wide, its truth {job.video.size}")
        write_jpeg(path, picture)
        count += 1
    for path in wanted[count:]:
        copy_file(wanted[count - 1], path)
    return "" if count == len(wanted) else f"{count} frames in the movie, {len(wanted)} wanted; the last is repeated"


def _make_sound(job: _Job) -> bool:
    place, there = job.sound(job.out), job.sound(job.raw)
    if place.is_file():
        return False
    if there.is_file():
        copy_file(there, place)
        return True
    if job.movie is None:
        raise FileNotFoundError(f"the sound {there} is missing, and there is no {MOVIES}/{job.video.name}.* either")
    from avseg.io.video import read_audio, why_silent

    sound = read_audio(job.movie)
    if sound is None:
        raise ValueError(f"{job.movie} {why_silent(job.movie)}; a clip of an audio-visual data set needs sound")
    write_wav(place, sound[0], sound[1])
    return True


def _with_features(job: _Job, outcome: _Outcome, network: VGGish, options: FeatureOptions) -> tuple[_Outcome, bool]:
    """Return the outcome for the video, and whether features were made."""
    place = job.out / "FEATAudios" / f"{job.video.name}.npy"
    if place.is_file():
        return outcome, False
    try:
        audio, rate = read_wav(job.sound(job.out))
        patches = patches_of_seconds(audio, rate, len(job.video.frames), options.short, options.resampling)
    except (ValueError, OSError) as error:
        return _Outcome(failed=str(error)), False
    with torch.inference_mode():
        features = torch.cat([network(part) for part in _parts(patches)])
    with write_aside(place) as aside:
        np.save(aside, features.numpy())
    return outcome, True


def _parts(patches: Tensor) -> list[Tensor]:
    return [patches[begin : begin + _AT_ONCE] for begin in range(0, len(patches), _AT_ONCE)]
