"""The frames to take from a video, their groups for the network, and the sound of each frame."""

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
"""Smallest number of masks per second."""
SINGLE_FRAMES = 8
"""Batch size of networks that process each picture separately."""


@dataclass(frozen=True)
class FramePlan:
    """The times of the frames to take from a video, their groups, and which of them get masks."""

    fps: Fraction
    """Frames per second for the network."""
    offset: float
    """Time of the first frame in s."""
    phases: int
    """Step between the frames of a group: 1, or more if frames are denser than the network's spacing."""
    length: int | None
    """Frames per group; None: all."""
    every: int
    """Every how many frames a mask is reported; more than 1 if fewer masks are wanted than the network needs frames."""

    @classmethod
    def of(cls, fps: float, temporal: Temporal) -> FramePlan:
        """Make the plan for `fps` masks per second of a video.

        Every plan contains the frames that the method was published with: those `temporal.shown_after` seconds into
        each of its steps.

        Raises:
            ValueError: if the rate does not fit the spacing of a block, or a block has no length.
        """
        if not SLOWEST <= as_number(fps) < math.inf:
            raise ValueError(f"fps is {fps!r}, wanted a positive number of masks per second, {SLOWEST:g} or more")
        rate, every, phases = Fraction(as_number(fps)).limit_denominator(1000), 1, Fraction(1)
        if temporal.kind == "block":
            spacing = Fraction(temporal.spacing).limit_denominator(1000)
            phases = rate * spacing
            if phases < 1 and (1 / phases).denominator == 1:
                every, phases = int(1 / phases), Fraction(1)
            if phases.denominator != 1:
                near = [float((max(1, round(phases)) + more) / spacing) for more in (0, 1)]
                raise ValueError(
                    f"fps {fps} does not fit: this model needs frames {temporal.spacing} s apart, so give a multiple "
                    f"of {float(1 / spacing):g} (such as {near[0]:g} or {near[1]:g}) or a whole fraction of it"
                )
            rate = phases / spacing
        step = float(1 / rate)
        offset = temporal.shown_after % step
        return cls(rate, 0.0 if step - offset < 1e-6 else offset, int(phases), group_length(temporal), every)

    @classmethod
    def of_clip(cls, clip: Clip, temporal: Temporal) -> FramePlan:
        """Make the plan of a clip's frames."""
        rate = Fraction(clip.rate)
        phases = max(1, round(rate * Fraction(temporal.spacing))) if temporal.kind == "block" else 1
        return cls(rate, float(clip.shown_at[0]), phases, group_length(temporal), 1)

    def groups(self, count: int) -> list[list[int]]:
        """Divide the positions of `count` pictures into groups, each picture in one; the last groups may be short.

        Pictures denser than the network's spacing form phase-shifted groups.
        """
        if self.length is None:
            return [list(range(count))] if count else []
        span = self.phases * self.length
        starts = (block + phase for block in range(0, count, span) for phase in range(self.phases))
        return [list(range(start, min(start + span, count), self.phases)) for start in starts if start < count]

    def span(self, at_once: int | None) -> int | None:
        """Return how many pictures are read before the network runs; None: all.

        Args:
            at_once: how many pictures a network of whole clips processes at once, at least a second's; None: all.
        """
        if self.length is None:
            return None if at_once is None else max(at_once, math.ceil(self.fps))
        return self.phases * self.length if self.phases * self.length > 1 else SINGLE_FRAMES

    def may_share(self, info: VideoInfo, span: int | None) -> bool:
        """Whether decoded frames may stay in memory until their masks exist; the network gets `span` at once."""
        if self.length is None or span is None or info.part is not None or info.still:
            return False
        # A part that the network sees, the one after it, what is decoded meanwhile, and masks that are not yet written;
        # four bytes for two pixels.
        seconds = (3 * span + 16) / float(self.fps) + 1
        return seconds * info.fps * info.width * info.height * 2 <= ROOM


def part_of(clip: Clip, group: Sequence[int], temporal: Temporal) -> Clip:
    """Return the frames of a group; a short block repeats its last frame with continued times."""
    missing = (temporal.length or 0) - len(group) if temporal.kind == "block" else 0
    part = clip.take([*group, *[group[-1]] * missing])
    for place in range(len(group), len(part.times)):
        part.times[place] = part.times[place - 1] + temporal.spacing
    return part


def group_length(temporal: Temporal) -> int | None:
    """Return the number of frames in a group; None: all.

    Raises:
        ValueError: if a block has no length.
    """
    if temporal.kind == "block" and not temporal.length:
        raise ValueError("a model of blocks needs temporal.length, the number of frames in a block")
    return {"frame": 1, "block": temporal.length, "clip": None}[temporal.kind]


def usual_rate(temporal: Temporal) -> float:
    """Return the default number of masks per second: 5, or for models of whole clips the rate of their frames."""
    return 1 / temporal.spacing if temporal.kind == "clip" else 5.0


def heard(times: Sequence[float], window: AudioWindow) -> list[tuple[float, float]]:
    """Return (begin, end) in s of the sound of each frame in a group; see `AudioWindow`."""
    if window.anchor == "clip":
        begins = [times[0] + window.hop * index for index in range(len(times))]
    else:
        begins = [window.begin(time) for time in times]
    return [(begin, begin + window.seconds) for begin in begins]
