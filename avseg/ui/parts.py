"""Pieces of the page as HTML: progress, timeline and objects. Text is escaped."""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from PIL import Image

from avseg.inference.export.chart import hexadecimal
from avseg.inference.export.cutouts import file_name
from avseg.inference.export.existing import read_result
from avseg.inference.export.kinds import kinds
from avseg.inference.export.marks import object_name
from avseg.jobs import JobProgress
from avseg.progress import in_words
from avseg.render.palette import palette
from avseg.render.timescale import clock, ticks_of
from avseg.types import Task
from avseg.ui.desk import Moment, Waiting

MOST_OBJECTS, MOST_SPANS = 24, 3
"""Largest number of objects with a picture, and of spans per object in the sentence."""
SIDE = 112
"""Pixels of the longer side of an object's picture."""
SOON = 1.0
"""Time of work in s before the remaining time is shown."""


class Pace:
    """Turns messages of a desk into a line and a bar with the remaining time."""

    def __init__(self) -> None:
        self._begun: float | None = None

    def html(self, moment: Moment) -> str:
        """Return the progress."""
        if isinstance(moment, Waiting):
            before = "one video is" if moment.ahead == 1 else f"{moment.ahead} videos are"
            return bar(f"Waiting: {before} before yours.", None)
        if not isinstance(moment, JobProgress):
            return ""
        if moment.stage == "loading":
            return bar("Opening the model and the video ...", None)
        if moment.stage == "writing":
            return bar("Writing the files ...", None)
        self._begun = time.monotonic() if self._begun is None else self._begun
        return bar(f"Segmenting{self._counted(moment)} ...", moment.share)

    def _counted(self, moment: JobProgress) -> str:
        """Return a text such as ` 3 of 10 s, about 4 s left`."""
        if not moment.total:
            return f": {moment.done:.0f} s of video are done"
        counted = f" {min(moment.done, moment.total):.0f} of {moment.total:.0f} s"
        took = time.monotonic() - (self._begun or 0.0)
        if took < SOON or not moment.share:
            return counted
        return f"{counted}, about {in_words(took * (1 - moment.share) / moment.share)} left"


def bar(text: str, share: float | None) -> str:
    """Return a line above a bar; None: unknown progress."""
    filled = '<div class="avseg-unknown"></div>' if share is None else f'<div style="width: {100 * share:.1f}%"></div>'
    value = "" if share is None else f' aria-valuenow="{100 * share:.0f}"'
    return (
        f'<div class="avseg-state"><div role="status">{escape(text)}</div>'
        f'<div class="avseg-bar" role="progressbar" aria-label="progress" aria-valuemin="0" aria-valuemax="100"{value}>'
        f"{filled}</div></div>"
    )


def notice(text: str, kind: str = "note") -> str:
    """Return one sentence; `kind`: `note`, or `fault` for an error."""
    role = "alert" if kind == "fault" else "status"
    return f'<div class="avseg-{kind}" role="{role}">{escape(capitalised(text))}</div>' if text else ""


def capitalised(text: str) -> str:
    """Return a sentence with a capital and a full stop; a file name at its beginning is unchanged."""
    first, _, _ = text.partition(" ")
    begun = text if "." in first else text[:1].upper() + text[1:]
    return begun if not begun or begun[-1] in ".!?" else f"{begun}."


