"""How a stored picture is turned before it is shown."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Orientation(NamedTuple):
    """How the stored picture is turned before it is shown: transposed first, then mirrored."""

    transpose: bool = False
    mirror: bool = False
    """Left and right change places."""
    upturn: bool = False
    """Top and bottom change places."""

    def apply(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(H, W, 3) as stored to (H', W', 3) as shown, contiguous."""
        if self.transpose:
            picture = picture.transpose(1, 0, 2)
        if self.mirror:
            picture = picture[:, ::-1]
        if self.upturn:
            picture = picture[::-1]
        return np.ascontiguousarray(picture)


def orientation_of(frame: Any) -> Orientation:
    """The quarter turn and mirroring that a frame's display matrix asks for.

    The matrix takes (x, y) to (a x + c y, b x + d y); other angles go to the nearest quarter.
    """
    a, b, c, d = _matrix_of(frame)
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Orientation(False, a < 0, d < 0)
    return Orientation(True, c < 0, b < 0)


def _matrix_of(frame: Any) -> tuple[float, float, float, float]:
    """a, b, c and d of its display matrix."""
    try:
        held = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:
        # PyAV opens none of a frame's data where it knows the kind of one of them not (EXIF, views of a stereo
        # picture); it still tells by how many degrees the frame is turned, but not whether it is mirrored.
        cosine, sine = math.cos(math.radians(frame.rotation)), math.sin(math.radians(frame.rotation))
        return cosine, -sine, sine, cosine
    if held is None:
        return 1.0, 0.0, 0.0, 1.0
    a, b, _, c, d = np.frombuffer(held, dtype=np.int32)[:5].tolist()
    return a, b, c, d
