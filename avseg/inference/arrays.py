"""Frames and sound in memory as a video, for `Segmenter.predict(frames=...)`."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import chain
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avseg.config import as_number
from avseg.inference.plan import FramePlan
from avseg.inference.source import HeldSound, check_channels, warn_of_silence
from avseg.io.downmix import mixed
from avseg.io.pictures import Pictures, Timed
from avseg.io.video_sound import resampled
from avseg.types import Clip

ArrayFrames: TypeAlias = "NDArray[np.uint8] | Tensor | Iterable[Any]"
"""(T, H, W, 3) or (T, 3, H, W) uint8, or an iterable of pictures (H, W, 3) uint8."""
NAME = "frames"
"""The name in results of a video without a file."""
SLOWEST = 0.001
"""Lowest rate of pictures or samples per second."""
LOUDEST = 2.0
"""Largest sample of float sound in [-1, 1]; lossy codecs overshoot 1 slightly."""


class ArrayVideo:
    """Frames in memory and their sound, both starting at 0 s; they are read once."""

    name = NAME

    def __init__(self, frames: ArrayFrames, audio: Any, fps: float | None, sample_rate: int | None) -> None:
        """See `avseg.inference.Segmenter.predict`.

        Raises:
            ValueError: if an argument is invalid.
        """
        self._fps = _rate(fps, "fps", "the frames per second, such as fps=25")
        pictures = _each(frames)
        first = next(pictures, None)
        if first is None:
            raise ValueError("frames is empty; give at least one picture")
        self.size: tuple[int, int] = (first.shape[0], first.shape[1])
        """(H, W)."""
        self._frames = chain([first], pictures)
        self._audio = None if audio is None else _sound(audio)
        self._rate = 16000
        if audio is not None:
            self._rate = int(
                _rate(sample_rate, "sample_rate", "the sample rate of audio in Hz, such as sample_rate=16000")
            )
        self._kept: list[NDArray[np.uint8]] = []

    def pictures(self, plan: FramePlan) -> Pictures:
        """Return the pictures on the grid of a plan; `clip` has the reported ones."""
        return _ArrayPictures(self._frames, self._fps, plan, self._kept)

    def sound(self, wanted: int, rate: int) -> HeldSound:
        """
        Args:
            wanted: channels that the model hears apart.
            rate: Hz that it hears.

        Raises:
            MediaError: mono sound, and a model that hears left and right.
        """
        if self._audio is None:
            warn_of_silence(NAME, "come without sound")
            return HeldSound(NAME, None, wanted, rate)
        check_channels(NAME, len(self._audio), wanted)
        return HeldSound(NAME, resampled(self._audio, self._rate, rate), len(self._audio), rate)

    def clip(self, shown: Sequence[float], late: float) -> Clip:
        """Return the reported pictures with the whole sound.

        Args:
            shown: s, when they are shown.
            late: s from the beginning of a picture's sound until it is shown.
        """
        at = torch.tensor(list(shown), dtype=torch.float64)
        frames = torch.from_numpy(np.stack(self._kept)).permute(0, 3, 1, 2).contiguous()
        audio = torch.zeros(1, 0) if self._audio is None else torch.from_numpy(self._audio)
        return Clip(NAME, frames, (at - late).clamp(min=0), audio, self._rate, shown=at if late else None)


class _ArrayPictures(Pictures):
    """Pictures in memory on the grid of a plan; the reported ones are appended to `kept`."""

    def __init__(
        self, frames: Iterable[NDArray[np.uint8]], fps: Fraction, plan: FramePlan, kept: list[NDArray[np.uint8]]
    ) -> None:
        super().__init__(NAME, plan.fps, plan.offset)
        self._frames, self._rate, self._every, self._kept = frames, fps, plan.every, kept

    def _pictures(self) -> Generator[Timed, None, None]:
        for number, (time, picture) in enumerate(self._wanted(self._counted())):
            if number % self._every == 0:
                self._kept.append(picture)
            yield time, picture

    def _counted(self) -> Iterator[Timed]:
        for number, picture in enumerate(self._frames):
            self.count, self.end = number + 1, float((number + 1) / self._rate)
            yield float(number / self._rate), picture


def _rate(value: Any, name: str, wanted: str) -> Fraction:
    """
    Raises:
        ValueError: if it is not a positive number; the message names what is `wanted`.
    """
    number = as_number(value)
    if not SLOWEST <= number < float("inf"):
        raise ValueError(f"{name} is {value!r}, wanted {wanted}")
    return Fraction(number).limit_denominator(1001)


def _each(frames: ArrayFrames) -> Iterator[NDArray[np.uint8]]:
    """Yield pictures (H, W, 3) one by one, all of one size.

    Raises:
        ValueError: if one is not a picture; at once for an array, otherwise when it is reached.
    """
    if isinstance(frames, (np.ndarray, Tensor)):
        frames = _video(_array(frames, "frames"))
    elif not isinstance(frames, Iterable) or isinstance(frames, (str, bytes)):
        raise ValueError(
            f"frames has the type {type(frames).__name__}, wanted an array (T, H, W, 3) or pictures (H, W, 3)"
        )
    return _checked(frames)


def _checked(frames: Iterable[Any]) -> Iterator[NDArray[np.uint8]]:
    shape: tuple[int, ...] = ()
    for number, one in enumerate(frames):
        what = f"picture {number} of frames"
        picture = _array(one, what)
        if picture.ndim != 3 or picture.shape[2] != 3 or not picture.size:
            raise ValueError(f"{what} has the shape {picture.shape}, wanted (H, W, 3): RGB, colours last")
        _check_bytes(picture, what)
        shape = shape or picture.shape
        if picture.shape != shape:
            raise ValueError(
                f"{what} has the shape {picture.shape} but the first one has {shape}; give all pictures in one size"
            )
        yield picture


def _video(frames: NDArray[Any]) -> NDArray[Any]:
    """Return frames as (T, H, W, 3).

    Raises:
        ValueError: if the shape is neither that nor (T, 3, H, W).
    """
    if frames.ndim == 4 and frames.shape[3] == 3:
        return frames
    if frames.ndim == 4 and frames.shape[1] == 3:
        return frames.transpose(0, 2, 3, 1)
    hint = "; pass one picture as frames[None]" if frames.ndim == 3 else ""
    raise ValueError(f"frames has the shape {frames.shape}, wanted (T, H, W, 3) or (T, 3, H, W){hint}")


def _check_bytes(picture: NDArray[Any], what: str) -> None:
    """
    Raises:
        ValueError: if the values are not those of 8-bit pictures.
    """
    if picture.dtype == np.uint8:
        return
    fix = "(frames * 255).round() as uint8, if they are from 0 to 1" if picture.dtype.kind == "f" else "8 bit"
    raise ValueError(f"{what} is {picture.dtype}, wanted uint8 from 0 to 255; give {fix}")


def _array(value: Any, what: str) -> NDArray[Any]:
    """
    Raises:
        ValueError: if nested lists have different lengths.
    """
    if isinstance(value, Tensor):
        held = value.detach().cpu()
        return held.float().numpy() if held.dtype is torch.bfloat16 else held.numpy()
    try:
        return np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{what} has rows of different lengths; give a regular array") from error


def _sound(audio: Any) -> NDArray[np.float32]:
    """Return sound as (A, S) float32, A = 1 or 2.

    Raises:
        ValueError: if the shape or type of the samples is wrong.
    """
    if isinstance(audio, (str, bytes)) or hasattr(audio, "__fspath__"):
        raise ValueError("with frames=, audio is an array of samples; read a file with avseg.io.video.read_audio")
    sound = _array(audio, "audio")
    sound = sound[None] if sound.ndim == 1 else sound
    if sound.ndim != 2 or (len(sound) > 2 and sound.shape[1] <= 2):
        turn = "; channels come first, so give audio.T" if sound.ndim == 2 else ""
        raise ValueError(f"audio has the shape {sound.shape}, wanted (S,) or (A, S){turn}")
    if not len(sound):
        raise ValueError(f"audio has the shape {sound.shape}, wanted (S,) or (A, S); use None for no sound")
    if sound.dtype == np.int16:
        sound = sound.astype(np.float32) / 32768
    elif sound.dtype.kind != "f":
        raise ValueError(f"audio is {sound.dtype}, wanted int16, or float from -1 to 1")
    peak = float(np.abs(sound).max(initial=0))
    if not peak <= LOUDEST:
        raise ValueError(f"audio reaches {peak:g}, wanted float from -1 to 1; divide 16-bit samples by 32768")
    return mixed(np.ascontiguousarray(sound, dtype=np.float32), [], min(len(sound), 2))
