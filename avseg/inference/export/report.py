"""The report page of a result: a player, and below it items that jump to their moment when clicked.

The page is self-contained: it embeds a small copy of the overlay. If the copy of a very long video is too large, the
page plays overlay.mp4 next to it instead.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import TextIO

import numpy as np
from PIL import Image

from avseg.inference.export.chart import hexadecimal, time_chart
from avseg.inference.export.files import OVERLAY_NAME
from avseg.inference.export.kinds import kinds
from avseg.inference.export.marks import object_name
from avseg.inference.export.overlay import PaintedWriter, Painter, painting_of
from avseg.inference.export.report_script import PLAYER, SCRIPT
from avseg.inference.export.thumbnails import Thumbnail, Thumbnails
from avseg.inference.export.writer import Picture, Subject, Told
from avseg.inference.records import FrameResult
from avseg.io.files import write_aside
from avseg.io.video_writer import h264
from avseg.render.palette import palette
from avseg.render.report import Page, photograph
from avseg.render.timescale import clock, stretch
from avseg.types import Clip

LONGEST_SIDE, QUALITY = 640, 28
"""Longest side in pixels and crf of the copy."""
MOST_BYTES = 96 << 20
"""Largest copy to embed."""
MOST_SPANS = 24
"""Largest number of buttons per object."""
_MARK, _CHUNK = "<copy>", 3 << 18
"""The mark contains a character that escaped texts cannot contain."""


class Smaller:
    """The output of a painter, scaled to at most `LONGEST_SIDE` pixels."""

    def __init__(self, painter: Painter) -> None:
        self._painter = painter

    def on(self, picture: Picture) -> Picture:
        """Return (h, w, 3) from (H, W, 3)."""
        painted = self._painter.on(picture)
        height, width = painted.shape[:2]
        scale = LONGEST_SIDE / max(height, width)
        if scale >= 1:
            return painted
        size = max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)
        return np.asarray(Image.fromarray(painted).resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0))


class ReportWriter:
    """See `avseg.inference.export.writer.Writer`."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._thumbnails = Thumbnails(subject)
        self._copy = subject.folder / ".report.mp4"
        painting = painting_of(subject.task, subject.style)
        self._video = PaintedWriter(subject, self._copy.name, lambda frame: Smaller(painting(frame)), h264(QUALITY))

    def add(self, frame: FrameResult) -> None:
        """Add the next frame."""
        self._thumbnails.add(frame)
        self._video.add(frame)

    def finish(self, told: Told) -> None:
        """Write the page."""
        self._video.finish(told)
        before, after = self._page(told).html().split(_MARK)
        with (
            write_aside(self._subject.folder / kinds()["report"].file) as aside,
            aside.open("w", encoding="utf-8") as file,
        ):
            file.write(before)
            if self._has_copy:
                _write_base64(file, self._copy)
            file.write(after)
        self._copy.unlink()

    def abandon(self) -> None:
        """Remove the copy."""
        self._video.abandon()
        self._copy.unlink(missing_ok=True)

    @property
    def _has_copy(self) -> bool:
        return self._copy.stat().st_size <= MOST_BYTES

    def _page(self, told: Told) -> Page:
        source = self._subject.source
        name = source.id if isinstance(source, Clip) else source.path.name
        height, width = self._thumbnails.size
        page = Page(name, f"{clock(told.duration)}, {width} x {height} pixels. Click an item below to play it.")
        beside = "" if self._has_copy else f' src="{OVERLAY_NAME}"'
        page.part(PLAYER.format(source=beside, label=escape(f"{name} with its masks", quote=True)))
        page.heading("When").drawing(time_chart(self._subject, told))
        page.heading("Pictures").drawings(
            [(_picture(one), f"{clock(one.time)}: {one.caption}") for one in self._thumbnails.kept]
        )
        rows = list(self._rows(told))
        if rows:
            head = "".join(f'<th scope="col">{text}</th>' for text in ("object", "score", "sounds for", "when"))
            page.heading("Objects").drawing(
                f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
            )
        else:
            page.text("Nothing was marked.")
        return page.part(f'<script type="text/plain" id="copy">{_MARK}</script>\n<script>{SCRIPT}</script>')

    def _rows(self, told: Told) -> Iterator[str]:
        colours = palette(self._subject.task)
        for one in told.sounding:
            spans = one["intervals"]
            score = f"{one['score']:.2f}" if "score" in one else ""
            buttons = "".join(_button(begin, stretch(begin, end)) for begin, end in spans[:MOST_SPANS])
            more = f" and {len(spans) - MOST_SPANS} more" if len(spans) > MOST_SPANS else ""
            dot = f'<span class="dot" style="background: {hexadecimal(colours, one["id"])}"></span>'
            yield (
                f"<tr><td>{dot}{escape(object_name(one))}</td><td>{score}</td>"
                f"<td>{clock(sum(end - begin for begin, end in spans))}</td><td>{buttons}{more}</td></tr>"
            )


def _picture(thumbnail: Thumbnail) -> str:
    words = escape(f"play from {clock(thumbnail.time)}: {thumbnail.caption}", quote=True)
    source = photograph(thumbnail.picture, 85)
    return (
        f'<img src="{source}" alt="{words}" role="button" tabindex="0" data-time="{thumbnail.time:.3f}" loading="lazy">'
    )


def _button(time: float, text: str) -> str:
    return f'<button data-time="{time:.3f}">{text}</button> '


def _write_base64(file: TextIO, path: Path) -> None:
    with path.open("rb") as content:
        while piece := content.read(_CHUNK):  # a multiple of three bytes, so that pieces join
            file.write(base64.b64encode(piece).decode("ascii"))
