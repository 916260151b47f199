"""Sound of a video: any codec, rate and number of channels, as float32, from the first picture on."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avseg.io.clock import believed
from avseg.io.downmix import laid_out
from avseg.io.media import Media, VideoInfo, open_media, picture_start, time_of

Piece: TypeAlias = tuple[float, NDArray[np.float32], int]
"""Time of the first sample in s, (A, n) samples, rate in Hz."""
GAP = 0.05
"""s; stamps that leave the running count of samples by more than this are a hole or an overlap, less is rounding."""


def read_audio(
    path: str | Path, sample_rate: int | None = None, channels: int | None = None
) -> tuple[Tensor, int, float] | None:
    """The sound of a file from its first picture on, or None where it has none.

    Args:
        path: a video or sound file.
        sample_rate: Hz wanted (FFmpeg's own resampler); None keeps the file's.
        channels: 1, 2, or None for as many as the file has; see `avseg.io.downmix`.

    Returns:
        (A, S) float32, the rate in Hz, and the time of the first sample in s, always 0. Sound before the first picture
        is left out; where the sound begins later, silence leads to it. A file without picture begins with its sound.

    Raises:
        MediaError: the file cannot be opened.
    """
    pieces = list(iter_audio(path, sample_rate, channels))
    if not pieces:
        return None
    return torch.from_numpy(np.concatenate([piece for _, piece, _ in pieces], axis=1)), pieces[0][2], 0.0


def iter_audio(
    path: str | Path | VideoInfo, sample_rate: int | None = None, channels: int | None = None
) -> Iterator[Piece]:
    """Yield the sound in consecutive pieces: (time of the first sample in s, (A, n) float32, rate); none: no sound.

    `path` may be what is known of a video: then the sound is that of its part, or the other sound that stands for it.
    """
    if not isinstance(path, VideoInfo):
        yield from _whole(path, sample_rate, channels)
        return
    pieces = _whole(path.other_sound or path.path, sample_rate, channels)
    yield from pieces if path.part is None else _within(pieces, *path.part)


def _within(pieces: Iterator[Piece], begin: float, end: float) -> Iterator[Piece]:
    """The part from `begin` to `end` s, on its own clock."""
    for time, piece, rate in pieces:
        at, first = round(time * rate), round(begin * rate)
        if time >= end:
            return
        last = piece.shape[1] if math.isinf(end) else round(end * rate) - at
        kept = piece[:, max(first - at, 0) : max(last, 0)]
        if kept.shape[1]:
            yield (max(at, first) - first) / rate, kept, rate


def _whole(path: str | Path, sample_rate: int | None, channels: int | None) -> Iterator[Piece]:
    zero = picture_start(path)
    with open_media(path) as media:
        if media.sound is None:
            return
        rate = sample_rate or media.sound.codec_context.sample_rate
        line = SoundLine(rate, zero)
        count = 0
        for sound, stamp in believed(_decoded(media, rate, channels)):
            for piece in line.placed(sound, stamp):
                yield count / rate, piece, rate
                count += piece.shape[1]


def resampled(audio: NDArray[np.float32], sample_rate: int, wanted: int) -> Iterator[Piece]:
    """(A, S) sound that begins at zero in pieces at `wanted` Hz, by the same resampler as that of files."""
    if sample_rate == wanted:
        for start in range(0, audio.shape[1], wanted):
            yield start / wanted, audio[:, start : start + wanted], wanted
        return
    from av import AudioFrame, AudioResampler

    layout, count = "mono" if len(audio) == 1 else "stereo", 0
    resampler: Any = AudioResampler("flt", layout, wanted)
    for start in range(0, audio.shape[1] + sample_rate, sample_rate):
        packed = np.ascontiguousarray(audio[:, start : start + sample_rate].T).reshape(1, -1)
        frame = None
        if packed.size:
            frame = AudioFrame.from_ndarray(packed, format="flt", layout=layout)
            frame.sample_rate = sample_rate
        piece = _joined(resampler.resample(frame), len(audio))
        if piece.shape[1]:
            yield count / wanted, piece, wanted
            count += piece.shape[1]
        if frame is None:
            return


def _decoded(media: Media, rate: int, channels: int | None) -> Iterator[tuple[NDArray[np.float32], float | None]]:
    """((A, n) float32 at `rate`, s on the file's clock); every frame is mixed by its own speakers."""
    mixer = Mixer(rate, channels)
    for frame in media.frames(media.sound):
        stamp = time_of(frame)
        yield from mixer.add(frame, stamp)
    yield from mixer.rest()


class Mixer:
    """Decoded sound, one frame after the other, as float32 of one rate; every frame is mixed by its own speakers."""

    def __init__(self, rate: int, channels: int | None) -> None:
        """
        Args:
            rate: Hz.
            channels: 1, 2, or None for those of the first frame; see `avseg.io.downmix`.
        """
        self._rate, self._channels = rate, channels
        self._resampler: Any = None
        self._source: tuple[Any, ...] = ()
        self._names: list[str] = []
        self._usual: list[str] = []

    def add(self, frame: Any, stamp: float | None) -> Iterator[tuple[NDArray[np.float32], float | None]]:
        """((A, n), stamp) of a frame, and before it what is left of one of another form, without a stamp."""
        from av import AudioResampler

        kind = (frame.format.name, frame.layout.name, frame.sample_rate)
        if kind != self._source:
            yield from self.rest()
            # Packed samples: planes of more than eight channels cannot be read.
            self._resampler, self._source = AudioResampler("flt", frame.layout.name, self._rate), kind
            self._names = [channel.name for channel in frame.layout.channels]
            self._usual = self._usual or self._names
        frame.pts = None
        yield self._laid(frame), stamp

    def rest(self) -> Iterator[tuple[NDArray[np.float32], float | None]]:
        """Return the samples left in the resampler."""
        if self._resampler is not None:
            yield self._laid(None), None
            self._resampler = None

    def _laid(self, frame: Any) -> NDArray[np.float32]:
        sound = _joined(self._resampler.resample(frame), len(self._names))
        return laid_out(sound, self._names, self._channels, self._usual)


def _joined(frames: list[Any], channels: int) -> NDArray[np.float32]:
    """Packed frames as (A, n)."""
    arrays = [frame.to_ndarray().reshape(-1, channels).T for frame in frames]
    return np.concatenate(arrays, axis=1) if arrays else np.zeros((channels, 0), np.float32)


class SoundLine:
    """Lays pieces of sound end to end; fills holes in the stamps with silence and drops what overlaps."""

    def __init__(self, rate: int, start: float | None, gap: float = GAP) -> None:
        """
        Args:
            rate: Hz.
            start: s, the stamp of time zero; None: that of the first piece.
            gap: s; see `GAP`.
        """
        self._rate, self._gap = rate, gap
        self._start = start
        self._samples = 0
        self._begun = False

    def placed(self, piece: NDArray[np.float32], stamp: float | None) -> Iterator[NDArray[np.float32]]:
        """Yield the additions of a piece: silence before it, at most a second at a time, and its new samples."""
        if not piece.shape[1]:
            return
        drift = 0
        if stamp is not None:
            self._start = stamp if self._start is None else self._start
            drift = round((stamp - self._start) * self._rate) - self._samples
        if self._begun and abs(drift) <= self._gap * self._rate:
            drift = 0
        for _ in range(0, drift, self._rate):
            silence = min(drift, self._rate)
            yield np.zeros((len(piece), silence), np.float32)
            drift, self._samples = drift - silence, self._samples + silence
        piece = piece[:, -drift:] if drift < 0 else piece
        self._samples += piece.shape[1]
        self._begun = self._begun or piece.shape[1] > 0
        if piece.shape[1]:
            yield piece
