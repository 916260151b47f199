"""Writing synthetic VPO: pictures as COCO instances, sounds as labelled clips, then the builder."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from avseg.datasets.vpo.build.build import build_vpo
from avseg.datasets.vpo.build.options import KINDS, BuildOptions
from avseg.datasets.vpo.build.records import BuildReport
from avseg.datasets.vpo.build.sounds import read_class_map
from avseg.datasets.vpo.build.splits import quotas
from avseg.datasets.vpo.classes import vpo_classes
from avseg.datasets.vpo.options import SeveralOptions, StillOptions, TwinOptions
from avseg.device import one_thread
from avseg.io.audio import write_wav
from avseg.io.files import write_text
from avseg.io.image import write_jpeg
from avseg.io.rle import encode
from avseg.prepare.jobs import run_jobs
from avseg.synth.classes import CLASSES
from avseg.synth.difficulty import Difficulty, get_difficulty
from avseg.synth.picture import Picture, render
from avseg.synth.scene import generator, place_scene
from avseg.synth.soundtrack import LEVEL
from avseg.synth.summary import begin
from avseg.synth.timbres import SAMPLE_RATE, play
from avseg.synth.world import SHOWN_AFTER
from avseg.synth.world import SPLITS as FIRST

STAND_INS = {
    "disc": "motorcycle",
    "ring": "car",
    "star": "bird",
    "cross": "keyboard",
    "triangle": "cell phone",
    "square": "airplane",
    "crescent": "skateboard",
    "flower": "sports ball",
}
"""The class of VPO that stands for each class of the world; sounds go by the first VGGSound label of that class."""
TWIN_GAP = 0.3
"""Two objects of one class stand at least this far apart (share of the width), by the middles of their boxes."""
MIN_AREA = 0.01
"""Every object shows at least this share of the picture."""
_SECONDS = 4
"""Length of a clip; its middle three seconds are heard."""
_TWINS = 3_000_000_000
"""Numbers of pictures with two objects of a class begin here, behind those of all splits without."""
_FRACTIONS = (0.7, 0.15, 0.15)
_TURNS = ("train", "val", "test", *["train"] * 5, "val", "test", *["train"] * 5, "val", "test", *["train"] * 3)
"""Splits of the clips of a class, 14 of 20 for training: a clip's split follows its number, however many there are."""
_STREAM = 16
"""Random streams from here on belong to VPO's pictures, one for each attempt."""
_ATTEMPTS = 1000
"""Scenes drawn for a picture before it is given up; three are enough where pictures are about as wide as high."""


@dataclass(frozen=True)
class VpoSummary:
    """The outcome of writing."""

    report: BuildReport
    seconds: float

    def __str__(self) -> str:
        return f"{self.report}\n  in {self.seconds:.1f} s"


@dataclass(frozen=True)
class _PictureJob:
    folder: Path
    seed: int
    number: int
    split: str
    twins: bool
    options: StillOptions


@dataclass(frozen=True)
class _SoundJob:
    path: Path
    kind: int
    seed: int
    number: int
    difficulty: str


def write_vpo(kind: str, root: Path, clips: int, seed: int, options: StillOptions, workers: int = 0) -> VpoSummary:
    """Write `clips` samples of the world `seed` as VPO, through the same builder as real pictures and sounds.

    Args:
        kind: `ss`, `ms` or `msmi`. MSMI builds VPO-MS for its pictures without twins where it is absent.
        root: The folder; what the builder is given stays in `root/world`.
        clips: 70 % become train, 15 % each val and test.
        seed: The same seed gives the same bytes, however many workers there are.
        options: What the samples are like.
        workers: Processes; 0 takes one for every core, 1 stays in this process.

    Raises:
        ValueError: fewer than three clips, or more than a million.
    """
    begin(root, clips)
    started, world = time.monotonic(), Path(root) / "world"
    singles = round(clips * options.singles) if isinstance(options, TwinOptions) else clips
    instances = _write_pictures(world / f"vpo_{kind}", (clips - singles, singles), seed, options, workers)
    sounds = _write_sounds(world / "sounds", clips, seed, options, workers)
    build = BuildOptions(
        change=tuple(f"{other}=" for other in vpo_classes()[1:] if other not in STAND_INS.values()),
        per_image=1,
        min_area=MIN_AREA / 2,
        separation=TWIN_GAP / 2,
        sources=options.sources if isinstance(options, SeveralOptions) else None,
        singles=singles > 0,
        fractions=_FRACTIONS,
        workers=workers,
    )
    report = build_vpo(kind, instances, instances.parent, sounds, root, seed, stereo=options.stereo, options=build)
    return VpoSummary(report, time.monotonic() - started)


write_ss, write_ms, write_msmi = (partial(write_vpo, kind) for kind in KINDS)


def _write_pictures(folder: Path, counts: tuple[int, int], seed: int, options: StillOptions, workers: int) -> Path:
    """Pictures with and without twins, and their instances; gives the instances' file."""
    jobs = [
        _PictureJob(folder, seed, FIRST[split] + i, split, twins, options)
        for twins, count in zip((True, False), counts, strict=True)
        for split, part in quotas(count, _FRACTIONS).items()
        for i in range(part)
    ]
    written = dict(run_jobs(_write_picture, jobs, workers, "pictures of the world", "picture"))
    records = [written[number] for number in range(len(jobs))]
    content = {
        # Looked up by readers of this form. No version and no date: one seed gives the same bytes.
        "info": {"description": "Pictures of avseg's synthetic world"},
        "licenses": [],
        "categories": [{"id": number, "name": STAND_INS[name]} for number, name in enumerate(CLASSES, start=1)],
        "images": [image for image, _ in records],
        "annotations": [
            {"id": number, **row} for number, row in enumerate((row for _, rows in records for row in rows), start=1)
        ],
    }
    path = folder / "instances.json"
    write_text(path, json.dumps(content) + "\n")
    return path


