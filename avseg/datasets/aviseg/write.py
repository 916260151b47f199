"""The synthetic world as AVISeg: long videos with one frame a second, and a track for every body that sounds."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import torch

from avseg.datasets.aviseg.options import LongVideoOptions
from avseg.datasets.aviseg.polygons import segmentation_of
from avseg.datasets.vis_table import track_entry, video_entry, write_table
from avseg.device import one_thread
from avseg.io.audio import write_wav
from avseg.io.files import write_text
from avseg.io.image import write_jpeg
from avseg.io.rle import encode
from avseg.prepare.jobs import run_jobs
from avseg.synth.classes import CLASSES
from avseg.synth.programme import VideoSpec
from avseg.synth.seconds import render_seconds
from avseg.synth.summary import TRUTH_VERSION, WriteSummary, begin
from avseg.synth.timbres import SAMPLE_RATE
from avseg.synth.video import SynthVideo, make_video, write_movie
from avseg.synth.world import SPLITS

_HELD_OUT = 0.15
"""Share of the videos in val, and in test."""
_INFO = "Videos of avseg's synthetic world"


@dataclass(frozen=True)
class _Job:
    root: Path
    seed: int
    index: int
    """Number of the video in the world, which fixes its bytes."""
    split: str
    number: int
    """The video's id in its split's file, from 1."""
    movie: bool
    spec: VideoSpec
    options: LongVideoOptions


@dataclass(frozen=True)
class _Written:
    """The table entries of one video, as JSON texts without the numbers of its annotations."""

    video: str
    annotations: list[tuple[int, str]]
    truth: str


def write(root: Path, clips: int, seed: int, options: LongVideoOptions, workers: int = 0) -> WriteSummary:
    """Write long videos of the world `seed` as AVISeg keeps its own, without audio features.

    Args:
        root: The folder; files of the same names are replaced.
        clips: Videos over all splits, 15 % of them (or `held_out`) in each of val and test.
        seed: The same seed gives the same bytes, however many workers there are.
        options: What the videos are like.
        workers: Processes; 0 takes one for every core, 1 stays in this process.

    Raises:
        ValueError: impossible lengths or sizes, or too few videos for three splits.
    """
    begin(root, clips, least=0)
    started = time.monotonic()
    held_out = max(1, round(_HELD_OUT * clips)) if options.held_out is None else options.held_out
    if held_out < 1 or clips <= 2 * held_out:
        raise ValueError(f"got {clips} videos with {held_out} in each of val and test, wanted 1 or more in every split")
    spec = VideoSpec(options.difficulty, options.seconds, options.size, options.stretch)
    counts = {"train": clips - 2 * held_out, "val": held_out, "test": held_out}
    jobs = [
        _Job(Path(root), seed, SPLITS[split] + i, split, i + 1, split == "test" and i < options.movies, spec, options)
        for split, count in counts.items()
        for i in range(count)
    ]
    written = dict(run_jobs(_write_video, jobs, workers, "synth aviseg", "video"))
    for split, group in groupby(range(len(jobs)), lambda number: jobs[number].split):
        group_of = [written[number] for number in group]
        texts = (text for one in group_of for text in one.annotations)
        write_table(Path(root) / f"{split}.json", [one.video for one in group_of], texts, CLASSES, _INFO)
    world = {"format_version": TRUTH_VERSION, "seed": seed, "difficulty": options.difficulty, "classes": CLASSES}
    head = json.dumps(world)
    lines = ",\n".join("  " + written[number].truth for number in range(len(jobs)))
    write_text(Path(root) / "truth.json", f'{head[:-1]}, "videos": [\n{lines}\n]}}\n')
    return WriteSummary("aviseg", Path(root), counts, time.monotonic() - started)


def _write_video(job: _Job) -> _Written:
    """Make and write the files of one video; gives its lines of the tables."""
    with one_thread():
        video = make_video(job.seed, job.index, job.spec)
        picture = video.picture()
        folder = job.root / job.split
        names = [f"{video.id}/{second:05d}.jpg" for second in range(len(picture.frames))]
        for name, frame in zip(names, picture.frames, strict=True):
            write_jpeg(folder / "JPEGImages" / name, frame)
        sound = torch.from_numpy(render_seconds(video.scene, video.soundtrack, stereo=True))
        if job.options.sample_rate != SAMPLE_RATE:
            from avseg.nn.resample import resample

            sound = resample(sound, SAMPLE_RATE, job.options.sample_rate)
        write_wav(folder / "WAVAudios" / f"{video.id}.wav", sound, job.options.sample_rate)
        if job.movie:
            write_movie(job.root / "movies" / f"{video.id}.mp4", video)
        tracks = video.truth(picture.owners)
    form = partial(segmentation_of, form=job.options.segmentation)
    texts = []
    for body, track in tracks.items():
        masks = [None if mask is None else encode(mask) for mask in track]
        if entry := track_entry(video.scene.bodies[body].kind, masks, video.size, form):
            texts.append((job.number, json.dumps(entry)))
    return _Written(json.dumps(video_entry(names, video.size)), texts, json.dumps(_truth(video, job.split)))


def _truth(video: SynthVideo, split: str) -> dict[str, Any]:
    """One video's entry of `truth.json`: who sounds when, those included who are never seen or never sound."""
    sources = video.soundtrack.sources
    bodies = [
        {
            "class": CLASSES[body.kind - 1],
            "rimmed": body.rimmed,
            "intervals": [list(i) for s in sources if s.body == number for i in s.intervals],
        }
        for number, body in enumerate(video.scene.bodies)
    ]
    offscreen = [
        {"class": CLASSES[s.kind - 1], "pulsing": s.pulsing, "intervals": [list(i) for i in s.intervals]}
        for s in sources
        if s.body is None
    ]
    snr = round(video.soundtrack.snr, 3)
    return {"id": video.id, "split": split, "snr": snr, "bodies": bodies, "offscreen": offscreen}
