"""A contact sheet of pictures, and a timeline of bars: when each thing sounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from avseg.render.palette import Colour

Picture = NDArray[np.uint8]
INK, SOFT, LINE = (27, 31, 36), (91, 101, 112), (213, 218, 224)
LETTERS = 13
STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)
"""s between the marks of a timeline."""


@dataclass(frozen=True)
class Bar:
    """A row of a timeline."""

    name: str
    colour: Colour
    spans: Sequence[Sequence[float]]
    """(begin, end) in s."""


def contact_sheet(pictures: Sequence[Picture], captions: Sequence[str], columns: int = 3, tile: int = 320) -> Picture:
    """(h, w, 3) pictures of one size in rows, each made at most `tile` pixels wide, with its caption below it.

    Raises:
        ValueError: no picture, or not as many captions.
    """
    if not pictures or len(pictures) != len(captions):
        raise ValueError(f"a sheet of {len(pictures)} pictures with {len(captions)} captions; wanted one for each")
    height, width = pictures[0].shape[:2]
    wide = min(tile, width)
    tall, below, gap = max(round(height * wide / width), 1), LETTERS + 8, 6
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    size = (columns * (wide + gap) - gap, rows * (tall + below))
    sheet, font = Image.new("RGB", size, "white"), ImageFont.load_default(LETTERS)
    draw = ImageDraw.Draw(sheet)
    for place, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
        left, top = place % columns * (wide + gap), place // columns * (tall + below)
        sheet.paste(Image.fromarray(picture).resize((wide, tall), Image.Resampling.LANCZOS), (left, top))
        draw.text((left + 2, top + tall + 3), caption, fill=SOFT, font=font)
    return np.asarray(sheet)


def timeline(bars: Sequence[Bar], end: float, width: int = 972) -> Picture:
    """(h, width, 3): a row for each bar over an axis from 0 to `end` s."""
    font, step = ImageFont.load_default(LETTERS), LETTERS + 11
    names = [_shortened(bar.name, font, 0.3 * width) for bar in bars]
    left = round(max((font.getlength(name) for name in names), default=0)) + 12
    room = width - left - 24
    image = Image.new("RGB", (width, step * (len(bars) + 1) + 6), "white")
    draw, bottom, end = ImageDraw.Draw(image), step * len(bars) + 2, max(end, 1e-3)

    def x(second: float) -> int:
        return left + round(room * min(max(second / end, 0), 1))

    every = next((one for one in STEPS if end / one <= 12), end)
    for mark in range(int(end / every + 1e-9) + 1):
        draw.line((x(mark * every), 0, x(mark * every), bottom), fill=LINE)
        draw.text((x(mark * every), bottom + 3), f"{mark * every:g} s", fill=SOFT, font=font, anchor="ma")
    for row, (bar, name) in enumerate(zip(bars, names, strict=True)):
        top = step * row + 4
        draw.text((left - 8, top + step // 2 - 4), name, fill=INK, font=font, anchor="rm")
        for begin, stop in bar.spans:
            draw.rectangle((x(begin), top, max(x(stop), x(begin) + 1), top + step - 9), fill=bar.colour)
    return np.asarray(image)


def stacked_pictures(parts: Sequence[Picture], margin: int = 10) -> Picture:
    """Pictures one below the other on white, as wide as the widest."""
    width = max(part.shape[1] for part in parts)
    filled = []
    for part in parts:
        framed = np.full((part.shape[0] + margin, width, 3), 255, np.uint8)
        framed[: part.shape[0], : part.shape[1]] = part
        filled.append(framed)
    return np.concatenate(filled)[:-margin]


def _shortened(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, room: float) -> str:
    """As much of a text as has room, with three dots where something is left out."""
    if font.getlength(text) <= room:
        return text
    while text and font.getlength(f"{text}...") > room:
        text = text[:-1]
    return f"{text}..."
