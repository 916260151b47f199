"""Random frames, scales and crops of a clip for training."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from avseg.config import InputSpec
from avseg.data.geometry import Geometry
from avseg.datasets.spec import Recount
from avseg.types import IGNORE, Clip, DenseTarget, InstanceTarget, Target

FILL = (123, 116, 103)
"""The mean colour of ImageNet in 8 bit, which pads pictures smaller than the crop."""


class FrameChooser(ABC):
    """A transform that keeps some frames of a clip, and knows which before the clip is read."""

    @abstractmethod
    def choose(self, annotated: Sequence[int], generator: torch.Generator, length: int) -> list[int]:
        """Numbers of frames of a clip that has `length`, some of them with labels."""

    def __call__(self, clip: Clip, generator: torch.Generator) -> Clip:
        """The clip of the chosen frames."""
        return clip.take(self.choose(annotated_frames(clip), generator, len(clip.frames)))


@dataclass(frozen=True)
class OneFrame(FrameChooser):
    """Keep one frame, drawn among those with labels; `make_loader` draws it first and reads no other."""

    def choose(self, annotated: Sequence[int], generator: torch.Generator, length: int = 0) -> list[int]:
        """One of the numbers, however many frames there are beside."""
        return [annotated[int(torch.randint(len(annotated), (), generator=generator))]]


@dataclass(frozen=True)
class Window(FrameChooser):
    """Keep `count` frames that follow each other, one with labels among them; `make_loader` reads no other.

    A clip of no more frames stays whole. Frames that are not a second apart would not get the sound of their own
    second from windows that run through the clip (`AudioWindow.anchor`).
    """

    count: int = 5

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"the window has {self.count} frames, wanted at least one (--data.clip-frames)")

    def choose(self, annotated: Sequence[int], generator: torch.Generator, length: int) -> list[int]:
        """Numbers of frames, ascending; every window that shows a label is as likely as any other."""
        count = min(self.count, length)
        starts = [k for k in range(length - count + 1) if any(k <= frame < k + count for frame in annotated)]
        first = starts[int(torch.randint(len(starts), (), generator=generator))]
        return list(range(first, first + count))


def annotated_frames(clip: Clip) -> list[int]:
    """Return the annotated frames of a clip.

    Raises:
        ValueError: there are none.
    """
    if clip.target is None or not clip.target.annotated.any():
        raise ValueError(
            f"clip {clip.id!r} has no annotated frame; remove the augmentation that selects frames (augment)"
        )
    frames: list[int] = clip.target.annotated.nonzero().flatten().tolist()
    return frames


@dataclass(frozen=True)
class RandomScale:
    """Size picture (bicubic) and labels (nearest) by one factor of a list; both sides are cut to whole pixels."""

    scales: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.scales or min(self.scales) <= 0:
            raise ValueError(f"scales is {self.scales}, wanted one or more factors above 0 (--data.scales)")

    def __call__(self, clip: Clip, generator: torch.Generator) -> Clip:
        scale = self.scales[int(torch.randint(len(self.scales), (), generator=generator))]
        height, width = (max(1, int(side * scale)) for side in clip.frames.shape[-2:])
        return Geometry(InputSpec((height, width), interpolation="bicubic"))(clip)


@dataclass(frozen=True)
class Resize:
    """The network's size by its own rule, wherever this stands among the others."""

    spec: InputSpec
    recount: Recount = "keep"

    def __call__(self, clip: Clip, generator: torch.Generator) -> Clip:
        sized = Geometry(self.spec)(clip)
        return replace(sized, target=recounted(sized.target, self.recount))


@dataclass(frozen=True)
class RandomCrop:
    """A part of `size` (H, W) at a random place; smaller pictures are filled up on the right and below."""

    size: tuple[int, int]
    recount: Recount = "keep"

    def __call__(self, clip: Clip, generator: torch.Generator) -> Clip:
        (height, width), wanted = clip.frames.shape[-2:], self.size
        top, left = (
            int(torch.randint(max(0, side - part) + 1, (), generator=generator))
            for side, part in zip((height, width), wanted, strict=True)
        )
        window = (slice(top, top + wanted[0]), slice(left, left + wanted[1]))
        colour = torch.tensor(FILL, dtype=torch.uint8)[:, None, None]
        frames = colour.repeat(len(clip.frames), 1, *wanted).reshape(-1, 3, *wanted)
        part = clip.frames[..., window[0], window[1]]
        frames[..., : part.shape[-2], : part.shape[-1]] = part
        target = recounted(_cropped(clip.target, window, wanted), self.recount)
        return replace(clip, frames=frames, target=target, output_size=wanted)


def recounted(target: Target | None, rule: Recount) -> Target | None:
    """The truth with `sounding` of what its annotated labels show now."""
    if not isinstance(target, DenseTarget) or target.sounding is None or rule == "keep":
        return target
    if rule == "labels":
        # 255 falls on a class of its own, behind the others.
        classes = target.sounding.shape[1] + 1
        seen = target.labels.clamp(max=classes).flatten(1)  # (T, H * W)
        shown = torch.stack([frame.bincount(minlength=classes + 1)[1:classes] > 0 for frame in seen])
    else:
        foreground = ((target.labels > 0) & (target.labels != IGNORE)).flatten(1).any(1, keepdim=True)
        shown = target.sounding & foreground
    return replace(target, sounding=torch.where(target.annotated[:, None], shown, target.sounding))


def _cropped(target: Target | None, window: tuple[slice, slice], size: tuple[int, int]) -> Target | None:
    if isinstance(target, DenseTarget):
        return replace(target, labels=_filled(target.labels[:, window[0], window[1]], size, IGNORE))
    if isinstance(target, InstanceTarget):
        return replace(target, masks=_filled(target.masks[..., window[0], window[1]], size, False))
    return None


def _filled(maps: Tensor, size: tuple[int, int], value: int | bool) -> Tensor:
    return F.pad(maps, (0, size[1] - maps.shape[-1], 0, size[0] - maps.shape[-2]), value=value)
