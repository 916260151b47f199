"""Clips of any data set in the layout of S4, for `avseg data convert`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from avseg.data.tables import is_plain
from avseg.datasets.avsbench.layout import s4_table, save_s4_files
from avseg.datasets.avsbench.reader import FRAMES
from avseg.datasets.pieces import annotated_of, codes_of, need_seconds, pieces_of, refuse_ignored
from avseg.types import Clip, Task

NO_CATEGORY = "sounding"


class S4Writer:
    """Five frames a clip, and binary masks: every class and every track is foreground.

    Of training clips the layout holds the mask of the first frame alone.
    """

    def __init__(self, root: Path, task: Task) -> None:
        self.root, self.task = root, task
        self.rows: list[tuple[str, int, str, str]] = []

    def add(self, split: str, clip: Clip) -> tuple[int, str]:
        """Write the pieces of a clip.

        Raises:
            ValueError: another rate than one frame a second, or pixels that are not judged.
        """
        need_seconds(clip, "s4")
        written, reason = 0, "fewer than five frames" if len(clip.frames) < FRAMES else ""
        for name, piece in pieces_of(clip, FRAMES):
            annotated = annotated_of(piece)
            if not annotated[0] or (split != "train" and not all(annotated)):
                reason = "pieces without the labels that the layout needs (train: first frame, val and test: all)"
                continue
            codes = codes_of(piece, binary=True)
            refuse_ignored(piece, codes, "s4")
            category = self._category(piece)
            masks = codes[: 1 if split == "train" else FRAMES] > 0
            save_s4_files(self.root, Path(split, category), name, piece, masks)
            self.rows.append((name, 0, category, split))
            written += 1
        return written, reason

    def finish(self) -> None:
        """Write the table."""
        s4_table(self.root, self.rows)

    def _category(self, piece: Clip) -> str:
        """The class that most of the picture shows."""
        if not self.task.classes:
            return NO_CATEGORY
        counts = Counter(codes_of(piece).ravel().tolist())
        shown = [label for label, _ in counts.most_common() if 0 < label <= len(self.task.classes)]
        name = self.task.classes[shown[0] - 1].replace("/", "-") if shown else NO_CATEGORY
        return name if is_plain(name) else NO_CATEGORY
