"""The synthetic world on disk, in the layouts of AVSBench: real PNG, JPEG, WAV, pickle, CSV, JSON and MP4 files."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avseg.config import did_you_mean
from avseg.device import one_thread
from avseg.io.files import clear_stale, write_text
from avseg.prepare.jobs import run_jobs
from avseg.synth.classes import CLASSES
from avseg.synth.difficulty import get_difficulty
from avseg.synth.layouts import LAYOUTS, Layout, Place
from avseg.synth.picture import iter_frames
from avseg.synth.summary import TRUTH_VERSION, VPO_SETS, WriteSummary
from avseg.synth.timbres import SAMPLE_RATE
from avseg.synth.world import SPLITS, ClipSpec, SynthClip, make_clip

if TYPE_CHECKING:
    from avseg.synth.vpo import VpoSummary

MOST_CLIPS = 1_000_000
"""On disk; more would be a slip of the keyboard."""
VIDEO_FPS = 16
"""At 16 frames a second the published extraction, 15/16 s into each second, falls on a frame."""
OTHER_WORLD = 500_000
"""Added to the seed of the second part of a mixed data set."""
_HELD_OUT = 0.15
"""Share of the clips in val, and in test, as in S4."""


@dataclass(frozen=True)
class WriteOptions:
    """What may be chosen beside layout, place, number and seed."""

    difficulty: str = "standard"
    video: bool = False
    """Write the raw MP4 with sound of each clip as well."""
    size: int | tuple[int, int] = 224
    """The side of the pictures in pixels, or (H, W)."""
    stereo: bool = False


@dataclass(frozen=True)
class _Job:
    kind: str
    root: Path
    seed: int
    index: int
    """Number of the clip in the world, which fixes its bytes."""
    split: str
    part: str
    options: WriteOptions


def write(
    kind: str, root: Path, clips: int, seed: int, *, workers: int = 0, **options: Any
) -> WriteSummary | VpoSummary:
    """Write `clips` clips of the world `seed` over all splits, and `truth.json` with all that is known of them.

    Args:
        kind: Whose layout: `s4`, `ms3`, `avss` or `single`; `vpo_ss`, `vpo_ms` and `vpo_msmi` go through VPO's builder,
            which has a manifest instead of `truth.json` and no videos; `aviseg` writes long videos, frame by frame;
            `avs_1s7m` writes two folders, with half of the clips in each.
        root: The folder; files of the same names are replaced.
        clips: 70 % become train, 15 % each val and test.
        seed: The same seed gives the same bytes, however many workers there are.
        workers: Processes; 0 takes one for every core, 1 stays in this process.
        options: Fields of `WriteOptions`: difficulty, video, size, stereo; of VPO those of `VpoOptions`; of AVISeg
            difficulty, size and those of `AVISegOptions`.

    Raises:
        ValueError: an unknown layout or difficulty, fewer than three clips, or more than a million.
    """
    if clips > MOST_CLIPS:
        raise ValueError(f"got {clips} clips, wanted at most {MOST_CLIPS}")
    clear_stale(Path(root), below=True)
    if kind in VPO_SETS:
        from avseg.synth.vpo import write_vpo

        options.pop("video", None)
        return write_vpo(kind, root, clips, seed, workers=workers, **options)
    if kind == "aviseg":
        from avseg.synth.aviseg import write_aviseg

        for name in ("video", "stereo"):
            options.pop(name, None)
        return write_aviseg(root, clips, seed, workers=workers, **options)
    if kind == "avs_1s7m":
        return _write_mixed(Path(root), clips, seed, workers=workers, **options)
    if kind not in LAYOUTS:
        raise ValueError(
            f"no layout is called {kind!r}; {did_you_mean(kind, (*LAYOUTS, 'aviseg', 'avs_1s7m', *VPO_SETS))}"
        )
    if clips < 3:
        raise ValueError(f"got {clips} clips, wanted at least 3, one for each split")
    started = time.monotonic()
    chosen = WriteOptions(**options)
    get_difficulty(chosen.difficulty)
    jobs = list(_jobs(kind, Path(root), clips, seed, chosen))
    results = dict(run_jobs(_write_clip, jobs, workers, f"synth {kind}"))
    written = [results[number] for number in range(len(jobs))]
    LAYOUTS[kind].tables(Path(root), [(record["id"], place) for place, record in written])
    _write_truth(Path(root), seed, chosen, [record for _, record in written])
    return WriteSummary(kind, Path(root), dict(Counter(job.split for job in jobs)), time.monotonic() - started)


def _write_mixed(root: Path, clips: int, seed: int, **options: Any) -> WriteSummary:
    """S4 and MS3 side by side, of two worlds, so that no clip is in both."""
    started, counts = time.monotonic(), Counter[str]()
    parts = (("s4", "Single-source", seed), ("ms3", "Multi-sources", seed + OTHER_WORLD))
    for kind, folder, own in parts:
        written = write(kind, root / folder, clips // 2, own, **options)
        assert isinstance(written, WriteSummary)
        counts.update(written.counts)
    return WriteSummary("avs_1s7m", root, dict(counts), time.monotonic() - started)


def _jobs(kind: str, root: Path, clips: int, seed: int, options: WriteOptions) -> Iterator[_Job]:
    held_out = max(1, round(_HELD_OUT * clips))
    parts = LAYOUTS[kind].parts
    for split, count in (("train", clips - 2 * held_out), ("val", held_out), ("test", held_out)):
        for i in range(count):
            yield _Job(kind, root, seed, SPLITS[split] + i, split, parts[i % len(parts)], options)


def _write_clip(job: _Job) -> tuple[Place, dict[str, Any]]:
    """Make and write one clip; gives its place in the tables and its truth."""
    layout, options = LAYOUTS[job.kind], job.options
    spec = ClipSpec(
        difficulty=options.difficulty,
        frames=layout.frames(job.part),
        size=options.size,
        stereo=options.stereo,
        sources=layout.sources(job.part),
    )
    with one_thread():
        clip = make_clip(job.seed, job.index, spec)
        place = _place(clip, job)
        layout.save(job.root, clip, place)
        if options.video:
            _write_video(clip, layout, job.root, place)
    return place, truth_record(clip, place)


def _place(clip: SynthClip, job: _Job) -> Place:
    heard = tuple(CLASSES[s.kind - 1] for s in clip.soundtrack.sources if s.body is not None)
    return Place(job.split, job.part, heard[0] if heard else "", heard)


def _write_video(clip: SynthClip, layout: Layout, root: Path, place: Place) -> None:
    from avseg.io.video import write_video

    times = [n / VIDEO_FPS for n in range(clip.scene.seconds * VIDEO_FPS)]
    size = (clip.frames.shape[1], clip.frames.shape[2])
    frames = (frame for frame, _ in iter_frames(clip.scene, times, size))
    write_video(layout.video(root, clip.id, place), frames, VIDEO_FPS, clip.audio, SAMPLE_RATE)


def truth_record(clip: SynthClip, place: Place) -> dict[str, Any]:
    """One clip's entry of `truth.json`; times in seconds, positions as shares of the width (docs/synthetic.md)."""
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


def _write_truth(root: Path, seed: int, options: WriteOptions, records: list[dict[str, Any]]) -> None:
    lines = ",\n".join("  " + json.dumps(record) for record in records)
    head = {"format_version": TRUTH_VERSION, "seed": seed, "difficulty": options.difficulty, "classes": list(CLASSES)}
    write_text(root / "truth.json", f'{json.dumps(head)[:-1]}, "clips": [\n{lines}\n]}}\n')
