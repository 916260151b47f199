"""The synthetic world in the layouts of S4 and MS3 (docs/datasets.md)."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avseg.io.audio import write_wav
from avseg.io.image import write_png
from avseg.synth.layout import ClipLayout, ClipPart, Place, save_sound, write_csv
from avseg.synth.options import ClipOptions
from avseg.synth.summary import WriteSummary, begin
from avseg.synth.world import SynthClip
from avseg.synth.writers import write_clips
from avseg.types import Clip

OTHER_WORLD = 500_000
"""Added to the seed of MS3 beside S4."""


def _save_s4(root: Path, clip: SynthClip, place: Place) -> None:
    sound = torch.from_numpy(clip.audio)
    save_s4(root, clip.id, place.split, place.category, list(clip.frames), list(clip.labels > 0), sound)


def save_s4(
    root: Path,
    name: str,
    split: str,
    category: str,
    frames: Sequence[NDArray[np.uint8]],
    masks: Sequence[NDArray[Any]],
    sound: Tensor,
) -> None:
    """Everything of one clip of S4; training keeps the mask of the first frame alone.

    Args:
        root: The folder.
        name: Of the clip.
        split: Its part.
        category: Its class.
        frames: (H, W, 3) each.
        masks: (H, W) bool each.
        sound: (A, S) at 16 kHz.
    """
    data, at = root / "s4_data", Path(split, category)
    for k, frame in enumerate(frames, start=1):
        write_png(data / "visual_frames" / at / name / f"{name}_{k}.png", frame)
    for k, mask in enumerate(masks[: 1 if split == "train" else None], start=1):
        write_png(data / "gt_masks" / at / name / f"{name}_{k}.png", mask)
    wav, log_mel = data / "audio_wav" / at / f"{name}.wav", data / "audio_log_mel" / at / f"{name}.pkl"
    save_sound(sound, len(frames), wav, log_mel)


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
    s4_table(root, [(name, 0, place.category, place.split) for name, place in clips])


def s4_table(root: Path, rows: Sequence[tuple[str, int, str, str]]) -> None:
    """The table of S4: name, start, category, split."""
    write_csv(root / "s4_meta_data.csv", ("name", "start", "category", "split"), rows)


def save_s4_files(root: Path, at: Path, name: str, clip: Clip, masks: NDArray[np.bool_]) -> None:
    """Frames, masks (M, H, W) of the first M of them, and sound of a clip of any data set.

    Args:
        root: The folder of the data set.
        at: SPLIT/CATEGORY.
        name: Of the clip.
        clip: Its frames and its sound.
        masks: They count from the first frame.
    """
    data = root / "s4_data"
    for k, frame in enumerate(clip.frames, start=1):
        write_png(data / "visual_frames" / at / name / f"{name}_{k}.png", frame)
    for k, mask in enumerate(masks, start=1):
        write_png(data / "gt_masks" / at / name / f"{name}_{k}.png", mask.astype(np.uint8) * np.uint8(255))
    write_wav(data / "audio_wav" / at / f"{name}.wav", clip.audio, clip.sample_rate)


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
