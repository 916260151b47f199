"""Masks painted into pictures: tint, contour and name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from avseg.render.legend import SMALLEST, Line, legend
from avseg.render.palette import distinct_colours

Picture = NDArray[np.uint8]
Silent: TypeAlias = Literal["keep", "grey", "blur", "dark"]
"""Appearance of the unpainted region."""
Corner: TypeAlias = Literal["top-left", "top-right", "bottom-left", "bottom-right", "none"]
"""Where a list stands, if it does."""


def overlay(
    picture: Picture,
    labels: NDArray[np.integer],
    names: Mapping[int, str] | None = None,
    colours: NDArray[np.uint8] | None = None,
    alpha: float = 0.45,
    listed: Sequence[Line] = (),
) -> Picture:
    """(H, W, 3) uint8 `picture` with the areas of `labels` (H, W; 0 is background) tinted, outlined and named."""
    return Paint(labels, names, colours, alpha, listed).on(picture)


class Paint:
    """A label map made ready to be painted into any number of pictures of its size."""

    def __init__(
        self,
        labels: NDArray[np.integer],
        names: Mapping[int, str] | None = None,
        colours: NDArray[np.uint8] | None = None,
        alpha: float = 0.45,
        listed: Sequence[Line] = (),
        *,
        silent: Silent = "keep",
        corner: Corner = "top-left",
        scale: float = 1.0,
    ) -> None:
        """Prepare the paint.

        Args:
            labels: (H, W) ids, 0 is background.
            names: what is written beside the area of an id; ids without a name stay bare.
            colours: (256, 3) uint8 by id.
            alpha: share of the colour in the tint, 0 to 1.
            listed: what stands in a list in a corner; without any there is none.
            silent: what becomes of the background.
            corner: of the list.
            scale: of all letters.
        """
        self.shape = labels.shape
        table = colours if colours is not None else np.array([(0, 0, 0), *distinct_colours(255)], np.uint8)
        # Where there is no tint, a contour of one pixel is hardly seen.
        contour = _contour(labels, max(1 if alpha else 2, round(min(labels.shape) / 240)))
        self._box = box_of(labels > 0)
        self._keep, self._add = _blend(labels[self._box], contour[self._box], table, alpha)
        self._silent = None if silent == "keep" else labels == 0
        self._effect = silent
        height, width = labels.shape
        self._list = None if corner == "none" else legend(tuple(listed), (height, width), scale)
        taken = (0, 0) if self._list is None else self._list.shape[:2]
        self._place = _corner((taken[0], taken[1]), (height, width), corner)
        self._tags = _tags(labels, names or {}, table, self._place, scale)

    def on(self, picture: Picture) -> Picture:
        """A painted copy of (H, W, 3) uint8.

        Raises:
            ValueError: a picture of another size than the labels.
        """
        if picture.shape[:2] != self.shape:
            raise ValueError(f"a picture of {picture.shape[:2]} got labels of {self.shape}; both must have one size")
        painted = np.array(picture, order="C")
        if self._silent is not None:
            painted[self._silent] = quietened(picture, self._effect)[self._silent]
        below = painted[self._box]
        # Fixed point: 256 * 255 fits 16 bits, so one multiply and one shift blend a pixel.
        below[:] = (below * self._keep + self._add) >> 8
        for top, left, tag in self._tags:
            painted[top : top + tag.shape[0], left : left + tag.shape[1]] = tag
        if self._list is not None:
            below, weight = painted[self._place], self._list[..., 3:].astype(np.uint16)
            below[:] = (below * (255 - weight) + self._list[..., :3] * weight) // 255
        return painted


def quietened(picture: Picture, effect: Silent) -> Picture:
    """(H, W, 3) of (H, W, 3), as the background of an overlay looks."""
    if effect == "grey":
        return np.repeat(np.asarray(Image.fromarray(picture).convert("L"))[..., None], 3, 2)
    if effect == "blur":
        radius = max(2.0, min(picture.shape[:2]) / 36)
        return np.asarray(Image.fromarray(picture).filter(ImageFilter.BoxBlur(radius)))
    return picture // 4 if effect == "dark" else picture


def _corner(tile: tuple[int, int], size: tuple[int, int], corner: Corner) -> tuple[slice, slice]:
    """Rows and columns of a tile (h, w) in a corner of a picture (H, W)."""
    top = size[0] - tile[0] if corner.startswith("bottom") else 0
    left = size[1] - tile[1] if corner.endswith("right") else 0
    return slice(top, top + tile[0]), slice(left, left + tile[1])


def box_of(inside: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Rows and columns of the smallest box around what is inside (H, W); of no rows and columns where nothing is."""
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    if not len(rows):
        return slice(0, 0), slice(0, 0)
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _blend(
    labels: NDArray[np.integer], contour: NDArray[np.bool_], table: NDArray[np.uint8], alpha: float
) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    """Factors and addends (h, w, 3): a pixel becomes (factor * pixel + addend) / 256; background stays as it is."""
    # One row for the background, one for each colour of the tint, one for each of the contour.
    shares = np.repeat([0.0, alpha, 1.0], [1, len(table), len(table)])[:, None]
    keep = np.repeat((256 * (1 - shares)).astype(np.uint16), 3, axis=1)
    add = (256 * shares * np.concatenate([np.zeros((1, 3)), table, table])).astype(np.uint16)
    rows = np.where(labels > 0, 1 + labels.astype(np.intp) % len(table) + len(table) * contour, 0)
    return keep.take(rows, axis=0), add.take(rows, axis=0)


