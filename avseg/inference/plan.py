"""Which pictures are taken from a video, which of them a network sees together, and which sound each of them hears."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from avseg.config import AudioWindow, Temporal, as_number
from avseg.io.media import VideoInfo
from avseg.io.shared import ROOM
from avseg.types import Clip

SLOWEST = 0.001
"""Masks a second."""
SINGLE_FRAMES = 8
"""Pictures that are worked on at once by networks that see each alone."""


@dataclass(frozen=True)
class FramePlan:
    """When pictures are taken from a video, how they form groups, and which of them are told of."""

    fps: Fraction
    """Pictures a second that the network sees."""
    offset: float
    """s, the first of them."""
    phases: int
    """Pictures of a group lie so many apart: 1, and more where they are denser than the network wants them."""
    length: int | None
    """Pictures of a group; None: all."""
    every: int
    """Masks are told of one picture in so many: of fewer than the network needs where they are wanted sparser."""

    @classmethod
    def of(cls, fps: float, temporal: Temporal) -> FramePlan:
        """The plan for `fps` masks a second of a video.

        It is laid so that every plan holds the pictures that the method was published with: those
        `temporal.shown_after` seconds into each of its steps.

        Raises:
            ValueError: a rate that does not fit the spacing of a block, or a block without a length.
        """
        if not SLOWEST <= as_number(fps) < math.inf:
            raise ValueError(f"fps is {fps!r}, wanted a positive number of masks a second, {SLOWEST:g} or more")
        rate, every, phases = Fraction(as_number(fps)).limit_denominator(1000), 1, Fraction(1)
        if temporal.kind == "block":
            spacing = Fraction(temporal.spacing).limit_denominator(1000)
            phases = rate * spacing
            if phases < 1 and (1 / phases).denominator == 1:
                every, phases = int(1 / phases), Fraction(1)
            if phases.denominator != 1:
                near = [float((max(1, round(phases)) + more) / spacing) for more in (0, 1)]
                raise ValueError(
                    f"fps {fps} does not fit: this model sees pictures {temporal.spacing} s apart, so give a multiple "
                    f"of {float(1 / spacing):g} (such as {near[0]:g} or {near[1]:g}) or a whole part of it"
                )
            rate = phases / spacing
        step = float(1 / rate)
        offset = temporal.shown_after % step
        return cls(rate, 0.0 if step - offset < 1e-6 else offset, int(phases), group_length(temporal), every)

    @classmethod
    def of_clip(cls, clip: Clip, temporal: Temporal) -> FramePlan:
        """The plan that the frames of a clip follow as they are."""
        rate = Fraction(clip.rate)
        phases = max(1, round(rate * Fraction(temporal.spacing))) if temporal.kind == "block" else 1
        return cls(rate, float(clip.shown_at[0]), phases, group_length(temporal), 1)

    def groups(self, count: int) -> list[list[int]]:
        """Places of `count` pictures in groups, each picture in one; the last groups may be short.

        Pictures denser than the network wants them form phase-shifted groups.
        """
        if self.length is None:
            return [list(range(count))] if count else []
        span = self.phases * self.length
        starts = (block + phase for block in range(0, count, span) for phase in range(self.phases))
        return [list(range(start, min(start + span, count), self.phases)) for start in starts if start < count]

    def span(self, at_once: int | None) -> int | None:
        """How many pictures are read before a network sees them; None: all.

        Args:
            at_once: what a network that sees all wants at once; None: all. It gets at least a second.
        """
        if self.length is None:
            return None if at_once is None else max(at_once, math.ceil(self.fps))
        return self.phases * self.length if self.phases * self.length > 1 else SINGLE_FRAMES

    def may_share(self, info: VideoInfo, span: int | None) -> bool:
        """Whether the frames of a video, of which the network sees `span` pictures at once, may wait as they were
        decoded until its masks are there."""
        if self.length is None or span is None or info.part is not None or info.still:
            return False
        # A part that the network sees, the one after it, what is decoded meanwhile, and masks that are not yet written;
        # four bytes for two pixels.
        seconds = (3 * span + 16) / float(self.fps) + 1
        return seconds * info.fps * info.width * info.height * 2 <= ROOM


def part_of(clip: Clip, group: Sequence[int], temporal: Temporal) -> Clip:
    """The frames of a group; a block that is short repeats its last frame, and its times go on."""
    missing = (temporal.length or 0) - len(group) if temporal.kind == "block" else 0
    part = clip.take([*group, *[group[-1]] * missing])
    for place in range(len(group), len(part.times)):
        part.times[place] = part.times[place - 1] + temporal.spacing
    return part


def group_length(temporal: Temporal) -> int | None:
    """Frames of a group; None: all.

    Raises:
        ValueError: a block without a length.
    """
    if temporal.kind == "block" and not temporal.length:
        raise ValueError("a model that works on blocks needs temporal.length, the frames of a block")
    return {"frame": 1, "block": temporal.length, "clip": None}[temporal.kind]


def usual_rate(temporal: Temporal) -> float:
    """Masks a second where none are asked for: 5, and of models that see whole clips the rate of their frames."""
    return 1 / temporal.spacing if temporal.kind == "clip" else 5.0


def heard(times: Sequence[float], window: AudioWindow) -> list[tuple[float, float]]:
    """(begin, end) in s of the sound that goes with each frame of a group; see `AudioWindow`."""
    if window.anchor == "clip":
        begins = [times[0] + window.hop * index for index in range(len(times))]
    else:
        begins = [window.begin(time) for time in times]
    return [(begin, begin + window.seconds) for begin in begins]
