"""A stream of masks: always predicts the newest available frame."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from avseg.inference.export.overlay import painting_of
from avseg.inference.records import SEEN, FrameResult
from avseg.inference.segmenter import Segmenter
from avseg.inference.source import check_channels
from avseg.io.pictures import Converter
from avseg.live.figures import Figures
from avseg.live.inputs import Input
from avseg.live.reader import Patience, Reader
from avseg.live.ring import SoundRing
from avseg.live.stage import Stage
from avseg.live.timeline import Timeline
from avseg.live.window import LiveWindow
from avseg.models.session import EachGroup

SLACK = 4.0
"""Extra seconds of sound to keep, because frames may arrive later than their sound."""
KEPT_SECONDS, KEPT_RATE = 12.0, 48_000
"""Length in s and rate in Hz of the sound kept for a file."""


@dataclass(frozen=True, eq=False)
class LiveFrame:
    """A frame of a stream with its masks."""

    result: FrameResult
    """Its time is in s from the first picture of the stream."""
    picture: NDArray[np.uint8]
    """(H, W, 3) RGB."""
    painted: NDArray[np.uint8]
    """(H, W, 3) RGB, with masks and names."""
    latency: float
    """s from the arrival of its packet until it was painted."""


class LiveStream(Iterator[LiveFrame]):
    """Yields the newest frame with its masks whenever the model is ready; frames in between are skipped.

    It is a context manager: the readers stop at the end of the block.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        inputs: Sequence[Input],
        *,
        patience: Patience = Patience(),
        seconds: float | None = None,
        keeps_sound: bool = False,
    ) -> None:
        """
        Args:
            segmenter: whose model sees single pictures or a few at a time.
            inputs: what `inputs_of` gives.
            patience: about a source that is lost.
            seconds: how long it goes on after the first picture; None: to the end.
            keeps_sound: also keep the sound as it should be written to a file, see `sound`.

        Raises:
            ValueError: a model that needs a whole video.
        """
        self._window = LiveWindow(segmenter.model.config)
        self._session = segmenter.session()
        if not isinstance(self._session, EachGroup):
            raise ValueError(
                f"models of the family {segmenter.model.config.family} track objects through a whole video, but "
                "a stream has no end; use a model that predicts single frames"
            )
        self.figures = Figures()
        self.name = inputs[0].name
        self._segmenter, self._seconds, self._keeps_sound = segmenter, seconds, keeps_sound
        self._painting = painting_of(segmenter.model.task)
        self._converter = Converter(self.name)
        self._stage = Stage(self._window.memory, self._rings)
        self._stage.awaits_sound = any("picture" not in one.gives for one in inputs)
        timeline = Timeline()
        self._readers = [Reader(one, self._stage, timeline, patience) for one in inputs]
        self._until: float | None = None

    def __enter__(self) -> LiveStream:
        for reader in self._readers:
            reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stage.stop.set()
        for reader in self._readers:
            # One that waits inside FFmpeg for a packet ends by itself within seconds; nobody has to wait for it.
            reader.join(0.2)

    def __next__(self) -> LiveFrame:
        """Wait for the next frame.

        Raises:
            MediaError: a source that cannot be opened, or that was lost and did not come back.
        """
        picture = self._stage.newest(self._until)
        if picture is None:
            raise StopIteration
        if self._until is None and self._seconds is not None:
            self._until = picture.arrival + self._seconds
        rings = self._stage.rings
        clip = self._window.clip(self.name, self._stage.before(picture), self._converter, rings[0] if rings else None)
        result = self._segmenter.last_of(self._session, clip, self.figures.masks)
        shown = self._converter.rgb(picture.frame)
        painted = self._painting(result).on(shown)
        latency = time.monotonic() - picture.arrival
        least = SEEN * result.size[0] * result.size[1]
        sounding = dict.fromkeys(one.name for one in result.objects if one.area >= least)
        self.figures.add(result.time, latency, self._stage.frames, tuple(sounding))
        return LiveFrame(result, shown, painted, latency)

    @property
    def state(self) -> str:
        """The state of the source in a few words."""
        return self._stage.state

    @property
    def is_open(self) -> bool:
        """Whether the source is connected."""
        return self._stage.is_open

    @property
    def sound(self) -> SoundRing | None:
        """The sound for a file; None if there is none, or none yet."""
        return self._stage.rings[1] if len(self._stage.rings) > 1 else None

    def _rings(self, name: str, channels: int) -> tuple[SoundRing, ...]:
        config = self._segmenter.model.config
        here = min(channels, 2)
        check_channels(name, here, config.heard_channels)
        ring = SoundRing(self._window.seconds + SLACK, here, config.sound_rate)
        return (ring, SoundRing(KEPT_SECONDS, here, KEPT_RATE)) if self._keeps_sound else (ring,)
