"""Conversion of clips for layouts: pieces of some seconds, labels of another task."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from avseg.io.rle import decode
from avseg.types import IGNORE, Clip, InstanceTarget, TrackTarget

Codes = NDArray[np.uint8]
CLOSE = 1e-3
"""s; times of frames that are one second apart differ by less."""


def need_seconds(clip: Clip, layout: str) -> None:
    """
    Raises:
        ValueError: frames that are not one second apart.
    """
    steps = clip.times.diff()
    if len(steps) and float((steps - 1).abs().max()) > CLOSE:
        raise ValueError(
            f"the clip {clip.id!r} has {clip.rate:g} frames per second, but {layout} has one; read it with fps 1"
        )


def pieces_of(clip: Clip, frames: int) -> Iterator[tuple[str, Clip]]:
    """(name, piece) of a clip with one frame a second, `frames` long each; what is left at the end is not given.

    A piece has the sound of its own seconds, silence where that ends, and times from 0.
    """
    count = len(clip.frames) // frames
    for number in range(count):
        begin = number * frames
        name = clip.id if len(clip.frames) == frames else f"{clip.id}_{begin:06d}"
        yield name, piece_of(clip, begin, begin + frames)


def piece_of(clip: Clip, begin: int, end: int) -> Clip:
    """Frames `begin` up to `end`, with the sound of their seconds."""
    start = float(clip.times[begin])
    part = clip.take(range(begin, end))
    rate = clip.sample_rate
    first = round((start - clip.audio_start) * rate)
    audio = torch.zeros(len(clip.audio), (end - begin) * rate)
    known = clip.audio[:, max(first, 0) : max(first + audio.shape[1], 0)]
    offset = max(-first, 0)
    audio[:, offset : offset + known.shape[1]] = known
    shown = None if part.shown is None else part.shown - start
    return replace(part, times=part.times - start, shown=shown, audio=audio, audio_start=0.0)


def annotated_of(clip: Clip) -> list[bool]:
    """Which frames have labels.

    Raises:
        ValueError: the clip has no truth.
    """
    if clip.target is None:
        raise ValueError(f"the clip {clip.id!r} has no labels, so there is nothing to convert")
    found: list[bool] = clip.target.annotated.tolist()
    return found


def codes_of(clip: Clip, binary: bool = False) -> Codes:
    """(T, H, W) class ids, 255 where pixels are not judged; where tracks overlap the later one lies on top.

    Args:
        clip: With labels of any task.
        binary: All classes are 1.
    """
    target = clip.target
    if isinstance(target, TrackTarget):
        codes = np.zeros((len(target.annotated), *target.size), np.uint8)
        for track, label in zip(target.masks, target.classes.tolist(), strict=True):
            for frame, mask in enumerate(track):
                if mask is not None:
                    codes[frame][decode(mask)] = label
    elif isinstance(target, InstanceTarget):
        codes = np.zeros((len(target.annotated), *target.masks.shape[-2:]), np.uint8)
        for masks, label in zip(target.masks.numpy(), target.classes.tolist(), strict=True):
            codes[masks] = label
    else:
        assert target is not None
        codes = target.labels.numpy().astype(np.uint8)
    return np.where((codes > 0) & (codes != IGNORE), 1, codes).astype(np.uint8) if binary else codes


def refuse_ignored(clip: Clip, codes: Codes, layout: str) -> None:
    """
    Raises:
        ValueError: pixels that are not judged, which masks of two values cannot say.
    """
    if (codes == IGNORE).any():
        raise ValueError(
            f"the clip {clip.id!r} has ignored pixels (255), which masks of "
            f"{layout} cannot hold; convert to another layout"
        )
