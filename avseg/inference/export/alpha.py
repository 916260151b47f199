"""The video with silent regions transparent, for compositing."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from avseg.inference.export.kinds import kinds
from avseg.inference.export.overlay import PaintedWriter
from avseg.inference.export.writer import Picture, Subject
from avseg.inference.records import FrameResult
from avseg.io.video_writer import PRORES_4444, VP9_ALPHA, Coding


class CutOut:
    """The masks of a frame as an alpha channel; hidden pixels keep their colours, so that edges look right."""

    def __init__(self, frame: FrameResult) -> None:
        self._opacity: NDArray[np.uint8] = np.where(frame.mask, 255, 0).astype(np.uint8)

    def on(self, picture: Picture) -> Picture:
        """Return (H, W, 4) RGBA from (H, W, 3)."""
        return np.dstack([picture, self._opacity])


class AlphaWriter(PaintedWriter):
    """Writes a video with alpha; `kind` is the name of the output, `coding` its codec."""

    def __init__(self, kind: str, coding: Coding, subject: Subject) -> None:
        super().__init__(subject, kinds()[kind].file, CutOut, coding)


MovWriter = partial(AlphaWriter, "alpha:mov", PRORES_4444)
WebmWriter = partial(AlphaWriter, "alpha:webm", VP9_ALPHA)
