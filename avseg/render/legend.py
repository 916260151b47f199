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
TALLEST, WIDEST = 0.75, 0.6
"""Shares of the picture's height and width that the list may take."""
FINER = 4
"""Dots are drawn so many times larger and shrunk, to be round."""


@dataclass(frozen=True)
class Line:
    """One line of the list."""

    text: str
    colour: Colour
    """Of the dot."""
    sounding: bool


@lru_cache(maxsize=64)
def legend(lines: Sequence[Line], size: tuple[int, int]) -> NDArray[np.uint8] | None:
    """(h, w, 4) RGBA of a list for a picture of `size` (H, W); None where it would hide most of the picture.

    Lines that find no place are counted in the last one.
    """
    height, width = size
    letters = max(12, round(height / 34))
    step, margin = round(1.45 * letters), max(2, round(0.4 * letters))
    room = round(TALLEST * height - 2 * margin) // step
    if not lines or room < 2:
        return None
    shown = list(lines) if len(lines) <= room else list(lines[: room - 1])
    more = len(lines) - len(shown)
    font = ImageFont.load_default(letters)
    texts = [line.text for line in shown] + ([f"and {more} more"] if more else [])
    wide = 3 * margin + letters + round(max(font.getlength(text) for text in texts))
    if wide > WIDEST * width:
        return None
    plate = Image.new("RGBA", (wide, 2 * margin + step * len(texts)), PLATE)
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
