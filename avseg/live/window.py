"""The clip for the newest frame: the same frames and sound that the model would get from a file."""

from __future__ import annotations

import torch

from avseg.config import ModelConfig
from avseg.data.geometry import Geometry
from avseg.inference.plan import group_length, heard
from avseg.inference.source import check_hears, sized
from avseg.io.pictures import Converter
from avseg.live.ring import SoundRing
from avseg.live.stage import LivePicture, Memory
from avseg.types import Clip

MARGIN = 0.25
"""Margin of sound in s on both sides of the windows, so that rounding cannot truncate them."""


class LiveWindow:
    """The frames and the sound that a model needs for a frame, and how much of both to keep."""

    def __init__(self, config: ModelConfig) -> None:
        """
        Raises:
            ValueError: a model that does not hear, or one that sees a whole video at once.
        """
        check_hears(config)
        length = group_length(config.temporal)
        if length is None:
            raise ValueError(
                f"models of the family {config.family} need the whole video before they predict, but a stream "
                "has no end; use a model of single frames or short blocks"
            )
        self._config, self._geometry, self._length = config, Geometry(config.input), length
        # Of windows that begin with a second, the one whose picture stands at its beginning reaches furthest.
        late = config.temporal.shown_after
        spans = heard(self._times(late), config.audio)
        self.memory = Memory(max(end for _, end in spans) - late, config.temporal.spacing, length - 1)
        self.seconds = self.memory.ahead + late - min(begin for begin, _ in spans) + 1.0 + 2 * MARGIN
        """Seconds of sound that the windows cover, wherever in a second they begin."""

    def clip(self, name: str, pictures: list[LivePicture], converter: Converter, ring: SoundRing | None) -> Clip:
        """Return the clip that ends with the frame to predict, sized for the network.

        Args:
            name: of the stream.
            pictures: as `Stage.before` gives them.
            converter: to RGB.
            ring: the sound; None: silence.
        """
        newest = pictures[-1]
        for one in pictures:
            if one.sized is None:
                one.sized = sized(converter.rgb(one.frame), self._geometry)
        times = self._times(newest.time)
        late = self._config.temporal.shown_after
        spans = heard(times, self._config.audio)
        rate = self._config.sound_rate
        begin = round((min(first for first, _ in spans) - MARGIN) * rate)
        end = round((max(last for _, last in spans) + MARGIN) * rate)
        samples = torch.zeros(self._config.heard_channels, end - begin)
        if ring is not None:
            samples = torch.from_numpy(ring.read(begin, end))
        shape = converter.rgb(newest.frame).shape
        return Clip(
            id=name,
            frames=torch.stack([one.sized for one in pictures if one.sized is not None]),
            times=torch.tensor(times, dtype=torch.float64),
            audio=samples,
            sample_rate=rate,
            audio_start=begin / rate,
            output_size=(shape[0], shape[1]),
            shown=torch.tensor([time + late for time in times[:-1]] + [newest.time], dtype=torch.float64),
        )

    def _times(self, shown: float) -> list[float]:
        """Return the nominal times of the frames in the block of a frame shown at `shown` s, in order."""
        spacing, last = self._config.temporal.spacing, shown - self._config.temporal.shown_after
        return [last - spacing * number for number in range(self._length - 1, -1, -1)]
