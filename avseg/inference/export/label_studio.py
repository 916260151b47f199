"""Results for Label Studio: pictures, tasks with brush masks as predictions, and the settings of a project."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from avseg.inference.export.kinds import kinds
from avseg.inference.export.names import class_label
from avseg.inference.export.text_spool import TextSpool
from avseg.inference.export.writer import Subject, Told
from avseg.inference.records import Detection, FrameResult, class_names
from avseg.inference.stored import begin_of
from avseg.io.files import write_text
from avseg.render.palette import palette
from avseg.types import Clip

WORD, SIZES = 8, (3, 4, 8, 16)
"""Bits of a value, and the four bit widths allowed for the length of a run."""
CHANNELS = 4
"""The values of a pixel: red, green, blue, opacity; inside a mask all are 255."""


def brush(mask: NDArray[np.bool_]) -> list[int]:
    """Return the bytes of a mask (H, W) in the format of Label Studio's brush.

    The packing is that of thi.ng's rle-pack, a stream of bits, the highest first: 32 for the number of values, 5 for
    the bits of one less 1, four times 4 for the bits of lengths less 1; then runs: a one, 2 bits for which of the four,
    the length less 1, and the value.
    """
    flat = mask.ravel()
    edges = [0, *(np.flatnonzero(flat[1:] != flat[:-1]) + 1).tolist(), flat.size]
    bits = [f"{flat.size * CHANNELS:032b}", f"{WORD - 1:05b}", *(f"{size - 1:04b}" for size in SIZES)]
    most = 1 << SIZES[-1]
    for begin, end in pairwise(edges):
        left, value = (end - begin) * CHANNELS, "1" * WORD if flat[begin] else "0" * WORD
        while left:
            length = min(left, most)
            which = next(i for i, size in enumerate(SIZES) if length <= 1 << size)
            bits.append(f"1{which:02b}{length - 1:0{SIZES[which]}b}{value}")
            left -= length
    stream = "".join(bits)
    stream += "0" * (-len(stream) % 8)
    return list(int(stream, 2).to_bytes(len(stream) // 8, "big"))


class LabelStudioWriter:
    """See `avseg.inference.export.writer.Writer`. Pictures are JPEG, one for each frame, with or without masks."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._folder = subject.folder / kinds()["label_studio"].file
        (self._folder / "images").mkdir(parents=True)
        self._tasks = TextSpool(subject.folder)

    def add(self, frame: FrameResult) -> None:
        """Add the next frame."""
        name = f"images/{frame.index:06d}.jpg"
        Image.fromarray(self._subject.pictures.of(frame)).save(self._folder / name, quality=95)
        place = quote(f"{self._subject.name}/{self._folder.name}/{name}")
        result = [_region(frame, one) for one in frame.objects]
        source = self._subject.source
        video = source.id if isinstance(source, Clip) else source.path.name
        task = {
            "data": {"image": f"/data/local-files/?d={place}", "video": video, "time": begin_of(source) + frame.time},
            "predictions": [{"model_version": "avseg", "result": result}],
        }
        self._tasks.add(json.dumps(task, ensure_ascii=False))

    def finish(self, told: Told) -> None:
        """Write tasks and settings."""
        with (self._folder / "tasks.json").open("w", encoding="utf-8", newline="\n") as file:
            file.write("[\n")
            self._tasks.copy_to(file)
            file.write("\n]\n")
        colours = palette(self._subject.task)
        names = [class_label(number, name) for number, name in enumerate(class_names(self._subject.task), start=1)]
        labels = "\n".join(
            f'    <Label value={quoteattr(name)} background="#{bytes(colours[number].tolist()).hex()}"/>'
            for number, name in enumerate(names, start=1)
        )
        write_text(
            self._folder / "config.xml",
            '<View>\n  <Image name="image" value="$image" zoom="true"/>\n  <BrushLabels name="sounding" '
            f'toName="image">\n{labels}\n  </BrushLabels>\n</View>\n',
        )

    def abandon(self) -> None:
        """Discard the buffered lines."""
        self._tasks.close()


def _region(frame: FrameResult, one: Detection) -> dict[str, Any]:
    return {
        "id": f"{frame.index}-{one.id}",
        "type": "brushlabels",
        "from_name": "sounding",
        "to_name": "image",
        "original_width": frame.size[1],
        "original_height": frame.size[0],
        "image_rotation": 0,
        "score": round(one.score, 4),
        "value": {"format": "rle", "rle": brush(one.mask), "brushlabels": [class_label(one.class_id, one.name)]},
    }
