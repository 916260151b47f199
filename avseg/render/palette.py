"""Colours: one for each class, and distinct ones for any number of tracks."""

from __future__ import annotations

import colorsys
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from avseg.types import Task

Colour = tuple[int, int, int]
HIGHLIGHT: Colour = (255, 96, 32)
"""Colour of the foreground of a binary task."""
_GOLDEN = 0.6180339887


def voc_palette(count: int = 256) -> list[Colour]:
    """The colours of Pascal VOC: the bits of the index, dealt to red, green and blue from the highest bit down."""
    colours = []
    for index in range(count):
        channels = [0, 0, 0]
        for place in range(8):
            for channel in range(3):
                channels[channel] |= (index >> (3 * place + channel) & 1) << (7 - place)
        colours.append((channels[0], channels[1], channels[2]))
    return colours


def distinct_colours(count: int) -> list[Colour]:
    """`count` bright colours; hues go round by the golden ratio, so that any first few lie far apart."""
    colours = []
    for index in range(count):
        hue = (0.05 + index * _GOLDEN) % 1
        value, saturation = (1.0, 0.85) if index % 2 == 0 else (0.85, 0.65)
        red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
        colours.append((round(red * 255), round(green * 255), round(blue * 255)))
    return colours


def palette(task: Task) -> NDArray[np.uint8]:
    """(256, 3) uint8: the colour of each id in a label map of `task`; 0 is black.

    Ids are class ids for binary and semantic tasks, and numbers of objects for instances.
    """
    table = np.zeros((256, 3), np.uint8)
    if task.kind == "binary":
        table[1:] = HIGHLIGHT
    elif task.kind == "semantic" and len(task.classes) > 24:
        table[:] = voc_palette()
    else:
        table[1:] = distinct_colours(255)
    return table
