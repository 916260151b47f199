"""Small media files of every kind, made on the spot."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

MILLISECOND = Fraction(1, 1000)


def counting(count: int, height: int = 48, width: int = 64) -> list[np.ndarray]:
    """Pictures (H, W, 3) whose grey tells their number: 16 + 6 * number."""
    return [np.full((height, width, 3), 16 + 6 * i, np.uint8) for i in range(count)]


def number_of(picture: np.ndarray) -> int:
    """The number of a picture of `counting` after lossy coding."""
    return round((float(picture.mean()) - 16) / 6)


def tone(seconds: float, rate: int, channels: int = 1, hertz: float = 440.0) -> np.ndarray:
    """(A, S) float32; channel c is 1 / (c + 1) as loud as the first."""
    time = np.arange(round(seconds * rate)) / rate
    wave = 0.4 * np.sin(2 * np.pi * hertz * time)
    return np.stack([wave / (c + 1) for c in range(channels)]).astype(np.float32)


def make(
    path: Path,
    pictures: Sequence[np.ndarray] = (),
    times: Sequence[float] | None = None,
    video: tuple[str, str] = ("libx264", "yuv420p"),
    sound: np.ndarray | None = None,
    audio: tuple[str, str, int] = ("aac", "mono", 16000),
) -> Path:
    """A file with `pictures` shown at `times` in s (default 10 a second) and `sound`.

    `video` is codec and pixel format; `audio` codec, layout and rate.
    """
    with av.open(str(path), "w") as out:
        streams = []
        if len(pictures):
            stream = out.add_stream(video[0], rate=10)
            stream.height, stream.width = pictures[0].shape[:2]
            stream.pix_fmt = video[1]
            stream.codec_context.bit_rate = 4_000_000 if video[0] == "mpeg4" else 0
            if times is not None:
                stream.codec_context.time_base = MILLISECOND
            streams.append((stream, _frames(pictures, times)))
        if sound is not None:
            stream = out.add_stream(audio[0], rate=audio[2])
            stream.codec_context.layout = audio[1]
            streams.append((stream, _sounds(sound, audio)))
        for stream, frames in streams:
            for frame in [*frames, None]:
                out.mux(stream.encode(frame))
    return path


def _frames(pictures: Sequence[np.ndarray], times: Sequence[float] | None) -> list[av.VideoFrame]:
    frames = []
    for i, picture in enumerate(pictures):
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = (i, Fraction(1, 10)) if times is None else (round(times[i] * 1000), MILLISECOND)
        frames.append(frame)
    return frames


def _sounds(sound: np.ndarray, audio: tuple[str, str, int]) -> list[av.AudioFrame]:
    frames = []
    for start in range(0, sound.shape[1], 1024):
        piece = np.ascontiguousarray(sound[:, start : start + 1024])
        frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout=audio[1])
        frame.sample_rate, frame.pts, frame.time_base = audio[2], start, Fraction(1, audio[2])
        frames.append(frame)
    return frames


def turn(path: Path, a: int, b: int, c: int, d: int) -> Path:
    """Write the display matrix (x, y) -> (a x + c y, b x + d y) into the first track of an MP4 or MOV."""
    content = bytearray(path.read_bytes())
    begin = content.index(b"tkhd") + 4
    at = begin + 4 + (32 if content[begin] == 1 else 20) + 16
    content[at : at + 36] = struct.pack(">9i", a * 65536, b * 65536, 0, c * 65536, d * 65536, 0, 0, 0, 1 << 30)
    path.write_bytes(bytes(content))
    return path
