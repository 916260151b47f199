"""Log-mel pictures for the eye: low tones below, loud parts bright."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from avseg.nn.mel import HOP, MEL_BINS, SAMPLE_RATE, WINDOW, LogMel

DARK, BRIGHT = np.array([18, 22, 38]), np.array([255, 214, 120])


def paint_log_mel(
    log_mel: NDArray[np.float32], size: tuple[int, int], limits: tuple[float, float] | None = None
) -> NDArray[np.uint8]:
    """(L, M) log-mel over L moments and M bands as a picture (H, W, 3) of `size` (H, W).

    `limits` are the values that are all dark and all bright; by default the lowest and the highest there is.
    """
    low, high = limits or (float(log_mel.min()), float(log_mel.max()))
    share = np.clip((log_mel - low) / max(high - low, 1e-6), 0, 1)
    grey = Image.fromarray((255 * share.T[::-1]).astype(np.uint8)).resize(size[::-1], Image.Resampling.BILINEAR)
    mix = np.asarray(grey)[..., None] / 255.0
    picture: NDArray[np.uint8] = (DARK + mix * (BRIGHT - DARK)).astype(np.uint8)
    return picture


def log_mel_columns(pieces: Iterable[NDArray[np.float32]], most: int = 1200) -> tuple[NDArray[np.float32], float]:
    """The log-mel picture of a sound of any length, in memory that does not grow with it.

    Args:
        pieces: (n,) each, the sound at 16 kHz piece by piece.
        most: Columns.

    Returns:
        (L, 64) with L of `most` at most, each the mean of as many frames of 10 ms as it takes; and the s of a column.
        L is 0 for less than 25 ms of sound.
    """
    columns, loose, step = np.zeros((0, MEL_BINS), np.float32), np.zeros((0, MEL_BINS), np.float32), 1
    tail = np.zeros(0, np.float32)
    for piece in _seconds(pieces):
        tail = np.concatenate([tail, piece])
        if len(tail) < WINDOW:
            continue
        frames = LogMel()(torch.from_numpy(tail)[None])[0, 0].numpy()
        tail = tail[len(frames) * HOP :]
        loose = np.concatenate([loose, frames])
        whole = len(loose) // step
        columns = np.concatenate([columns, loose[: whole * step].reshape(whole, step, MEL_BINS).mean(1)])
        loose = loose[whole * step :]
        while len(columns) > most:
            odd = columns[len(columns) // 2 * 2 :]
            loose = np.concatenate([np.repeat(odd, step, axis=0), loose])
            columns = columns[: len(columns) // 2 * 2].reshape(-1, 2, MEL_BINS).mean(1)
            step *= 2
    return columns, step * HOP / SAMPLE_RATE


def _seconds(pieces: Iterable[NDArray[np.float32]]) -> Iterable[NDArray[np.float32]]:
    """Yield the sound in pieces of at least a second, except the last."""
    held: list[NDArray[np.float32]] = []
    for piece in pieces:
        held.append(piece)
        if sum(map(len, held)) >= SAMPLE_RATE:
            yield np.concatenate(held)
            held = []
    if held:
        yield np.concatenate(held)
