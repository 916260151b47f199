"""Conversion between coded pictures and RGB, by the rule of players.

Colour metadata of a file is used. Without metadata, pictures of 720 lines and more are BT.709, smaller ones BT.601.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

HD_LINES = 720
"""The height of a picture from which BT.709 is the rule."""
_UNSPECIFIED = 2
_BT2020_CONSTANT_LUMINANCE = 10
_BT709, _SMPTE170M, _LIMITED = 1, 6, 1
"""Numbers of ITU-T H.273, as they stand in the files."""


def rgb_of(frame: Any, size: tuple[int, int]) -> NDArray[np.uint8]:
    """A decoded frame as (H, W, 3) uint8 RGB of `size` (H, W).

    Raises:
        OSError: a matrix that FFmpeg does not know how to turn to RGB.
    """
    from av.video.reformatter import Colorspace, VideoReformatter

    height, width = size
    source = None
    if frame.colorspace == _UNSPECIFIED and frame.height >= HD_LINES and not frame.format.is_rgb:
        source = Colorspace.ITU709
    elif frame.colorspace == _BT2020_CONSTANT_LUMINANCE:
        source = Colorspace.BT2020
    # Not by the frame's own scaler, whose threads would be freed with it: a frame whose side data were looked at waits
    # for the garbage collector, and a process that was forked meanwhile hangs in freeing them (findings). By one
    # thread: those of a scaler that is made for one picture cost more than they save.
    scaler: Any = VideoReformatter()
    rgb = scaler.reformat(frame, width=width, height=height, format="rgb24", src_colorspace=source, threads=1)
    picture: NDArray[np.uint8] = rgb.to_ndarray()
    return picture


def coded(picture: NDArray[np.uint8], form: str = "yuv420p") -> Any:
    """(H, W, 3) uint8 RGB with even sides, or (H, W, 4) with alpha, as a frame whose pixels have the form `form`."""
    from av import VideoFrame
    from av.video.reformatter import ColorRange, Colorspace, Interpolation

    target = Colorspace.ITU709 if picture.shape[0] >= HD_LINES else Colorspace.ITU601
    frame = VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgba" if picture.shape[2] == 4 else "rgb24")
    # The mean of four pixels as their colour; bilinear would take it from twice as many lines and smear it (findings).
    return frame.reformat(
        format=form,
        dst_colorspace=target,
        interpolation=Interpolation.AREA,
        dst_color_range=ColorRange.MPEG,
        threads=1,
    )


def tag(context: Any, height: int) -> None:
    """Write the colour metadata of `coded` for pictures of `height` lines into an encoder's context."""
    number = _BT709 if height >= HD_LINES else _SMPTE170M
    context.colorspace, context.color_primaries, context.color_trc = number, number, number
    context.color_range = _LIMITED