def _write_picture(job: _PictureJob) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Make and write one picture; gives its entries of images and annotations."""
    image_id = job.number + (_TWINS if job.twins else 0)
    with one_thread():
        picture, kinds = draw_picture(job.seed, image_id, job.twins, job.options)
    height, width = job.options.size
    name = f"{image_id:012d}.jpg"
    write_jpeg(job.folder / name, picture.frames[0])
    image = {"id": image_id, "file_name": name, "height": height, "width": width, "split": job.split}
    rows = []
    for number, kind in enumerate(kinds, start=1):
        mask = picture.owners[0] == number
        left, right = _extent(mask)
        rows_seen = np.flatnonzero(mask.any(1))
        top, bottom = int(rows_seen[0]), int(rows_seen[-1]) + 1
        rows.append(
            {
                "image_id": image_id,
                "category_id": kind,
                "iscrowd": 0,
                "area": int(mask.sum()),
                "bbox": [left, top, right - left, bottom - top],
                "segmentation": encode(mask),
            }
        )
    return image, rows


def draw_picture(seed: int, image_id: int, twins: bool, options: StillOptions) -> tuple[Picture, list[int]]:
    """One moment of a random scene, and the classes (1..8) of its bodies; scenes with hidden bodies are drawn again.

    Args:
        seed: The world.
        image_id: The picture in it.
        twins: Whether two of the bodies are of one class; they stand `TWIN_GAP` apart.
        options: Size and difficulty.

    Raises:
        ValueError: no such scene is found, as on pictures with hardly any room.
    """
    height, width = options.size
    for attempt in range(_ATTEMPTS):
        rng = generator(seed, image_id, _STREAM + attempt)
        difficulty = get_difficulty(options.difficulty)
        scene = place_scene(rng, _calm(difficulty), _kinds(rng, difficulty, twins), 1, aspect=width / height)
        picture = render(scene, [SHOWN_AFTER], options.size)
        kinds = [body.kind for body in scene.bodies]
        if _is_clear(picture.owners[0], kinds):
            return picture, kinds
    raise ValueError(
        f"in {_ATTEMPTS} scenes of {height} x {width} pixels ({options.difficulty}) picture {image_id} never shows its "
        "objects separately; use a larger or wider size, or an easier difficulty"
    )


def _kinds(rng: np.random.Generator, difficulty: Difficulty, twins: bool) -> list[int]:
    """Classes of a scene: as many bodies as its difficulty says, three at least where two of them are twins."""
    count = max(int(rng.choice(difficulty.objects)), 3 if twins else 2)
    kinds = [int(kind) for kind in rng.permutation(len(CLASSES))[:count] + 1]
    if twins:
        kinds[1] = kinds[0]
    return kinds


def _calm(difficulty: Difficulty) -> Difficulty:
    """A still picture needs no room for motion."""
    return replace(difficulty, sway=0.0)


def _is_clear(owners: NDArray[np.uint8], kinds: Sequence[int]) -> bool:
    """Whether every body is well seen and twins stand apart."""
    places: dict[int, list[float]] = {}
    for number, kind in enumerate(kinds, start=1):
        mask = owners == number
        if mask.mean() < MIN_AREA:
            return False
        places.setdefault(kind, []).append(sum(_extent(mask)) / 2 / owners.shape[1])
    return all(max(xs) - min(xs) >= TWIN_GAP for xs in places.values() if len(xs) > 1)


def _extent(mask: NDArray[np.bool_]) -> tuple[int, int]:
    """First column of a mask, and the one behind its last."""
    columns = np.flatnonzero(mask.any(0))
    return int(columns[0]), int(columns[-1]) + 1


def _write_sounds(folder: Path, clips: int, seed: int, options: StillOptions, workers: int) -> Path:
    """Clips of every class in the form of VGGSound; gives their index (YouTube id, start, label, split)."""
    labels = read_class_map(None)
    count = options.sounds or min(max(clips // 4, 16), 64)
    jobs, rows = [], []
    for kind, shape in enumerate(CLASSES, start=1):
        name = f"{shape}-{options.difficulty}-{seed}"
        for number in range(count):
            path = folder / "audios" / f"{name}_{number:06d}.wav"
            jobs.append(_SoundJob(path, kind, seed, number, options.difficulty))
            rows.append((name, number, labels[STAND_INS[shape]][0], _TURNS[number % len(_TURNS)]))
    for _ in run_jobs(_write_sound, jobs, workers, "sounds of the world", "sound"):
        pass
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    index = folder / f"sounds-{seed}-{options.difficulty}.csv"
    write_text(index, text.getvalue())
    return index


def _write_sound(job: _SoundJob) -> None:
    """One clip: a timbre of random pitch, rate and loudness over noise."""
    if job.path.is_file():  # its name says all that it follows from
        return
    difficulty = get_difficulty(job.difficulty)
    rng = generator(job.seed, job.kind * 1_000_000 + job.number, _STREAM - 1)
    times = np.arange(_SECONDS * SAMPLE_RATE) / SAMPLE_RATE
    loudness, snr = rng.uniform(-difficulty.loudness, difficulty.loudness), rng.uniform(*difficulty.snr)
    wave = play(job.kind, times, rng) * np.float32(LEVEL * 10 ** (loudness / 20))
    wave += rng.standard_normal(len(times), np.float32) * np.float32(LEVEL * 10 ** (-snr / 20))
    write_wav(job.path, torch.from_numpy(wave)[None], SAMPLE_RATE)
