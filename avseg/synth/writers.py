"""Clips of the world on disk: real PNG, JPEG, WAV, pickle, CSV, JSON and MP4 files, in the layout of a data set."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avseg.device import one_thread
from avseg.io.files import write_text
from avseg.prepare.jobs import run_jobs
from avseg.synth.classes import CLASSES
from avseg.synth.layout import ClipLayout, ClipPart, Place
from avseg.synth.options import ClipOptions
from avseg.synth.picture import iter_frames
from avseg.synth.summary import TRUTH_VERSION, WriteSummary, begin
from avseg.synth.timbres import SAMPLE_RATE
from avseg.synth.world import SPLITS, ClipSpec, SynthClip, make_clip

VIDEO_FPS = 16
"""At 16 frames a second the published extraction, 15/16 s into each second, falls on a frame."""
_HELD_OUT = 0.15
"""Share of the clips in val, and in test, as in AVSBench."""


@dataclass(frozen=True)
class _Job:
    layout: ClipLayout
    root: Path
    seed: int
    index: int
    """Number of the clip in the world, which fixes its bytes."""
    split: str
    part: ClipPart
    options: ClipOptions


def write_clips(
    name: str, layout: ClipLayout, root: Path, clips: int, seed: int, options: ClipOptions, workers: int = 0
) -> WriteSummary:
    """Write `clips` clips of the world `seed` over all splits, and `truth.json` with all that is known of them.

    Args:
        name: The data set.
        layout: How it keeps its clips.
        root: The folder; files of the same names are replaced.
        clips: 70 % become train, 15 % each val and test.
        seed: The same seed gives the same bytes, however many workers there are.
        options: What clips are like.
        workers: Processes; 0 takes one for every core, 1 stays in this process.

    Raises:
        ValueError: fewer than three clips, or more than a million.
    """
    begin(root, clips)
    started, root = time.monotonic(), Path(root)
    jobs = list(_jobs(layout, root, clips, seed, options))
    results = dict(run_jobs(_write_clip, jobs, workers, f"synth {name}"))
    written = [results[number] for number in range(len(jobs))]
    layout.tables(root, [(record["id"], place) for place, record in written])
    _write_truth(root, seed, options, [record for _, record in written])
    return WriteSummary(name, root, dict(Counter(job.split for job in jobs)), time.monotonic() - started)


def _jobs(layout: ClipLayout, root: Path, clips: int, seed: int, options: ClipOptions) -> Iterator[_Job]:
    held_out = max(1, round(_HELD_OUT * clips))
    parts = layout.parts
    for split, count in (("train", clips - 2 * held_out), ("val", held_out), ("test", held_out)):
        for i in range(count):
            yield _Job(layout, root, seed, SPLITS[split] + i, split, parts[i % len(parts)], options)


def _write_clip(job: _Job) -> tuple[Place, dict[str, Any]]:
    """Make and write one clip; gives its place in the tables and its truth."""
    layout, part, options = job.layout, job.part, job.options
    spec = ClipSpec(options.difficulty, part.frames, options.size, options.stereo, sources=part.sources)
    with one_thread():
        clip = make_clip(job.seed, job.index, spec)
        place = _place(clip, job)
        layout.save(job.root, clip, place)
        if options.video:
            _write_video(clip, layout, job.root, place)
    return place, truth_record(clip, place)


def _place(clip: SynthClip, job: _Job) -> Place:
    heard = tuple(CLASSES[s.kind - 1] for s in clip.soundtrack.sources if s.body is not None)
    return Place(job.split, job.part.name, heard[0] if heard else "", heard)


def _write_video(clip: SynthClip, layout: ClipLayout, root: Path, place: Place) -> None:
    from avseg.io.video import write_video

    times = [n / VIDEO_FPS for n in range(clip.scene.seconds * VIDEO_FPS)]
    size = (clip.frames.shape[1], clip.frames.shape[2])
    frames = (frame for frame, _ in iter_frames(clip.scene, times, size))
    write_video(layout.video(root, clip.id, place), frames, VIDEO_FPS, clip.audio, SAMPLE_RATE)


def truth_record(clip: SynthClip, place: Place) -> dict[str, Any]:
    """One clip's entry of `truth.json`; times in seconds, positions as shares of the width
    (docs/reference/synthetic.md)."""
    facts = zip(clip.track_ids, clip.classes, clip.intervals, clip.positions, clip.sounding, strict=True)
    bodies = [
        {
            "track_id": int(track),
            "class": CLASSES[kind - 1],
            "intervals": [list(interval) for interval in intervals],
            "positions": [round(float(x), 4) for x in positions],
            "sounding": [bool(s) for s in sounding],
        }
        for track, kind, intervals, positions, sounding in facts
    ]
    offscreen = [
        {"class": CLASSES[s.kind - 1], "intervals": [list(i) for i in s.intervals], "side": s.side}
        for s in clip.soundtrack.sources
        if s.body is None
    ]
    snr = round(clip.soundtrack.snr, 3)
    return {
        "id": clip.id,
        "split": place.split,
        "part": place.part,
        "snr": snr,
        "bodies": bodies,
        "offscreen": offscreen,
    }


def _write_truth(root: Path, seed: int, options: ClipOptions, records: list[dict[str, Any]]) -> None:
    lines = ",\n".join("  " + json.dumps(record) for record in records)
    head = {"format_version": TRUTH_VERSION, "seed": seed, "difficulty": options.difficulty, "classes": list(CLASSES)}
    write_text(root / "truth.json", f'{json.dumps(head)[:-1]}, "clips": [\n{lines}\n]}}\n')
