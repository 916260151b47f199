"""A video as clips of a few seconds, picture and sound decoded in step, in constant memory."""

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
"""The same of n pictures, (n, 3, h, w)."""
AHEAD = 32
"""Pictures that are decoded and sized while the network works, where it is to see all of a video at once."""
LEFT_TO_MODEL = 1.0
"""s of sound that may be missing at the end before silence takes its place; below, the model's own rule holds."""


def clips_of(
    info: VideoInfo, config: ModelConfig, plan: FramePlan, span: int | None, pictures: Pictures | None = None
) -> Iterator[Clip]:
    """Consecutive parts of a video, sized for the network; parts of what a model sees as one hear what the whole would.

    Args:
        info: of the video.
        config: of the model.
        plan: which pictures.
        span: of a part, in pictures; None: all.
        pictures: those of `pictures_of`, for callers who want to know where they end.

    Raises:
        MediaError: mono sound, and a model that hears left and right.
        ValueError: a model that does not hear videos.
    """
    check_hears(config)
    sound = VideoSound(info, config.heard_channels, config.sound_rate)
    taken = pictures or pictures_of(info, plan)
    with Ahead(_all_sized(taken, Geometry(config.input)), span or AHEAD) as ahead:
        yield from _clips(ahead, sound, config, span, info.path.stem)


def clips_from(
    pictures: Iterable[Timed], sound: HeldSound, config: ModelConfig, span: int | None, name: str
) -> Iterator[Clip]:
    """The same of pictures on the grid of a plan, with the sound that goes with them."""
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
    """The pictures that are taken from a video."""
    return iter_frames(info, plan.fps, plan.offset)


def _nominal(shown: list[float], late: float) -> list[float]:
    """s, where the sound of pictures shown at `shown` begins; never before the sound's own beginning at zero."""
    return [max(time - late, 0.0) for time in shown]


def _all_sized(taken: Iterable[Timed], geometry: Geometry) -> Iterator[Sized]:
    for time, picture in taken:
        yield sized(picture, geometry), time, (picture.shape[0], picture.shape[1])


def _parts(pictures: Iterable[Sized], span: int | None) -> Iterator[Part]:
    """Up to `span` pictures; None: all at once."""
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
    """(H, W, 3) uint8 as (3, h, w) at the size at which a network sees it."""
    resized = np.array(geometry.resize(Image.fromarray(picture), geometry.spec.interpolation))
    return torch.from_numpy(resized).permute(2, 0, 1)


def _needed(times: list[float], known: float, config: ModelConfig) -> tuple[float, float, float, float]:
    """Of a part with frames at `times`: begin and end in s of the sound that its windows touch; up to where there must
    be some; and since when.

    `known`: the time of the last frame after it that is known of. A part that the model sees as one clip with others
    must have sound up to there.
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
        ValueError: a model that knows no sound but features that came with a data set.
    """
    if not config.hears:
        raise ValueError(
            "this model has no audio network, so it cannot hear a video; make its file again with one: "
            f"avseg convert {config.family} CHECKPOINT -o FILE --vggish VGGISH"
        )


def check_channels(name: str, channels: int, wanted: int) -> None:
    """
    Raises:
        MediaError: mono sound, and a model that hears left and right: nothing could tell it where a thing is.
    """
    if channels < wanted:
        raise MediaError(
            f"{name} has mono sound, but this model hears left and right; give a stereo recording, or take a model "
            "that was trained on mono sound"
        )


class HeldSound:
    """Sound that is read as far as it is wanted and forgotten behind that; silence where there is none."""

    def __init__(self, name: str, pieces: Iterator[Piece] | None, channels: int, rate: int) -> None:
        """
        Args:
            name: of what it belongs to.
            pieces: without holes, from the first picture on; None: there is none.
            channels: of the pieces.
            rate: Hz, of the pieces.
        """
        self._rate = rate
        self._name, self._wanted = name, pieces is not None
        self._pieces = iter(()) if pieces is None else pieces
        self._held: NDArray[np.float32] = np.zeros((channels, 0), np.float32)
        self._start = 0
        """Number of the first sample held, counted from the first picture."""
        self._stop = 0
        """The number behind the last sample read."""

    def cut(self, begin: float, end: float, must: float, since: float) -> tuple[Tensor, float]:
        """(A, S) from `begin` to `end` seconds or to the sound's end, and the time of the first sample.

        Where the sound ends more than a second before `must`, or within the first window after `since`, it goes on in
        silence. Begins must not go back from call to call.
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
            log.warning("%s: nothing of its sound can be decoded; the model hears silence", self._name)
        self._held = np.concatenate(pieces, axis=1) if len(pieces) > 1 else self._held

    def _forget_before(self, first: int) -> None:
        """Drop what lies before `first`."""
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
            MediaError: mono sound, and a model that hears left and right.
        """
        name = info.path.name if info.other_sound is None else info.other_sound.name
        channels = min(info.sound.channels, 2) if info.sound else wanted
        check_channels(name, channels, wanted)
        if info.sound is None:
            warn_of_silence(name, info.silent)
        super().__init__(name, iter_audio(info, rate, channels) if info.sound else None, channels, rate)


def warn_of_silence(name: str, why: str) -> None:
    """`why`: the end of a sentence about what is called `name`."""
    log.warning("%s %s; the model hears silence and may mark nothing", name, why)
