"""Reading a video as clips of a few seconds, with picture and sound in step, in constant memory."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from avseg.config import ModelConfig
from avseg.data.geometry import Geometry
from avseg.inference.plan import FramePlan
from avseg.io.media import MediaError, VideoInfo
from avseg.io.pictures import Pictures, Timed
from avseg.io.stages import Ahead
from avseg.io.video import iter_audio, iter_frames
from avseg.io.video_sound import Piece
from avseg.types import Clip

log = logging.getLogger(__name__)

Sized: TypeAlias = tuple[Tensor, float, tuple[int, int]]
"""A picture (3, h, w) uint8 sized for the network, when it is shown, and its (H, W) before that."""
Part: TypeAlias = tuple[Tensor, list[float], tuple[int, int]]
"""A part of n resized pictures, (n, 3, h, w)."""
AHEAD = 32
"""Pictures to decode and resize ahead of a network that processes a whole video at once."""
LEFT_TO_MODEL = 1.0
"""Seconds of sound that may be missing at the end; more is filled with silence, less follows the model's own rule."""


def clips_of(
    info: VideoInfo, config: ModelConfig, plan: FramePlan, span: int | None, pictures: Pictures | None = None
) -> Iterator[Clip]:
    """Yield consecutive parts of a video, sized for the network; each part has the sound that the whole video gives it.

    Args:
        info: of the video.
        config: of the model.
        plan: which pictures.
        span: of a part, in pictures; None: all.
        pictures: the pictures of `pictures_of`, for callers who need to know their end.

    Raises:
        MediaError: if the sound is mono and the model needs stereo.
        ValueError: if the model cannot process the sound of videos.
    """
    check_hears(config)
    sound = VideoSound(info, config.heard_channels, config.sound_rate)
    taken = pictures or pictures_of(info, plan)
    with Ahead(_all_sized(taken, Geometry(config.input)), span or AHEAD) as ahead:
        yield from _clips(ahead, sound, config, span, info.path.stem)


def clips_from(
    pictures: Iterable[Timed], sound: HeldSound, config: ModelConfig, span: int | None, name: str
) -> Iterator[Clip]:
    """Yield clips of pictures on the grid of a plan, with their sound."""
    return _clips(_all_sized(pictures, Geometry(config.input)), sound, config, span, name)


def _clips(
    pictures: Iterable[Sized], sound: HeldSound, config: ModelConfig, span: int | None, name: str
) -> Iterator[Clip]:
    late = config.temporal.shown_after
    parts = _parts(pictures, span)
    part = next(parts, None)
    while part is not None:
        (frames, shown, size), following = part, next(parts, None)
        times, known = _nominal(shown, late), _nominal((following or part)[1], late)[-1]
        audio, start = sound.cut(*_needed(times, known, config))
        yield Clip(
            id=name,
            frames=frames,
            times=torch.tensor(times, dtype=torch.float64),
            audio=audio,
            sample_rate=config.sound_rate,
            audio_start=start,
            output_size=size,
            shown=torch.tensor(shown, dtype=torch.float64) if late else None,
        )
        part = following


def pictures_of(info: VideoInfo, plan: FramePlan) -> Pictures:
    """Return the pictures to take from a video."""
    return iter_frames(info, plan.fps, plan.offset)


def _nominal(shown: list[float], late: float) -> list[float]:
    """Return in s where the sound of pictures shown at `shown` begins; at least zero, the beginning of the sound."""
    return [max(time - late, 0.0) for time in shown]


def _all_sized(taken: Iterable[Timed], geometry: Geometry) -> Iterator[Sized]:
    for time, picture in taken:
        yield sized(picture, geometry), time, (picture.shape[0], picture.shape[1])


def _parts(pictures: Iterable[Sized], span: int | None) -> Iterator[Part]:
    """Yield parts of up to `span` pictures; None: all at once."""
    held: list[Tensor] = []
    shown: list[float] = []
    size = (0, 0)
    for picture, time, size in pictures:
        held.append(picture)
        shown.append(time)
        if len(held) == span:
            yield torch.stack(held), shown, size
            held, shown = [], []
    if held:
        yield torch.stack(held), shown, size


def sized(picture: NDArray[np.uint8], geometry: Geometry) -> Tensor:
    """Resize (H, W, 3) uint8 to (3, h, w) at the network's size."""
    resized = np.array(geometry.resize(Image.fromarray(picture), geometry.spec.interpolation))
    return torch.from_numpy(resized).permute(2, 0, 1)