def _contour(labels: NDArray[np.integer], width: int) -> NDArray[np.bool_]:
    """(H, W) pixels within `width` of a pixel with another label."""
    edge = np.zeros(labels.shape, bool)
    for step in range(1, width + 1):
        below, right = labels[step:] != labels[:-step], labels[:, step:] != labels[:, :-step]
        edge[step:] |= below
        edge[:-step] |= below
        edge[:, step:] |= right
        edge[:, :-step] |= right
    return edge


def _tags(
    labels: NDArray[np.integer],
    names: Mapping[int, str],
    table: NDArray[np.uint8],
    taken: tuple[slice, slice],
    scale: float = 1.0,
) -> list[tuple[int, int, Picture]]:
    """(top, left, tile) of every named id, at its area and inside the picture, clear of the place that is taken and of
    each other; an id for which there is no room has none."""
    height, width = labels.shape
    tags: list[tuple[int, int, Picture]] = []
    covered = np.zeros(labels.shape, bool)
    covered[taken] = True
    shown = [int(index) for index in np.unique(labels[box_of(labels > 0)]) if index and int(index) in names]
    letters = _fitting([names[index] for index in shown], round(type_size(labels.shape, 28) * scale), labels.shape)
    for index in shown:
        inside = labels == index
        tile = _tile(names[index], tuple(table[index % len(table)].tolist()), letters)
        tile = tile[:height, :width]
        for top, left in _places(inside, tile.shape[:2]):
            place = slice(top, top + tile.shape[0]), slice(left, left + tile.shape[1])
            if not covered[place].any():
                covered[place] = True
                tags.append((top, left, tile))
                break
    return tags


def _fitting(texts: Sequence[str], letters: int, size: tuple[int, ...]) -> int:
    """Pixels of letters, as many as are wanted, unless a text would then be wider than a picture (H, W), or a tile
    higher than a sixth of it; never fewer than `SMALLEST`."""
    letters = min(letters, size[0] // 9)
    widest = max((ImageFont.load_default(100).getlength(text) / 100 for text in texts), default=0.0)
    margins = 2 / 5
    return max(SMALLEST, min(letters, int(size[1] / (widest + margins))))


def _places(inside: NDArray[np.bool_], tile: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """(top, left) where a tile (h, w) may stand, the best first: above the area (H, W), below it, beside it, inside it;
    never far from it, where it would seem to name something else."""
    size = inside.shape
    rows, columns = np.count_nonzero(inside, axis=1), np.count_nonzero(inside, axis=0)
    (top, bottom), (first, last) = _ends(rows), _ends(columns)
    lefts = (_mean(columns) - tile[1] // 2, first, last - tile[1] + 1)
    above, below, middle = top - tile[0] - 2, bottom + 3, _mean(rows) - tile[0] // 2
    wanted = [(top, left) for top in (above, below) for left in lefts]
    wanted += [(middle, last + 3), (middle, first - tile[1] - 2), (middle, lefts[0])]
    wanted += [(top, lefts[0]) for top in (above - tile[0] - 1, below + tile[0] + 1)]
    for top, left in wanted:
        yield min(max(top, 0), size[0] - tile[0]), min(max(left, 0), size[1] - tile[1])


def _ends(counts: NDArray[np.intp]) -> tuple[int, int]:
    """The first and the last place with pixels."""
    there = np.flatnonzero(counts)
    return int(there[0]), int(there[-1])


def _mean(counts: NDArray[np.intp]) -> int:
    """The mean place of a pixel, of pixels counted by place."""
    return int((counts * np.arange(len(counts))).sum() / counts.sum())


def type_size(size: tuple[int, ...], lines: int, least: int = 11) -> int:
    """Pixels of letters of which `lines` fit one above the other along the shorter side of a picture (H, W)."""
    return max(least, round(min(size[:2]) / lines))


@lru_cache(maxsize=512)
def _tile(text: str, colour: tuple[int, int, int], size: int) -> Picture:
    """(h, w, 3) text on its colour, black or white by what reads better."""
    font = ImageFont.load_default(size)
    left, top, right, bottom = font.getbbox(text)
    margin = max(2, size // 5)
    image = Image.new("RGB", (int(right - left) + 2 * margin, int(bottom - top) + 2 * margin), colour)
    bright = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2] > 115
    ink = (0, 0, 0) if bright else (255, 255, 255)
    ImageDraw.Draw(image).text((margin - left, margin - top), text, fill=ink, font=font)
    return np.array(image)
