"""Files of samples: sounds, pictures, masks. Each is whole or absent, and a finished one is not made again."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avseg.datasets.vpo.build.draw import DrawnSample
from avseg.datasets.vpo.build.instances import decode
from avseg.datasets.vpo.build.mix import SAMPLE_RATE, SECONDS, mix
from avseg.datasets.vpo.build.options import FOLDERS, SOUNDS, BuildOptions
from avseg.datasets.vpo.classes import vpo_classes, vpo_mask_ids
from avseg.io.audio import read_wav, write_wav
from avseg.io.files import inside, write_aside
from avseg.io.image import open_image, write_jpeg, write_png
from avseg.prepare.files import is_fatal


@dataclass(frozen=True)
class SoundJob:
    """A clip to be brought to mono at 16 kHz."""

    source: Path
    place: Path


@dataclass(frozen=True)
class PictureJob:
    """A picture and its mask."""

    source: Path
    picture: Path
    mask: Path
    size: tuple[int, int]
    parts: tuple[tuple[int, Any], ...]
    """The mask value of each sounding object, and its segmentation."""
    link: bool
    centroid: bool


@dataclass(frozen=True)
class RenderJob:
    """Three seconds of a sample."""

    files: tuple[Path, ...]
    positions: tuple[float, ...]
    stereo: bool
    place: Path


@dataclass(frozen=True)
class FileOutcome:
    """The outcome of a job."""

    fault: str = ""
    """Why nothing was written; empty where all went well."""
    note: str = ""
    positions: tuple[float, ...] = ()
    """Positions of the sounding objects, if read from the masks."""
    made: bool = False
    """False: it was finished before."""


def mask_id(category: str) -> int:
    """Return the mask value of a class."""
    return vpo_mask_ids()[vpo_classes().index(category)]


def picture_place(kind: str, sample: DrawnSample) -> tuple[str, str]:
    """Picture and mask of a sample below the folder of its set."""
    image = f"{sample.picture.id:012d}"
    if kind != "ss":
        return f"data/{image}.jpg", f"mask/{image}.png"
    category = sample.sources[0].instance.category
    return f"data/{category}/{image}.jpg", f"mask/{category}/{sample.id}.png"


def picture_job(kind: str, sample: DrawnSample, images: Path, out: Path, options: BuildOptions) -> PictureJob:
    """How the picture and the mask of a sample are made."""
    picture, mask = (out / "VPO" / FOLDERS[kind] / place for place in picture_place(kind, sample))
    parts = tuple((mask_id(s.instance.category), s.instance.segmentation) for s in sample.sources)
    return PictureJob(
        inside(images, sample.picture.file),
        picture,
        mask,
        sample.picture.size,
        parts,
        options.images_as == "link",
        options.position == "centroid",
    )


def sound_jobs(samples: Sequence[DrawnSample], out: Path) -> list[SoundJob]:
    """All clips of some samples, each once."""
    sounds = {source.sound.stem: source.sound for sample in samples for source in sample.sources}
    return [SoundJob(sound.path, out / SOUNDS / f"{stem}.wav") for stem, sound in sorted(sounds.items())]


def write_sound(job: SoundJob) -> FileOutcome:
    """Bring a clip to mono at 16 kHz; its length stays."""
    if job.place.is_file():
        return FileOutcome(note=_shortness(job.place))
    return _guarded(_write_sound, job)


def _write_sound(job: SoundJob) -> FileOutcome:
    waveform, rate = read_wav(job.source)
    if len(waveform) == 1 and rate == SAMPLE_RATE:
        _copy(job.source, job.place)
    else:
        write_wav(job.place, read_wav(job.source, SAMPLE_RATE, 1)[0], SAMPLE_RATE)
    return FileOutcome(note=_shortness(job.place), made=True)


def _shortness(place: Path) -> str:
    """Judged by the size of a file of 16-bit samples."""
    return "shorter than three seconds" if place.stat().st_size < 2 * SECONDS * SAMPLE_RATE + 44 else ""


def write_picture(job: PictureJob) -> FileOutcome:
    """Put the picture into its place and paint the mask."""
    done = job.picture.is_file() and job.mask.is_file()
    return FileOutcome() if done and not job.centroid else _guarded(_write_picture, job)


def _write_picture(job: PictureJob) -> FileOutcome:
    height, width = job.size
    masks = [decode(segmentation, job.size) for _, segmentation in job.parts]
    if not all(mask.any() for mask in masks):
        raise ValueError("a segmentation covers no pixel")
    positions = tuple(float((np.nonzero(mask)[1].mean() + 0.5) / width) for mask in masks) if job.centroid else ()
    if job.picture.is_file() and job.mask.is_file():
        return FileOutcome(positions=positions)
    image = open_image(job.source)
    if image.size != (width, height):
        raise ValueError(
            f"{job.source.name} is {image.size[1]} x {image.size[0]}, the instances say {height} x {width}"
        )
    labels = _painted(job, masks)
    if job.source.suffix.lower() in (".jpg", ".jpeg"):
        _copy(job.source, job.picture, link=job.link)
    else:
        write_jpeg(job.picture, np.array(image.convert("RGB")))
    write_png(job.mask, labels)
    return FileOutcome(positions=positions, made=True)


def _painted(job: PictureJob, masks: Sequence[NDArray[np.bool_]]) -> NDArray[np.uint8]:
    """(H, W) of the sounding objects; small ones stay in front of large ones.

    Raises:
        ValueError: the others leave nothing of one to be seen, so that the mask would not show what sounds.
    """
    labels = np.zeros(job.size, np.uint8)
    for place in sorted(range(len(masks)), key=lambda i: -int(masks[i].sum())):
        labels[masks[place]] = job.parts[place][0]
    if not all((labels == number).any() for number, _ in job.parts):
        raise ValueError("a sounding object is completely covered by others")
    return labels


def write_render(job: RenderJob) -> FileOutcome:
    """Write what a sample is heard with."""
    if job.place.is_file():
        return FileOutcome()
    write_wav(job.place, mix(job.files, job.positions, job.stereo), SAMPLE_RATE)
    return FileOutcome(made=True)


def _guarded(work: Any, job: Any) -> FileOutcome:
    """A sample that cannot be made is a fault of its own; a full disk is one of all."""
    try:
        outcome: FileOutcome = work(job)
    except (ValueError, OSError, TypeError) as error:
        if is_fatal(error):
            raise
        return FileOutcome(fault=str(error))
    return outcome


def _copy(source: Path, place: Path, link: bool = False) -> None:
    with write_aside(place) as aside:
        if link:
            aside.symlink_to(source.resolve())
        else:
            shutil.copyfile(source, aside)
