"""Scenes as pixels: any moment, any size, and which body each pixel shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avseg.synth.scene import Backdrop, Body, Scene
from avseg.synth.shapes import REACH, SILHOUETTES, TEXTURES, Field, antialias

_CELLS = (3, 7, 17)
"""Cells per picture height of the three layers of value noise."""
_SHARES = (0.5, 0.3, 0.2)
_TILE = 24
_OUTLINE = np.float32(0.09)
RIM = 1.25
"""A rim is the silhouette enlarged by this, under the body itself."""
_RIM_COLOUR = np.array((1.0, 0.85, 0.1), np.float32)


@dataclass(frozen=True, eq=False)
class Picture:
    """Rendering a scene at some moments."""

    frames: NDArray[np.uint8]
    """(T, H, W, 3) RGB."""
    owners: NDArray[np.uint8]
    """(T, H, W) the visible body of each pixel, counted from 1; 0 is background."""


def render(scene: Scene, times: Sequence[float], size: tuple[int, int]) -> Picture:
    """The scene at each time (s), `size` being (H, W)."""
    drawn = list(iter_frames(scene, times, size))
    return Picture(np.stack([frame for frame, _ in drawn]), np.stack([owner for _, owner in drawn]))


def iter_frames(
    scene: Scene, times: Sequence[float], size: tuple[int, int]
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """Frame after frame: (H, W, 3) colours and (H, W) owners."""
    height, width = size
    grids = noise_grids(scene.backdrop)
    y = ((np.arange(height) + 0.5) / height).astype(np.float32)
    x = ((np.arange(width) + 0.5) / width * scene.aspect).astype(np.float32)
    for time in times:
        canvas = _paint_backdrop(scene.backdrop, grids, x, y, time)
        owners = np.zeros(size, np.uint8)
        for number, body in enumerate(scene.bodies, start=1):
            _paint_body(canvas, owners, number, body, (x, y), time)
        yield (canvas * np.float32(255) + np.float32(0.5)).astype(np.uint8), owners


def noise_grids(backdrop: Backdrop) -> list[Field]:
    """The three tiles of value noise, (24, 24) each in [-1, 1]."""
    rng = np.random.default_rng(backdrop.seed)
    return [rng.uniform(-1, 1, (_TILE, _TILE)).astype(np.float32) for _ in _CELLS]


def _between(grid: Field, places: Field) -> Field:
    """(P, n) rows of a periodic grid (24, n) at P places, smooth between its points.

    Not a matrix product, whose last digits would follow the machine's number of threads.
    """
    base = np.floor(places)
    rest = places - base
    rest = (rest * rest * (3 - 2 * rest))[:, None]
    first = base.astype(np.int64) % _TILE
    start = grid[first]
    return start + rest * (grid[(first + 1) % _TILE] - start)


def _paint_backdrop(backdrop: Backdrop, grids: Sequence[Field], x: Field, y: Field, time: float) -> Field:
    """(H, W, 3) in [0, 1]. The grids are read first down, then across; the wave is a sum of two outer products."""
    noise = np.zeros((len(y), len(x)), np.float32)
    for cells, share, grid in zip(_CELLS, _SHARES, grids, strict=True):
        rows = _between(grid, (y + np.float32(backdrop.drift[1] * time)) * np.float32(cells))
        noise += np.float32(share) * _between(rows.T, (x + np.float32(backdrop.drift[0] * time)) * np.float32(cells)).T
    across, down = (2 * np.pi * turns * axis for turns, axis in zip(backdrop.wave[:2], (x, y), strict=True))
    across = across + 2 * np.pi * backdrop.wave[2] * time
    wave = np.outer(np.sin(down), np.cos(across)) + np.outer(np.cos(down), np.sin(across))
    low, high, tint = (np.array(colour, np.float32) for colour in backdrop.colours)
    middle = (low + high) / 2
    canvas: Field = np.asarray(middle, np.float32) + (np.float32(backdrop.contrast) * noise[..., None]) * (high - low)
    canvas += (np.float32(0.25 * backdrop.contrast) * wave.astype(np.float32))[..., None] * (tint - middle)
    np.clip(canvas, 0, 1, out=canvas)
    return canvas


def _paint_body(
    canvas: Field, owners: NDArray[np.uint8], number: int, body: Body, axes: tuple[Field, Field], time: float
) -> None:
    """Draw a body over what is there and make its pixels its own."""
    moment = np.array([time])
    centre = (float(body.x.at(moment)[0]), float(body.y.at(moment)[0]))
    radius = body.radius * (RIM if body.rimmed else 1.0)
    patch_x, patch_y = (_span(axis, c, radius) for axis, c in zip(axes, centre, strict=True))
    if patch_x.start == patch_x.stop or patch_y.start == patch_y.stop:
        return
    dx = (axes[0][patch_x] - np.float32(centre[0]))[None] / np.float32(body.radius)
    dy = (axes[1][patch_y] - np.float32(centre[1]))[:, None] / np.float32(body.radius)
    turn = body.angle + body.spin * time
    cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    u, v = cos * dx + sin * dy, cos * dy - sin * dx
    distance = SILHOUETTES[body.kind - 1](u, v)
    pixels = body.radius * owners.shape[0]
    first, second, edge = (np.array(colour, np.float32) for colour in body.colours)
    mix = TEXTURES[body.kind - 1](u, v)[..., None]
    paint = first + mix * (second - first)
    inner = antialias(distance + _OUTLINE, pixels)[..., None]
    paint = edge + inner * (paint - edge)
    place = (patch_y, patch_x)
    if body.rimmed:
        beyond = SILHOUETTES[body.kind - 1](*(np.asarray(axis / RIM, np.float32) for axis in (u, v)))
        canvas[place] += antialias(beyond, pixels * RIM)[..., None] * (_RIM_COLOUR - canvas[place])
        owners[place][beyond < 0] = number
    canvas[place] += antialias(distance, pixels)[..., None] * (paint - canvas[place])
    owners[place][distance < 0] = number


def _span(axis: Field, centre: float, radius: float) -> slice:
    reach = radius * REACH
    return slice(int(np.searchsorted(axis, centre - reach)), int(np.searchsorted(axis, centre + reach)))
