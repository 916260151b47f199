"""Results in the format "CVAT for images 1.1", with masks as run lengths in boxes. CVAT imports it into video tasks
too.

"CVAT for video 1.1" also has masks, but CVAT reads only the first mask of each track, and datumaro reads none.
"""

from __future__ import annotations

import math
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from avseg.inference.export.kinds import kinds
from avseg.inference.export.names import class_label, one_line
from avseg.inference.export.text_spool import TextSpool
from avseg.inference.export.writer import Subject, Told
from avseg.inference.records import Detection, FrameResult, class_names
from avseg.inference.stored import begin_of
from avseg.io.files import write_aside
from avseg.render.palette import palette
from avseg.types import Clip

WITHIN = 1e-6
"""Tolerance of times in s, for rounding."""


class CvatWriter:
    """See `avseg.inference.export.writer.Writer`.

    Frame numbers are those of the video, from time and frame rate; of two masks for one frame the first is used.
    Masks of one object share a group.
    """

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._rate = subject.source.rate if isinstance(subject.source, Clip) else subject.source.fps
        self._begin = begin_of(subject.source)
        self._images = TextSpool(subject.folder, "\n")
        self._size = (1, 1)
        self._last = -1
        """Number of the last frame."""

    def add(self, frame: FrameResult) -> None:
        """Add the next frame."""
        clip = isinstance(self._subject.source, Clip)
        number = frame.index if clip else math.floor((self._begin + frame.time + WITHIN) * self._rate)
        if number == self._last:
            return
        self._last, self._size = number, frame.size
        objects = sorted(frame.objects, key=lambda one: one.score)
        masks = "".join(_mask(one, order) for order, one in enumerate(objects))
        size = f'width="{frame.size[1]}" height="{frame.size[0]}"'
        self._images.add(f'<image id="{number}" name="frame_{number:06d}.png" {size}>{masks}</image>')

    def finish(self, told: Told) -> None:
        """Write the file."""
        source = self._subject.source
        count = len(source.frames) if isinstance(source, Clip) else round((self._begin + told.duration) * self._rate)
        path = self._subject.folder / kinds()["cvat"].file
        with write_aside(path) as aside, aside.open("w", encoding="utf-8", newline="\n") as file:
            file.write(self._head(max(count, self._last + 1)))
            self._images.copy_to(file)
            file.write("\n</annotations>\n")

    def abandon(self) -> None:
        """Discard the buffered lines."""
        self._images.close()

    def _head(self, count: int) -> str:
        task, source = self._subject.task, self._subject.source
        colours = palette(task)
        labels = "".join(
            f"<label><name>{escape(class_label(number, name))}</name>"
            f"<color>#{bytes(colours[number].tolist()).hex()}</color><type>mask</type><attributes></attributes></label>"
            for number, name in enumerate(class_names(task), start=1)
        )
        name = escape(one_line(source.id if isinstance(source, Clip) else source.path.name))
        return (
            '<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version><meta><task>'
            f"<name>{name}</name><size>{count}</size><mode>annotation</mode><overlap>0</overlap>"
            f"<start_frame>0</start_frame><stop_frame>{count - 1}</stop_frame><frame_filter></frame_filter>"
            f"<labels>{labels}</labels><original_size><width>{self._size[1]}</width><height>{self._size[0]}</height>"
            f"</original_size><source>{name}</source></task></meta>\n"
        )


def _mask(one: Detection, order: int) -> str:
    left, top, width, height = one.box
    inside = one.mask[top : top + height, left : left + width].ravel()
    edges = np.flatnonzero(np.diff(inside, prepend=False))
    runs = ", ".join(map(str, np.diff(edges, prepend=0, append=inside.size).tolist()))
    label = quoteattr(class_label(one.class_id, one.name))
    return (
        f'<mask label={label} source="auto" occluded="0" rle="{runs}" left="{left}" top="{top}" '
        f'width="{width}" height="{height}" z_order="{order}" group_id="{one.id}"></mask>'
    )
