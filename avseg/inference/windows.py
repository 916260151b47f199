"""Which frames a network sees together, when pictures are taken from a video, and which sound each of them hears."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from statistics import median

from avseg.config import AudioWindow, Temporal


def windows(times: Sequence[float], temporal: Temporal) -> list[list[int]]:
    """Groups of frame indices, every frame in exactly one group.

    `frame`: each alone. `clip`: all. `block`: frames denser than `temporal.spacing` form phase-shifted groups, each of
    `temporal.length` frames `spacing` seconds apart; the last ones may be shorter.

    Raises:
        ValueError: a block without a length.
    """
    count = len(times)
    if temporal.kind == "frame":
        return [[index] for index in range(count)]
    if temporal.kind == "clip":
        return [list(range(count))] if count else []
    length = block_length(temporal)
    gaps = [later - earlier for earlier, later in pairwise(times)]
    phases = max(1, round(temporal.spacing / median(gaps))) if gaps else 1
    starts = [block + phase for block in range(0, count, phases * length) for phase in range(phases)]
    groups = [list(range(start, min(start + phases * length, count), phases)) for start in starts]
    return [group for group in groups if group]


def block_length(temporal: Temporal) -> int:
    """Frames of a block."""
    if not temporal.length:
        raise ValueError("a model that works on blocks needs temporal.length, the frames of a block")
    return temporal.length


@dataclass(frozen=True)
class Grid:
    """When pictures are taken from a video, and which of them are told of."""

    fps: Fraction
    """Pictures a second that the network sees."""
    offset: float
    """s, the first of them."""
    every: int
    """Each so-manieth has its masks told; more than 1 where fewer masks are wanted than the network needs pictures."""
    span: int | None
    """Pictures that are worked on at once; None: all."""

    @classmethod
    def of(cls, fps: float, temporal: Temporal, at_once: int = 8) -> Grid:
        """The grid for `fps` masks a second.

        It is laid so that every grid holds the pictures that the method was published with: those
        `temporal.shown_after` seconds into each of its steps.

        Raises:
            ValueError: a rate that does not fit the spacing of a block.
        """
        if not fps > 0:
            raise ValueError(f"fps is {fps}, wanted a positive number of masks a second")
        rate, every, span = Fraction(fps).limit_denominator(1000), 1, None if temporal.kind == "clip" else at_once
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
            rate, span = phases / spacing, int(phases) * block_length(temporal)
        step = float(1 / rate)
        offset = temporal.shown_after % step
        return cls(rate, 0.0 if step - offset < 1e-6 else offset, every, span)


def usual_rate(temporal: Temporal) -> float:
    """Masks a second where none are asked for: 5, and of models that see whole clips the rate of their frames."""
    return 1 / temporal.spacing if temporal.kind == "clip" else 5.0


def nominal_times(shown: Sequence[float], temporal: Temporal) -> list[float]:
    """s, where the sound of pictures shown at `shown` begins; never before the sound's own beginning at zero."""
    return [max(time - temporal.shown_after, 0.0) for time in shown]


def heard(times: Sequence[float], window: AudioWindow) -> list[tuple[float, float]]:
    """(begin, end) in s of the sound that goes with each frame of a group; see `AudioWindow`."""
    if window.anchor == "clip":
        begins = [times[0] + window.hop * index for index in range(len(times))]
    else:
        begins = [time + window.offset for time in times]
    return [(begin, begin + window.seconds) for begin in begins]
