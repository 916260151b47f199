"""Random frames, sizes and moving crops of long clips with tracks, for training.

Everything is drawn once a clip, so that its frames still belong together (Guo et al., CVPR 2025;
docs/reference/datasets.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from avseg.config import InputSpec
from avseg.data.framing import FrameChooser
from avseg.data.geometry import Geometry
from avseg.types import Clip, InstanceTarget, Rle, Target, TrackTarget


@dataclass(frozen=True)
class SomeFrames(FrameChooser):
    """Keep `count` frames of a neighbourhood, in their order; `make_loader` draws them first and reads no other.

    One is drawn among all, the others among those at most `reach` away from it, each once where there are enough.
    Where there are not, all of them are kept and some are drawn twice, so that a clip always has `count` frames.
    """

    count: int = 5
    reach: int = 20
    replacement: bool = False
    """The others are drawn with replacement, as published: a frame may come twice in any clip."""

    def __post_init__(self) -> None:
        if self.count < 1 or self.reach < 0:
            raise ValueError(
                f"got {self.count} frames within {self.reach}, wanted at least one frame and a reach of 0 or more "
                "(--data.clip-frames, --data.reach)"
            )

    def choose(self, annotated: Sequence[int], generator: torch.Generator, length: int = 0) -> list[int]:
        """`count` of the numbers, ascending, however many frames there are beside."""
        middle = int(torch.randint(len(annotated), (), generator=generator))
        first, last = max(middle - self.reach, 0), min(middle + self.reach, len(annotated) - 1)
        others = [place for place in range(first, last + 1) if place != middle] or [middle]
        wanted = self.count - 1
        once = [] if self.replacement else torch.randperm(len(others), generator=generator)[:wanted].tolist()
        again = torch.randint(len(others), (wanted - len(once),), generator=generator).tolist()
        return sorted(annotated[place] for place in [middle, *(others[i] for i in (*once, *again))])


@dataclass(frozen=True)
class Rasterise:
    """Truth as masks instead of run lengths, of the tracks that are not silent throughout."""

    def __call__(self, clip: Clip, generator: torch.Generator | None = None) -> Clip:
        """Nothing is random here; `generator` is for the sake of the type `Transform`."""
        if not isinstance(clip.target, TrackTarget):
            return clip
        return replace(clip, target=as_masks(clip.target))


@dataclass(frozen=True)
class SeenTracks:
    """Truth without the instances that are in no frame (any more)."""

    def __call__(self, clip: Clip, generator: torch.Generator | None = None) -> Clip:
        target = clip.target
        if not isinstance(target, InstanceTarget):
            return clip
        # Not torch's any, which is several times slower.
        seen = torch.from_numpy(target.masks.numpy().any((1, 2, 3)))
        if seen.all():
            return clip
        masks, classes, ids = target.masks[seen], target.classes[seen], target.track_ids[seen]
        return replace(clip, target=InstanceTarget(masks, classes, ids, target.annotated))


@dataclass(frozen=True)
class ShorterSide:
    """Size the shorter side to one of a list (bilinear), the longer one to `longest` at most."""

    sides: tuple[int, ...]
    longest: int

    def __post_init__(self) -> None:
        if not self.sides or min(self.sides) < 1 or self.longest < 1:
            raise ValueError(
                f"shorter sides are {self.sides} and the longest side is {self.longest}, "
                "wanted sizes in pixels (--data.sides, "
                "--data.longest)"
            )

    def __call__(self, clip: Clip, generator: torch.Generator) -> Clip:
        side = self.sides[int(torch.randint(len(self.sides), (), generator=generator))]
        return Geometry(InputSpec((side, side), rule="shorter_side", longest=self.longest))(clip)


@dataclass(frozen=True)
class MovingCrop:
    """With a probability, size the clip and cut a part out whose place moves along a line from frame to frame.

    Height and width of the part are drawn between `least` and `most` pixels (no more than there are); it moves
    downwards and to the right, or, half of the time, the other way; how far at each frame is drawn too.
    """

    probability: float = 0.5
    resize: ShorterSide = ShorterSide((400, 500, 600), 1333)
    least: int = 384
    most: int = 600

    def __call__(self, clip: Clip, generator: torch.Generator) -> Clip:
        if torch.rand((), generator=generator).item() >= self.probability:
            return clip
        clip = self.resize(clip, generator)
        sides = clip.frames.shape[-2], clip.frames.shape[-1]
        parts = [_integer(min(side, self.least), min(side, self.most), generator) for side in sides]
        starts = [_integer(0, side - part, generator) for side, part in zip(sides, parts, strict=True)]
        ends = [_integer(start, side - part, generator) for start, side, part in zip(starts, sides, parts, strict=True)]
        share = torch.rand(len(clip.frames), generator=generator, dtype=torch.float64).sort().values
        if torch.rand((), generator=generator).item() < 0.5:
            share = share.flip(0)
        tops, lefts = (
            (start * share + end * (1 - share)).round().long().tolist() for start, end in zip(starts, ends, strict=True)
        )
        windows = [
            (slice(top, top + parts[0]), slice(left, left + parts[1])) for top, left in zip(tops, lefts, strict=True)
        ]
        frames = torch.stack([clip.frames[frame, :, rows, columns] for frame, (rows, columns) in enumerate(windows)])
        return replace(clip, frames=frames, target=_cut(clip.target, windows), output_size=(parts[0], parts[1]))


def as_masks(target: TrackTarget) -> InstanceTarget:
    """The tracks that have a mask in some frame, as masks (N, T, H, W)."""
    kept = [number for number, track in enumerate(target.masks) if any(mask is not None for mask in track)]
    places = torch.tensor(kept, dtype=torch.int64)
    masks = torch.zeros(len(kept), len(target.annotated), *reversed(target.size), dtype=torch.bool)
    for row, number in enumerate(kept):
        _fill(masks[row], target.masks[number])
    # Run lengths go down the columns, and so do these masks in memory.
    return InstanceTarget(masks.transpose(-1, -2), target.classes[places], target.track_ids[places], target.annotated)


def _fill(track: Tensor, masks: Sequence[Rle | None]) -> None:
    """Write masks into the frames of `track` (T, W, H), those of run lengths."""
    from pycocotools import mask as coco

    for frame, mask in zip(track, masks, strict=True):
        if mask is not None:
            frame.numpy()[...] = coco.decode(mask).T.view(np.bool_)


def _integer(least: int, most: int, generator: torch.Generator) -> int:
    """One of least, ..., most."""
    return int(torch.randint(least, most + 1, (), generator=generator))


def _cut(target: Target | None, windows: Sequence[tuple[slice, slice]]) -> Target | None:
    if isinstance(target, InstanceTarget):
        parts = [target.masks[:, frame, rows, columns] for frame, (rows, columns) in enumerate(windows)]
        return replace(target, masks=torch.stack(parts, 1))
    if isinstance(target, TrackTarget):
        raise ValueError("ground truth as run lengths cannot be cropped; select frames first (augment some_frames)")
    if target is not None:
        labels = [target.labels[frame, rows, columns] for frame, (rows, columns) in enumerate(windows)]
        return replace(target, labels=torch.stack(labels))
    return None
