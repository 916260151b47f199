"""The video with all that is silent transparent, to be laid over something else."""

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
    """The masks of a frame as opacity; the colours below stay, so that edges keep theirs."""

    def __init__(self, frame: FrameResult) -> None:
        self._opacity: NDArray[np.uint8] = np.where(frame.mask, 255, 0).astype(np.uint8)

    def on(self, picture: Picture) -> Picture:
        """(H, W, 4) RGBA of (H, W, 3)."""
        return np.dstack([picture, self._opacity])


class AlphaWriter(PaintedWriter):
    """A video with alpha; `kind` says under which name it is known, `coding` how it is coded."""

    def __init__(self, kind: str, coding: Coding, subject: Subject) -> None:
        super().__init__(subject, kinds()[kind].file, CutOut, coding)


MovWriter = partial(AlphaWriter, "alpha:mov", PRORES_4444)
WebmWriter = partial(AlphaWriter, "alpha:webm", VP9_ALPHA)
