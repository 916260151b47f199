"""The explanation page: what is heard in each second, what was found where, and which of it was marked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape
from typing import Any

from avseg.inference.export.chart import hexadecimal, time_chart
from avseg.inference.export.explain_rows import find_texts, records
from avseg.inference.export.kinds import kinds
from avseg.inference.export.thumbnails import SIDE, Thumbnail, Thumbnails
from avseg.inference.export.writer import Subject, Told
from avseg.inference.records import FrameResult
from avseg.io.files import write_text
from avseg.render.palette import palette
from avseg.render.report import Page, photograph
from avseg.render.timescale import clock, stretch
from avseg.types import Clip

SILENT = "This model gives no explanation: it does not report which sounds it hears or why it marks an object."


class ExplainWriter:
    """See `avseg.inference.export.writer.Writer`. It keeps at most `MOST_PICTURES` small pictures of a video of any
    length.
    """

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._colours = palette(subject.task)
        self._thumbnails = Thumbnails(subject)

    def add(self, frame: FrameResult) -> None:
        """Add the next frame."""
        self._thumbnails.add(frame)

    def finish(self, told: Told) -> None:
        """Write the page."""
        source, why = self._subject.source, told.explanation
        name = source.id if isinstance(source, Clip) else source.path.name
        page = Page(
            f"Why: {name}", f"{clock(told.duration)}, {self._thumbnails.size[1]} x {self._thumbnails.size[0]} pixels."
        )
        if not why:
            page.text(SILENT)
        page.heading("Sound and result").drawing(time_chart(self._subject, told))
        page.heading("Pictures").drawings(self._pictures(why))
        _tables(page, told)
        write_text(self._subject.folder / kinds()["explain"].file, page.html())

    def abandon(self) -> None:
        """Do nothing; no file is open."""

    def _pictures(self, why: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Return SVG and caption of every picture, with the finder's boxes nearest to it in time."""
        boxes: list[list[str]] = [[] for _ in self._thumbnails.kept]
        words: list[list[str]] = [[] for _ in self._thumbnails.kept]
        for track in records(why, "tracks"):
            nearest: dict[int, tuple[float, Mapping[str, Any]]] = {}
            for find in records(track, "finds"):
                time = float(find.get("time", 0.0))
                place = min(
                    range(len(self._thumbnails.kept)),
                    key=lambda k: abs(self._thumbnails.kept[k].time - time),
                    default=None,
                )
                if (
                    place is not None
                    and abs(self._thumbnails.kept[place].time - time) < nearest.get(place, (math.inf,))[0]
                ):
                    nearest[place] = (abs(self._thumbnails.kept[place].time - time), find)
            for place, (_, find) in nearest.items():
                boxes[place].append(self._box(self._thumbnails.kept[place], track, find))
                words[place].append(f"box at {clock(float(find.get('time', 0.0)))}: {find_texts(track, find)}")
        return [
            (_svg(thumbnail, "".join(drawn)), "\n".join([f"{clock(thumbnail.time)}: {thumbnail.caption}", *said]))
            for thumbnail, drawn, said in zip(self._thumbnails.kept, boxes, words, strict=True)
        ]

    def _box(self, thumbnail: Thumbnail, track: Mapping[str, Any], find: Mapping[str, Any]) -> str:
        height, width = thumbnail.size
        down, across = height / self._thumbnails.size[0], width / self._thumbnails.size[1]
        left, top, right, bottom = (float(side) for side in find.get("box", (0, 0, 0, 0)))
        x, y = left * across, top * down
        colour = hexadecimal(self._colours, int(track.get("id", 0)))
        title = escape(find_texts(track, find))
        wide, tall, unit = (right - left) * across, (bottom - top) * down, max(thumbnail.size) / SIDE
        rect = f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{tall:.1f}" fill="none"'
        text = f'<text x="{x + 3 * unit:.1f}" y="{max(y, 0) + 15 * unit:.1f}" font-size="{14 * unit:.1f}"'
        return (
            f'{rect} stroke="{colour}" stroke-width="{2 * unit:.1f}" stroke-dasharray="{5 * unit:.1f}"/>'
            f'{text} fill="#fff" stroke="#000" stroke-width="{3 * unit:.1f}" paint-order="stroke">{title}</text>'
        )


def _svg(thumbnail: Thumbnail, boxes: str) -> str:
    height, width = thumbnail.size
    label = escape(f"the picture at {clock(thumbnail.time)}: {thumbnail.caption}", quote=True)
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{label}">'
        f'<image href="{photograph(thumbnail.picture, 85)}" width="{width}" height="{height}"/>{boxes}</svg>'
    )


def _tables(page: Page, told: Told) -> None:
    why = told.explanation
    tracks = records(why, "tracks")
    rows: list[tuple[object, ...]]
    if tracks:
        head: tuple[str, ...] = (
            "track",
            "noun",
            "class",
            "score",
            "heard",
            "from",
            "to",
            "boxes of the finder: time, score",
        )
        rows = [
            (
                *(track.get(key, "") for key in ("id", "noun", "class", "score", "probability")),
                *(clock(float(track.get(key, 0.0))) for key in ("begin", "end")),
                _some([f"{clock(float(f.get('time', 0)))} {float(f.get('score', 0)):.2f}" for f in finds]),
            )
            for track, finds in ((track, records(track, "finds")) for track in tracks)
        ]
        page.heading("Tracks").table(head, rows)
    else:
        head = ("object", "class", "sounds")
        rows = [(one["id"], one["class"], _some([stretch(a, b) for a, b in one["intervals"]])) for one in told.sounding]
        if rows:
            page.heading("Objects").table(head, rows)
        else:
            page.text("Nothing was marked.")
    parts = why.get("parts")
    if isinstance(parts, Mapping):
        keys = ("kind", "checkpoint", "revision")
        page.heading("Parts").table(
            ("part", *keys),
            [(name, *(part.get(key, "") for key in keys)) for name, part in parts.items() if isinstance(part, Mapping)],
        )


def _some(texts: list[str], most: int = 12) -> str:
    more = [f"and {len(texts) - most} more"] if len(texts) > most else []
    return ", ".join([*texts[:most], *more])
