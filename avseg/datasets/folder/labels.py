"""Label maps and tracks of the frames of one video."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from avseg.datasets.folder.records import AnnotationError, Area, FolderVideo, LabelledFrame
from avseg.io.image import read_index
from avseg.io.rle import area, decode, encode
from avseg.io.segmentation import from_segmentation
from avseg.types import IGNORE, Rle, TrackTarget

Size = tuple[int, int]
OVERLAP = 0.05
"""Share of the smaller of two areas of different classes that both may claim; the later one has it."""


@dataclass(frozen=True)
class Labels:
    """The labels of one video, read frame by frame."""

    video: FolderVideo
    classes: tuple[str, ...]
    binary: bool
    size: Size

    def map(self, place: int) -> NDArray[np.uint8]:
        """(H, W) class ids of a labelled frame; 0 and 1 where binary, 255 where pixels are not judged.

        Raises:
            ValueError: a picture of another size, a value of no class, areas that are no masks or that claim the same
                pixels.
        """
        frame = self.video.labels.frames[place]
        codes = self._picture(frame) if frame.labels is not None else self._drawn(frame)
        if self.binary:
            ignored = (codes == IGNORE) & self.video.labels.named
            return np.where(ignored, IGNORE, codes > 0).astype(np.uint8)
        return codes

    def roster(self, places: Sequence[int]) -> dict[int, int]:
        """Class id by the number of each object that is seen in some of the labelled frames, in the order of numbers.

        Raises:
            ValueError: as `map`, or an object of two classes.
        """
        found: dict[int, str] = {}
        for place in places:
            for track, label, _ in self._objects(self.video.labels.frames[place]):
                if found.setdefault(track, label) != label:
                    raise AnnotationError(
                        f"{self.video.labels.source}: the object {track} is {found[track]!r} and {label!r}; an object "
                        "has one class"
                    )
        return {track: self.classes.index(found[track]) + 1 for track in sorted(found)}

    def tracks(self, places: Sequence[int], roster: Mapping[int, int]) -> TrackTarget:
        """The objects of a roster in some labelled frames.

        Raises:
            ValueError: as `map`.
        """
        rows: dict[int, list[Rle | None]] = {track: [None] * len(places) for track in roster}
        for number, place in enumerate(places):
            for track, _, mask in self._objects(self.video.labels.frames[place]):
                rows[track][number] = mask
        return TrackTarget(
            masks=list(rows.values()),
            classes=torch.tensor(list(roster.values()), dtype=torch.int64),
            track_ids=torch.tensor(list(roster), dtype=torch.int64),
            annotated=torch.ones(len(places), dtype=torch.bool),
            size=self.size,
        )

    def _picture(self, frame: LabelledFrame) -> NDArray[np.uint8]:
        assert frame.labels is not None
        values: NDArray[np.uint8] = read_index(frame.labels).numpy()
        if values.shape != self.size:
            raise ValueError(
                f"the mask {frame.labels} is {values.shape[0]} high and {values.shape[1]} wide, but its "
                f"video is {self.size[0]} and {self.size[1]}; they must agree"
            )
        if not self.video.labels.named:
            return values
        names = self.video.labels.names or dict(enumerate(self.classes, start=1))
        table = np.zeros(256, np.int64)
        table[list(names)] = [self.classes.index(name) + 1 for name in names.values()]
        table[IGNORE] = IGNORE
        unknown = [
            value for value in np.flatnonzero(np.bincount(values.ravel())).tolist() if value and not table[value]
        ]
        if unknown:
            raise ValueError(self._unknown(frame, unknown[0], len(names)))
        return table[values].astype(np.uint8)

    def _unknown(self, frame: LabelledFrame, value: int, names: int) -> str:
        if self.video.labels.names:
            return f"the mask {frame.labels} holds {value}, which its result.json does not name; correct one of them"
        count = f"{names} name{'s' * (names != 1)}"
        return f"the mask {frame.labels} holds {value}, but classes.txt has {count}; add one there or correct the mask"

    def _drawn(self, frame: LabelledFrame) -> NDArray[np.uint8]:
        """Class ids of areas, later and higher ones on top."""
        codes = np.zeros(self.size, np.uint8)
        orders = np.zeros(self.size, np.int64)
        for one in sorted(frame.areas, key=lambda one: one.order):
            mask, code = decode(self._mask(frame, one)), self.classes.index(one.label) + 1
            taken = mask & (codes > 0) & (codes != code) & (orders == one.order)
            if taken.any():
                other = int(codes[taken][0])
                least = min(int(mask.sum()), int((codes == other).sum()))
                if int((taken & (codes == other)).sum()) > OVERLAP * least:
                    raise AnnotationError(
                        f"{self.video.labels.source}, {frame.when}: {self.classes[other - 1]!r} and {one.label!r} "
                        "cover the same pixels; make their shapes separate"
                    )
            codes[mask], orders[mask] = code, one.order
        return codes

    def _objects(self, frame: LabelledFrame) -> list[tuple[int, str, Rle]]:
        """(number of the object, class, mask) of a frame."""
        if frame.labels is None:
            return self._merged(frame)
        values = read_index(frame.labels).numpy()
        self._picture(frame)
        names = self.video.labels.names
        found = [value for value in np.unique(values).tolist() if value not in (0, IGNORE)]
        return [(value, names[value], encode(values == value)) for value in found]

    def _merged(self, frame: LabelledFrame) -> list[tuple[int, str, Rle]]:
        """Areas of one object in one frame are one mask."""
        masks: dict[int, tuple[str, Rle]] = {}
        for one in frame.areas:
            assert one.track is not None
            mask = self._mask(frame, one)
            if one.track in masks:
                mask = encode(decode(mask) | decode(masks[one.track][1]))
            if area(mask):
                masks[one.track] = (one.label, mask)
        return [(track, label, mask) for track, (label, mask) in masks.items()]

    def _mask(self, frame: LabelledFrame, one: Area) -> Rle:
        where = f"{self.video.labels.source}, {frame.when}"
        if frame.size is not None and frame.size != self.size:
            raise AnnotationError(
                f"{where}: the labels are for {frame.size[0]} x {frame.size[1]} pixels (height x width), but the "
                f"video has {self.size[0]} x {self.size[1]}; export them at its size"
            )
        segmentation = one.segmentation(self.size) if callable(one.segmentation) else one.segmentation
        try:
            rle = from_segmentation(segmentation, self.size)
        except ValueError as error:
            raise AnnotationError(f"{where}: {error}") from error
        return encode(np.zeros(self.size, np.uint8)) if rle is None else rle
