"""Parts of zero-shot models that need no weights, and a model of them; registered as the kind `stub`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from avseg.models.zeroshot.catalogue import FINDERS, FOLLOWERS, TAGGERS, FinderSpec, FollowerSpec, TaggerSpec
from avseg.models.zeroshot.config import Part, ZeroShotConfig
from avseg.models.zeroshot.model import Stages, ZeroShot
from avseg.models.zeroshot.parts import Found, Seen
from avseg.types import Task

STUB = Part("stub")
STUBS: dict[str, Any] = {"tagger": STUB, "finder": STUB, "follower": STUB}


class LoudTagger:
    """Every word is as probable as the window is loud: root mean square, doubled."""

    def __init__(self, part: Part, config: ZeroShotConfig, device: torch.device) -> None:
        self.labels = config.vocabulary

    def tags(self, windows: Tensor) -> Tensor:
        loud = (windows.square().mean(1).sqrt() * 2).clamp(max=1)
        return loud[:, None].repeat(1, len(self.labels))


class BrightFinder:
    """The box around the pixels of a picture that are brighter than its mean, for every noun, with score 0.9 less 0.1
    for each noun before it."""

    def __init__(self, part: Part, config: ZeroShotConfig, device: torch.device) -> None:
        self.calls: list[tuple[str, ...]] = []

    def find(self, frames: Tensor, nouns: Sequence[str]) -> list[list[Found]]:
        self.calls.append(tuple(nouns))
        height, width = frames.shape[-2:]
        return [
            [Found(k, 0.9 - 0.1 * k, (0.0, 0.0, width / (k + 2), height / 2)) for k in range(min(len(nouns), 6))]
            for _ in frames
        ]


class BoxFollower:
    """The box of the prompt, in every picture; (16, 16) logits whose size tells the mean of the picture."""

    def __init__(self, part: Part, config: ZeroShotConfig, device: torch.device) -> None:
        self.opened: list[BoxFollowing] = []

    def open(self, size: tuple[int, int]) -> BoxFollowing:
        self.opened.append(BoxFollowing(size))
        return self.opened[-1]


@dataclass(eq=False)
class BoxFollowing:
    size: tuple[int, int]
    boxes: dict[int, tuple[float, ...]] = field(default_factory=dict)
    frame: Tensor | None = None
    seen: int = 0

    def see(self, frame: Tensor, nouns: Sequence[str]) -> dict[int, Seen]:
        self.frame, self.seen = frame, self.seen + 1
        return {number: self._drawn(frame, box) for number, box in self.boxes.items()}

    def start(self, track: int, found: Found) -> Seen:
        assert self.frame is not None
        self.boxes[track] = found.box
        return self._drawn(self.frame, found.box)

    def drop(self, track: int) -> None:
        del self.boxes[track]

    def back(self, frames: Sequence[Tensor], found: Found) -> list[Seen]:
        return [self._drawn(frame, found.box) for frame in frames]

    def _drawn(self, frame: Tensor, box: tuple[float, ...]) -> Seen:
        logits = torch.full((16, 16), -1.0 - float(frame.float().mean()) / 255)
        left, top, right, bottom = (
            round(side * 16 / of) for side, of in zip(box, (*self.size[::-1],) * 2, strict=True)
        )
        logits[top:bottom, left:right] *= -1
        return Seen(logits, bool((logits > 0).any()))


def register() -> None:
    """Add the kind `stub`; the second time changes nothing."""
    here = __name__
    TAGGERS.add(
        "stub", TaggerSpec(adapter=f"{here}:LoudTagger", any_words=True, needs="", seconds=1.0, on=0.1, off=0.05)
    )
    FINDERS.add("stub", FinderSpec(adapter=f"{here}:BrightFinder", needs=""))
    FOLLOWERS.add("stub", FollowerSpec(adapter=f"{here}:BoxFollower", needs=""))


register()


Segment = Callable[[Tensor], Mapping[int, list[Tensor]]]
"""Of a picture (3, H, W): masks (H, W) bool by class id 1..K."""


@dataclass(eq=False)
class SegmentFinder:
    """All masks of the classes that are asked for, with their boxes."""

    segment: Segment
    classes: tuple[str, ...]

    def find(self, frames: Tensor, nouns: Sequence[str]) -> list[list[Found]]:
        found = []
        for frame in frames:
            masks = self.segment(frame)
            asked = [(k, mask) for k, noun in enumerate(nouns) for mask in masks.get(self.classes.index(noun) + 1, [])]
            found.append([Found(k, 0.9, box_of(mask), mask) for k, mask in asked if bool(mask.any())])
        return found


@dataclass(eq=False)
class Linker:
    """Follows by segmenting each picture anew: of the masks the one that overlaps, else the one nearest."""

    segment: Segment
    finds = False

    def open(self, size: tuple[int, int]) -> LinkedMasks:
        return LinkedMasks(self.segment)


@dataclass(eq=False)
class LinkedMasks:
    segment: Segment
    last: dict[int, tuple[int, Tensor]] = field(default_factory=dict)
    """Class and mask by track."""
    masks: Mapping[int, list[Tensor]] = field(default_factory=dict)

    def see(self, frame: Tensor, nouns: Sequence[str]) -> dict[int, Seen]:
        self.masks = self.segment(frame)
        found = {}
        for number, (kind, mask) in self.last.items():
            near = _nearest(mask, self.masks.get(kind, []))
            found[number] = _seen(near, mask)
            if near is not None:
                self.last[number] = (kind, near)
        return found

    def start(self, track: int, found: Found) -> Seen:
        assert found.mask is not None
        kind = next(k for k, masks in self.masks.items() if any(torch.equal(mask, found.mask) for mask in masks))
        self.last[track] = (kind, found.mask)
        return _seen(found.mask, found.mask)

    def drop(self, track: int) -> None:
        del self.last[track]

    def back(self, frames: Sequence[Tensor], found: Found) -> list[Seen]:
        own = LinkedMasks(self.segment)
        own.see(frames[0], ())
        return [own.start(1, found), *(own.see(frame, ())[1] for frame in frames[1:])]


def _seen(mask: Tensor | None, like: Tensor) -> Seen:
    inside = torch.zeros_like(like) if mask is None else mask
    return Seen(torch.where(inside, 4.0, -4.0), bool(inside.any()))


def _nearest(mask: Tensor, others: Sequence[Tensor]) -> Tensor | None:
    there = [other for other in others if bool(other.any())]
    middle = np.mean(np.nonzero(mask.numpy()), 1)
    return min(
        there,
        key=lambda o: (-int((o & mask).sum()), float(np.linalg.norm(np.mean(np.nonzero(o.numpy()), 1) - middle))),
        default=None,
    )


def box_of(mask: Tensor) -> tuple[float, float, float, float]:
    rows, columns = mask.any(1).nonzero()[:, 0], mask.any(0).nonzero()[:, 0]
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def stub_model(task: Task, **changes: Any) -> ZeroShot:
    """A model of stubs."""
    return ZeroShot(ZeroShotConfig(**{**STUBS, **changes}), task)


def with_stages(task: Task, tagger: Any, finder: Any, follower: Any, **changes: Any) -> ZeroShot:
    """A model of the given parts, which listens for the classes of the task or its vocabulary."""
    return stub_model(task, **changes).use(Stages(tagger, finder, follower))
