"""Times of sounding objects for other programs: subtitles, ELAN, Audacity's labels. Written after the last frame."""

from __future__ import annotations

import mimetypes
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from html import escape
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

from avseg.inference.export.kinds import kinds
from avseg.inference.export.names import class_label, one_line
from avseg.inference.export.writer import Subject, Told
from avseg.inference.records import FrameResult
from avseg.inference.stored import begin_of
from avseg.io.files import write_text
from avseg.types import Clip

ELAN = "3.0"
ELAN_SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"
_NO_MARKUP = str.maketrans("<>{}", "‹›()")
NO_DATE = "1970-01-01T00:00:00Z"
"""The date that ELAN requires; a fixed one keeps the bytes of a result the same."""


@dataclass(frozen=True)
class Span:
    """A stretch of time in which one object sounds."""

    begin: int
    """ms."""
    end: int
    id: int
    name: str
    """Name of the object; see `object_name`."""


def object_name(one: Mapping[str, Any]) -> str:
    """Return `dog`, or `dog 2` for models that separate objects of one class; `one`: an entry of `Result.sounding`."""
    name = class_label(one["class_id"], str(one["class"]))
    return f"{name} {one['id']}" if "score" in one else name


def spans_of(sounding: Sequence[Mapping[str, Any]]) -> list[Span]:
    """Return all spans of at least a millisecond, in order of time.

    Args:
        sounding: See `Result.sounding`.
    """
    spans = [
        Span(round(begin * 1000), round(end * 1000), one["id"], object_name(one))
        for one in sounding
        for begin, end in one["intervals"]
    ]
    return sorted((s for s in spans if s.end > s.begin), key=lambda s: (s.begin, s.end, s.id))


def cues_of(spans: Sequence[Span]) -> list[tuple[int, int, list[str]]]:
    """Return begin and end in ms and the sounding objects: one cue per stretch with the same objects, none in silence.

    Cues do not overlap, because players draw overlapping cues in different ways.
    """
    borders = sorted({time for span in spans for time in (span.begin, span.end)})
    cues = []
    for begin, end in pairwise(borders):
        there = sorted((s for s in spans if s.begin <= begin and end <= s.end), key=lambda s: s.id)
        if there:
            cues.append((begin, end, [span.name for span in there]))
    return cues


def srt(told: Told, subject: Subject) -> str:
    """Return SubRip: numbered cues, one line per sounding object. It has no escapes: <> become ‹›, {} become ()."""
    cues = enumerate(cues_of(spans_of(told.sounding)), start=1)
    return "\n".join(
        f"{number}\n{_stamp(begin, ',')} --> {_stamp(end, ',')}\n{_lines(names).translate(_NO_MARKUP)}\n"
        for number, (begin, end, names) in cues
    )


def vtt(told: Told, subject: Subject) -> str:
    """Return WebVTT, with the characters of its markup escaped."""
    cues = cues_of(spans_of(told.sounding))
    texts = [
        f"{_stamp(begin, '.')} --> {_stamp(end, '.')}\n{escape(_lines(names), quote=False)}\n"
        for begin, end, names in cues
    ]
    return "\n".join(["WEBVTT\n", *texts])


def audacity(told: Told, subject: Subject) -> str:
    """Return Audacity's labels: begin and end in s and the name, separated by tabs."""
    return "".join(f"{s.begin / 1000:.6f}\t{s.end / 1000:.6f}\t{s.name}\n" for s in spans_of(told.sounding))


def elan(told: Told, subject: Subject) -> str:
    """Return ELAN's annotations, one tier per object; ELAN looks for the video next to the file."""
    name = one_line(subject.source.id if isinstance(subject.source, Clip) else subject.source.path.name)
    root = ElementTree.Element(
        "ANNOTATION_DOCUMENT",
        {
            "AUTHOR": "avseg",
            "DATE": NO_DATE,
            "FORMAT": ELAN,
            "VERSION": ELAN,
            "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
            "xsi:noNamespaceSchemaLocation": ELAN_SCHEMA,
        },
    )
    header = ElementTree.SubElement(root, "HEADER", {"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"})
    kind = mimetypes.guess_type(name)[0] or "video/mp4"
    media = {"MEDIA_URL": f"./{name}", "RELATIVE_MEDIA_URL": f"./{name}", "MIME_TYPE": kind}
    if begin := round(begin_of(subject.source) * 1000):
        media["TIME_ORIGIN"] = str(begin)  # ms of the media file that are before time zero of the annotations
    ElementTree.SubElement(header, "MEDIA_DESCRIPTOR", media)
    _tiers(root, told)
    linguistic = {"LINGUISTIC_TYPE_ID": "sounding", "TIME_ALIGNABLE": "true", "GRAPHIC_REFERENCES": "false"}
    ElementTree.SubElement(root, "LINGUISTIC_TYPE", linguistic)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _tiers(root: ElementTree.Element, told: Told) -> None:
    spans = spans_of(told.sounding)
    times = sorted({time for span in spans for time in (span.begin, span.end)})
    order = ElementTree.SubElement(root, "TIME_ORDER")
    slots = {time: f"ts{number}" for number, time in enumerate(times, start=1)}
    for time, slot in slots.items():
        ElementTree.SubElement(order, "TIME_SLOT", {"TIME_SLOT_ID": slot, "TIME_VALUE": str(time)})
    named: set[str] = set()
    count = 0
    for one in told.sounding:
        mine = [span for span in spans if span.id == one["id"]]
        if not mine:
            continue
        tier_name = object_name(one)
        tier_name = f"{tier_name} ({one['id']})" if tier_name in named else tier_name
        named.add(tier_name)
        tier = ElementTree.SubElement(root, "TIER", {"TIER_ID": tier_name, "LINGUISTIC_TYPE_REF": "sounding"})
        for span in mine:
            count += 1
            annotation = ElementTree.SubElement(tier, "ANNOTATION")
            place = {"TIME_SLOT_REF1": slots[span.begin], "TIME_SLOT_REF2": slots[span.end]}
            aligned = ElementTree.SubElement(
                annotation, "ALIGNABLE_ANNOTATION", {"ANNOTATION_ID": f"a{count}", **place}
            )
            ElementTree.SubElement(aligned, "ANNOTATION_VALUE").text = span.name


def _lines(names: Sequence[str]) -> str:
    return "\n".join(names).replace("-->", "->")


def _stamp(milliseconds: int, mark: str) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{mark}{rest:03d}"


class MarkWriter:
    """See `avseg.inference.export.writer.Writer`."""

    def __init__(self, kind: str, form: Callable[[Told, Subject], str], subject: Subject) -> None:
        """`form` returns the text of the file of `kind`."""
        self._kind, self._form, self._subject = kind, form, subject

    def add(self, frame: FrameResult) -> None:
        """Do nothing; `finish` has all it needs."""

    def finish(self, told: Told) -> None:
        """Write the file."""
        write_text(self._subject.folder / kinds()[self._kind].file, self._form(told, self._subject))

    def abandon(self) -> None:
        """Do nothing; no file is open."""


SrtWriter = partial(MarkWriter, "srt", srt)
VttWriter = partial(MarkWriter, "vtt", vtt)
ElanWriter = partial(MarkWriter, "eaf", elan)
AudacityWriter = partial(MarkWriter, "audacity", audacity)