def _needed(times: list[float], known: float, config: ModelConfig) -> tuple[float, float, float, float]:
    """Return the sound that frames at `times` need, in s: begin, end, the time up to which it must exist, and since
    when.

    `known`: the time of the last known frame after the part. If the model processes several parts as one clip, sound
    must exist up to there.
    """
    window, temporal = config.audio, config.temporal
    reach = ((temporal.length or 1) - 1) * max(temporal.spacing, window.hop) if temporal.kind == "block" else 0.0
    if temporal.kind == "clip":
        # One sample more than the last window has: rounding must not make it look cut off.
        reach = window.hop * len(times) if window.anchor == "clip" else 1 / config.sound_rate
    first, last = (time if window.anchor == "clip" else window.begin(time) for time in (times[0], times[-1]))
    begin, end = min(first, times[0]), max(last, times[-1]) + window.seconds
    begin = max(begin, 0.0)
    if temporal.kind == "clip":
        return begin, end + reach, end - times[-1] + known, 0.0
    return begin, end + reach, end, begin


def check_hears(config: ModelConfig) -> None:
    """
    Raises:
        ValueError: if the model takes only the audio features of a data set.
    """
    if not config.hears:
        raise ValueError(
            "this model has no audio network, so it cannot process the sound of a video; convert it again with one: "
            f"avseg convert {config.family} CHECKPOINT -o FILE --vggish VGGISH"
        )


def check_channels(name: str, channels: int, wanted: int) -> None:
    """
    Raises:
        MediaError: if the sound is mono and the model needs stereo to locate objects.
    """
    if channels < wanted:
        raise MediaError(
            f"{name} has mono sound, but this model needs stereo; give a stereo "
            "recording, or use a model trained on mono sound"
        )


class HeldSound:
    """Sound that is read on demand and dropped when no longer needed; silence if there is none."""

    def __init__(self, name: str, pieces: Iterator[Piece] | None, channels: int, rate: int) -> None:
        """
        Args:
            name: of the video.
            pieces: consecutive pieces from the first picture on; None: no sound.
            channels: of the pieces.
            rate: Hz, of the pieces.
        """
        self._rate = rate
        self._name, self._wanted = name, pieces is not None
        self._pieces = iter(()) if pieces is None else pieces
        self._held: NDArray[np.float32] = np.zeros((channels, 0), np.float32)
        self._start = 0
        """Index of the first sample held, counted from the first picture."""
        self._stop = 0
        """Index after the last sample read."""

    def cut(self, begin: float, end: float, must: float, since: float) -> tuple[Tensor, float]:
        """Return (A, S) from `begin` to `end` seconds or to the end of the sound, and the time of the first sample.

        If the sound ends more than a second before `must`, or within the first window after `since`, silence follows.
        `begin` must not decrease from call to call.
        """
        first, last, least, origin = (round(second * self._rate) for second in (begin, end, must, since))
        self._read_to(max(last, least))
        self._forget_before(first)
        held = self._held[:, : last - first]
        stop = min(self._stop, max(last, least))
        if least - stop > LEFT_TO_MODEL * self._rate or min(stop, last) - origin < self._rate:
            held = np.pad(held, ((0, 0), (0, max(min(least, last) - first - held.shape[1], 0))))
        return torch.from_numpy(np.ascontiguousarray(held)), first / self._rate

    def _read_to(self, last: int) -> None:
        pieces = [self._held]
        while self._stop < last and (piece := next(self._pieces, None)) is not None:
            pieces.append(piece[1])
            self._stop += piece[1].shape[1]
        if self._wanted and not self._stop:
            self._wanted = False
            log.warning("%s: its sound cannot be decoded; the model gets silence", self._name)
        self._held = np.concatenate(pieces, axis=1) if len(pieces) > 1 else self._held

    def _forget_before(self, first: int) -> None:
        """Drop samples before `first`."""
        self._held = self._held[:, first - self._start :]
        self._start = first


class VideoSound(HeldSound):
    """The sound of a video."""

    def __init__(self, info: VideoInfo, wanted: int, rate: int) -> None:
        """
        Args:
            info: of the video.
            wanted: channels, see `avseg.config.ModelConfig.heard_channels`.
            rate: Hz.

        Raises:
            MediaError: if the sound is mono and the model needs stereo.
        """
        name = info.path.name if info.other_sound is None else info.other_sound.name
        channels = min(info.sound.channels, 2) if info.sound else wanted
        check_channels(name, channels, wanted)
        if info.sound is None:
            warn_of_silence(name, info.silent)
        super().__init__(name, iter_audio(info, rate, channels) if info.sound else None, channels, rate)


def warn_of_silence(name: str, why: str) -> None:
    """Warn about silence; `why` ends a sentence that begins with `name`."""
    log.warning("%s %s; the model gets silence and may mark nothing", name, why)
