"""A list of everything that is tracked, at the border of the picture: a full dot while it sounds, a ring while not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from avseg.render.palette import Colour

PLATE = (16, 16, 16, 170)
"""Colour and opacity of what the list stands on."""
LOUD, SILENT = (255, 255, 255, 255), (185, 185, 185, 255)
"""Ink of lines."""
LARGEST, TALLEST, WIDEST = 0.25, 0.75, 0.6
"""Shares of the picture's area, height and width that the list may take."""
SMALLEST = 8
"""Pixels of letters that can just be read."""
FINER = 4
"""Dots are drawn so many times larger and shrunk, to be round."""


@dataclass(frozen=True)
class Line:
    """One line of the list."""

    text: str
    colour: Colour
    """Colour of the dot."""
    sounding: bool


@lru_cache(maxsize=64)
def legend(lines: Sequence[Line], size: tuple[int, int], scale: float = 1.0) -> NDArray[np.uint8] | None:
    """(h, w, 4) RGBA of a list for a picture of `size` (H, W); None where not even one line has room.

    Letters get smaller where not even one line has room, though not smaller than can be read. Lines that find no place
    are counted in the last one. `scale`: of the letters.
    """
    letters = max(SMALLEST, round(max(12, min(size) / 34) * scale))
    while (found := _drawn(lines, size, letters)) is None and letters > SMALLEST:
        letters = max(SMALLEST, round(0.9 * letters))
    return found


def _drawn(lines: Sequence[Line], size: tuple[int, int], letters: int) -> NDArray[np.uint8] | None:
    """Return the legend with another letter size in pixels."""
    height, width = size
    step, margin = round(1.45 * letters), max(2, round(0.4 * letters))
    font = ImageFont.load_default(letters)
    lengths = [font.getlength(line.text) for line in lines]
    for count in range(len(lines), 0, -1):
        more = [f"and {len(lines) - count} more"] if count < len(lines) else []
        wide = 3 * margin + letters + round(max(*lengths[:count], *map(font.getlength, more), 0))
        tall = 2 * margin + step * (count + len(more))
        if wide <= WIDEST * width and tall <= TALLEST * height and tall * wide <= LARGEST * height * width:
            break
    else:
        return None
    shown, texts = lines[:count], [*(line.text for line in lines[:count]), *more]
    plate = Image.new("RGBA", (wide, tall), PLATE)
    draw = ImageDraw.Draw(plate)
    for number, text in enumerate(texts):
        middle = margin + step * number + step // 2
        line = shown[number] if number < len(shown) else None
        if line is not None:
            plate.alpha_composite(_dot(line.colour, line.sounding, letters), (margin, middle - letters // 2))
        ink = LOUD if line is not None and line.sounding else SILENT
        draw.text((2 * margin + letters, middle), text, fill=ink, font=font, anchor="lm")
    return np.array(plate)


@lru_cache(maxsize=512)
def _dot(colour: Colour, full: bool, size: int) -> Image.Image:
    """RGBA, `size` pixels on a side."""
    large = size * FINER
    dot = Image.new("RGBA", (large, large), (*colour, 0))
    edge = large // 10
    box = (edge, edge, large - edge - 1, large - edge - 1)
    ImageDraw.Draw(dot).ellipse(
        box, fill=(*colour, 255) if full else None, outline=(*colour, 255), width=max(FINER, round(0.14 * large))
    )
    return dot.resize((size, size), Image.Resampling.BOX)