class Shown:
    """A finished result as the page shows it."""

    def __init__(self, folder: Path) -> None:
        """
        Raises:
            ValueError: no result.json that can be read.
        """
        found = read_result(folder)
        if found is None:
            raise ValueError(f"{folder.name} has no result; segment the video again")
        self._folder, self._head = folder, found
        heard: list[dict[str, Any]] = [one for one in found["sounding"] if one["intervals"]]
        self._sounding = sorted(heard, key=lambda one: (one["intervals"][0][0], one["id"]))
        self._colours = palette(Task.from_dict(found["model"]["task"]))
        self.duration = float(found["video"]["duration"])

    def sentence(self) -> str:
        """Return when each object sounds, and in small print the video and the model."""
        video, count = self._head["video"], len(self._head["frames"])
        facts = (
            f"{video['file']}: {clock(self.duration)}, {video['width']} x {video['height']} pixels, {count} masks "
            f"({self._head['fps']:g} per second) by {self._head['model']['name']}"
        )
        return f'<div class="avseg-told"><p>{told_of(self._sounding)}</p><small>{escape(facts)}</small></div>'

    def timeline(self) -> str:
        """Return a row for each object over one time axis; a click moves the player."""
        rows = "".join(self._row(one) for one in self._sounding)
        marks = "".join(
            f'<span style="left: {100 * tick / self._length:.3f}%; transform: {_shift(tick / self._length)}">'
            f"{clock(tick)}</span>"
            for tick in ticks_of(self._length, 6)
        )
        rows = rows or '<div class="avseg-row"><span>nothing marked</span><div class="avseg-lane"></div></div>'
        return (
            f'<div class="avseg-timeline" data-seconds="{self._length:.3f}" '
            'role="group" aria-label="when each object sounds">'
            f'{rows}<div class="avseg-row avseg-axis"><span></span><div class="avseg-lane">{marks}</div></div>'
            '<div class="avseg-cover"><div class="avseg-now"></div></div></div>'
        )

    def objects(self) -> str:
        """Return a picture of each object; a click plays the first time it sounds."""
        shown = [self._object(one) for one in self._sounding[:MOST_OBJECTS]]
        more = len(self._sounding) - len(shown)
        rest = f"<p>and {more} more: see the table of all (csv) among the files.</p>" if more > 0 else ""
        return f'<div class="avseg-objects">{"".join(shown)}</div>{rest}' if shown else ""

    @property
    def _length(self) -> float:
        return max(self.duration, 0.001)

    def _row(self, one: Mapping[str, Any]) -> str:
        name, colour = object_name(one), hexadecimal(self._colours, one["id"])
        spans = "".join(self._span(name, colour, begin, end) for begin, end in one["intervals"])
        label = f'<span title="{escape(name, quote=True)}">{_dot(colour)}{escape(name)}</span>'
        return f'<div class="avseg-row">{label}<div class="avseg-lane">{spans}</div></div>'

    def _span(self, name: str, colour: str, begin: float, end: float) -> str:
        words = escape(f"{name}, {clock(begin)} to {clock(end)}", quote=True)
        left, width = 100 * begin / self._length, 100 * (end - begin) / self._length
        return (
            f'<button data-time="{begin:.3f}" title="{words}" aria-label="play {words}" '
            f'style="left: {left:.3f}%; width: {width:.3f}%; background: {colour}"></button>'
        )

    def _object(self, one: Mapping[str, Any]) -> str:
        name, spans = object_name(one), one["intervals"]
        colour, total = hexadecimal(self._colours, one["id"]), sum(end - begin for begin, end in spans)
        path = self._folder / kinds()["cutouts"].file / file_name(one["id"], str(one["class"]))
        picture = f'<img src="{thumbnail(path)}" alt="">' if path.is_file() else ""
        score = f", score {one['score']:.2f}" if "score" in one else ""
        return (
            f'<button data-time="{spans[0][0]:.3f}" aria-label="play {escape(name, quote=True)}">'
            f'<span class="avseg-picture">{picture}</span><b>{_dot(colour)}{escape(name)}</b>'
            f"<small>sounds for {clock(total)}{score}</small></button>"
        )


def told_of(sounding: Sequence[Mapping[str, Any]]) -> str:
    """Return HTML such as `**dog 1** sounds 0 s to 2 s and 8 s to 10 s; **bell 2** 4 s to 6 s.`"""
    told: list[str] = []
    for one in sounding[:MOST_OBJECTS]:
        spans = [f"{clock(begin)} to {clock(end)}" for begin, end in one["intervals"]]
        more = [f"{len(spans) - MOST_SPANS} more times"] if len(spans) > MOST_SPANS else []
        listed = [*spans[:MOST_SPANS], *more]
        words = " and ".join([", ".join(listed[:-1]), listed[-1]] if len(listed) > 1 else listed)
        told.append(f"<b>{escape(object_name(one))}</b>{'' if told else ' sounds'} {words}")
    return f"{'; '.join(told)}." if told else "No sounding object was found."


def thumbnail(path: Path) -> str:
    """Return a data URI of a picture with alpha, at most `SIDE` pixels long."""
    with Image.open(path) as image:
        image.thumbnail((SIDE, SIDE))
        buffer = io.BytesIO()
        image.save(buffer, format="PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def _shift(share: float) -> str:
    """Shift labels at the ends of an axis so that they stay inside."""
    return "none" if share < 0.02 else "translateX(-100%)" if share > 0.98 else "translateX(-50%)"


def _dot(colour: str) -> str:
    return f'<i class="avseg-dot" style="background: {colour}"></i>'
