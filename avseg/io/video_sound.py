"""Sound of a video: any codec, rate and number of channels, as float32 on the clock of the picture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avseg.io.media import MediaError, decoded, first_frame, open_media, picture_stream, sound_stream

GAP = 0.05
"""s; stamps that leave the running count of samples by more than this are a hole or an overlap, less is rounding."""


def read_audio(
    path: str | Path, sample_rate: int | None = None, channels: int | None = None
) -> tuple[Tensor, int, float] | None:
    """The whole sound of a file, or None where it has none.

    Args:
        path: a video or sound file.
        sample_rate: Hz wanted (FFmpeg's own resampler); None keeps the file's.
        channels: 1, 2, or None for as many as the file has; see `mixed`.

    Returns:
        (A, S) float32, the rate in Hz, and the time of the first sample in seconds from the first picture
        (from the sound's own beginning in a file without picture).

    Raises:
        MediaError: the file cannot be opened.
    """
    pieces = list(iter_audio(path, sample_rate, channels))
    if not pieces:
        return None
    rate = pieces[0][2]
    return torch.from_numpy(np.concatenate([piece for _, piece, _ in pieces], axis=1)), rate, pieces[0][0]


def iter_audio(
    path: str | Path, sample_rate: int | None = None, channels: int | None = None
) -> Iterator[tuple[float, NDArray[np.float32], int]]:
    """The same in pieces without holes: (time of the first sample in s, (A, n) float32, rate); none: no sound."""
    with open_media(path) as container:
        stream = sound_stream(container)
        if stream is None:
            return
        zero = _picture_start(path)
        rate = sample_rate or stream.codec_context.sample_rate
        line = _Line(rate)
        time: float | None = None
        for piece, stamp in _resampled(container, stream, rate):
            names = [channel.name for channel in stream.codec_context.layout.channels]
            sound = mixed(line.placed(piece, stamp), names, channels)
            if sound.shape[1]:
                if time is None:
                    time = 0.0 if stamp is None or zero is None else stamp - zero
                yield time, sound, rate
                time += sound.shape[1] / rate


def mixed(sound: NDArray[np.float32], names: list[str], channels: int | None) -> NDArray[np.float32]:
    """(A, n) of named speakers mixed down to 1 or 2 channels, never louder than the loudest speaker.

    Two channels: each side averages its own speakers (names that end in L or R) at weight 1 and the middle ones at
    0.7071; the low-frequency channel is left out. Mono is spread to both. One channel: the mean of the two sides
    where there are sides, the mean of all channels otherwise. None leaves the sound as it is.
    """
    if channels is None or channels == sound.shape[0]:
        return sound
    if channels not in (1, 2):
        raise ValueError(f"sound can be mixed to 1 or 2 channels, {channels} were asked for")
    gains = np.array([_gain(name) for name in names]).T
    if len(names) != sound.shape[0] or not gains.any(1).all():
        gains = np.ones((2, sound.shape[0]))
    gains = gains / gains.sum(1, keepdims=True)
    if channels == 1:
        gains = gains.mean(0, keepdims=True)
    down: NDArray[np.float32] = (gains @ sound).astype(np.float32)
    return down


def _gain(name: str) -> tuple[float, float]:
    """Weights of a speaker on the left and on the right side."""
    if name.startswith("LFE"):
        return 0.0, 0.0
    if name.endswith("L"):
        return 1.0, 0.0
    if name.endswith("R"):
        return 0.0, 1.0
    return 0.7071, 0.7071


def _picture_start(path: str | Path) -> float | None:
    """Time of the first picture on the file's own clock; None where there is no picture to see."""
    with open_media(path) as container:
        try:
            return first_frame(container, picture_stream(container, path), path)[1]
        except MediaError:
            return None


def _resampled(container: Any, stream: Any, rate: int) -> Iterator[tuple[NDArray[np.float32], float | None]]:
    """((A, n) float32 at `rate`, time of the frame they came from); all with the first frame's speakers."""
    from av import AudioResampler

    resampler: Any = None
    source, layout = None, None
    for frame in decoded(container, stream):
        stamp = None if frame.pts is None else float(frame.pts * frame.time_base)
        layout = layout or frame.layout.name
        kind = (frame.format.name, frame.layout.name, frame.sample_rate)
        if kind != source:
            resampler, source = AudioResampler("fltp", layout, rate), kind
        frame.pts = None
        yield _joined(resampler.resample(frame)), stamp
    if resampler is not None:
        yield _joined(resampler.resample(None)), None


def _joined(frames: list[Any]) -> NDArray[np.float32]:
    arrays = [frame.to_ndarray() for frame in frames]
    return np.concatenate(arrays, axis=1) if arrays else np.zeros((0, 0), np.float32)


class _Line:
    """Lays pieces of sound end to end; fills holes in the stamps with silence and drops what overlaps."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._start: float | None = None
        self._samples = 0

    def placed(self, piece: NDArray[np.float32], stamp: float | None) -> NDArray[np.float32]:
        if not piece.shape[1]:
            return piece
        drift = 0
        if stamp is not None:
            self._start = stamp if self._start is None else self._start
            drift = round((stamp - self._start) * self._rate) - self._samples
        if drift > GAP * self._rate:
            piece = np.concatenate([np.zeros((len(piece), drift), np.float32), piece], axis=1)
        elif drift < -GAP * self._rate:
            piece = piece[:, min(-drift, piece.shape[1]) :]
        self._samples += piece.shape[1]
        return piece
