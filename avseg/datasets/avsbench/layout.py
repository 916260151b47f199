"""The layouts of S4 and MS3 (docs/reference/datasets.md), and the synthetic world in them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import torch
from numpy.typing import NDArray
from torch import Tensor

from avseg.io.image import write_png
from avseg.synth.layout import ClipLayout, ClipPart, Place, save_sound, write_csv
from avseg.synth.options import ClipOptions
from avseg.synth.summary import WriteSummary, begin
from avseg.synth.timbres import SAMPLE_RATE
from avseg.synth.world import SynthClip
from avseg.synth.writers import write_clips

Pictures: TypeAlias = Tensor | NDArray[Any] | Sequence[NDArray[Any]]
OTHER_WORLD = 500_000
"""Added to the seed of MS3 beside S4."""


@dataclass(frozen=True)
class S4Row:
    """A clip's line in the table of S4, which says where its files lie."""

    name: str
    start: int
    """s, where it begins in the video that it is cut from."""
    category: str
    split: str


def save_s4(
    root: Path, row: S4Row, frames: Pictures, masks: Pictures, sound: Tensor, sample_rate: int = SAMPLE_RATE
) -> None:
    """All files of one clip of S4; training keeps the mask of the first frame alone.

    Args:
        root: The folder.
        row: What the clip is called and where it lies.
        frames: (H, W, 3) uint8 each, or tensors of (3, H, W).
        masks: (H, W) bool each, from the first frame on.
        sound: (A, S).
        sample_rate: Hz of the sound.
    """
    data, at = root / "s4_data", Path(row.split, row.category)
    for k, frame in enumerate(frames, start=1):
        write_png(data / "visual_frames" / at / row.name / f"{row.name}_{k}.png", frame)
    for k, mask in enumerate(masks[: 1 if row.split == "train" else None], start=1):
        write_png(data / "gt_masks" / at / row.name / f"{row.name}_{k}.png", mask)
    wav, log_mel = data / "audio_wav" / at / f"{row.name}.wav", data / "audio_log_mel" / at / f"{row.name}.pkl"
    save_sound(sound, len(frames), wav, log_mel, sample_rate)


def s4_table(root: Path, rows: Iterable[S4Row]) -> None:
    """The table of S4: name, start, category, split."""
    write_csv(root / "s4_meta_data.csv", [field.name for field in fields(S4Row)], [astuple(row) for row in rows])


def _row(name: str, place: Place) -> S4Row:
    return S4Row(name, 0, place.category, place.split)


def _save_s4(root: Path, clip: SynthClip, place: Place) -> None:
    save_s4(root, _row(clip.id, place), clip.frames, clip.labels > 0, torch.from_numpy(clip.audio))


def _save_ms3(root: Path, clip: SynthClip, place: Place) -> None:
    data = root / "ms3_data"
    for k, (frame, labels) in enumerate(zip(clip.frames, clip.labels, strict=True), start=1):
        write_png(data / "visual_frames" / clip.id / f"{clip.id}.mp4_{k}.png", frame)
        mask = data / "gt_masks" / place.split / clip.id / f"{clip.id}_{k}.png"
        write_png(mask, labels > 0)
    wav = data / "audio_wav" / place.split / f"{clip.id}.wav"
    log_mel = data / "audio_log_mel" / place.split / f"{clip.id}.pkl"
    save_sound(torch.from_numpy(clip.audio), len(clip.frames), wav, log_mel)


def _s4_tables(root: Path, clips: Sequence[tuple[str, Place]]) -> None:
    s4_table(root, [_row(name, place) for name, place in clips])


def _ms3_tables(root: Path, clips: Sequence[tuple[str, Place]]) -> None:
    write_csv(root / "ms3_meta_data.csv", ("name", "split"), [(name, place.split) for name, place in clips])


def _s4_video(root: Path, name: str, place: Place) -> Path:
    return root / "s4_data" / "raw_videos" / place.split / place.category / f"{name}.mp4"


def _ms3_video(root: Path, name: str, _: Place) -> Path:
    return root / "ms3_data" / "raw_videos" / f"{name}.mp4"


S4 = ClipLayout((ClipPart("s4", sources=1),), _save_s4, _s4_video, _s4_tables)
MS3 = ClipLayout((ClipPart("ms3"),), _save_ms3, _ms3_video, _ms3_tables)

write_s4, write_ms3 = partial(write_clips, "s4", S4), partial(write_clips, "ms3", MS3)


def write_avs_1s7m(root: Path, clips: int, seed: int, options: ClipOptions, workers: int = 0) -> WriteSummary:
    """Write S4 and MS3 side by side, half of the clips in each, of two worlds, so that no clip is in both."""
    started, root = time.monotonic(), Path(root)
    begin(root, clips)
    single = write_s4(root / "Single-source", clips // 2, seed, options, workers)
    multi = write_ms3(root / "Multi-sources", clips // 2, seed + OTHER_WORLD, options, workers)
    counts = Counter(single.counts) + Counter(multi.counts)
    return WriteSummary("avs_1s7m", root, dict(counts), time.monotonic() - started)
