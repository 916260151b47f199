"""Transforms see picture, sound and truth of a clip together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import torch
from torch import Tensor

from avseg.config import InputSpec, did_you_mean
from avseg.data.config import DataConfig
from avseg.data.geometry import Geometry as Geometry
from avseg.types import IGNORE, Clip, DenseTarget, InstanceTarget, Target

Transform: TypeAlias = Callable[[Clip, torch.Generator], Clip]

PROTOCOLS = ("published", "repaired", "cavp")


def train_transforms(config: DataConfig, spec: InputSpec) -> list[Transform]:
    """Geometry of the published training, labels on the grid of the frames; then what `config.augment` names.

    AVSS: shorter side, then centre crop. The others: the rule of `spec` (their files have its size already).
    """
    geometry = Geometry(spec, crop=config.name == "avss")
    return [geometry, *(AUGMENTATIONS[name]() for name in config.augment)]


def eval_transforms(config: DataConfig, spec: InputSpec, protocol: str = "published") -> list[Transform]:
    """Frames sized by the rule of `spec`; truth as annotated, and predictions wanted back at its size.

    Only the published protocol of AVSS scores labels resized to the network's input.

    Raises:
        ValueError: an unknown protocol.
    """
    if protocol not in PROTOCOLS:
        raise ValueError(f"no protocol is called {protocol!r}; {did_you_mean(protocol, PROTOCOLS)}")
    return [Geometry(spec, resize_labels=config.name == "avss" and protocol == "published")]


def apply(transforms: Sequence[Transform], clip: Clip, generator: torch.Generator) -> Clip:
    """All transforms in turn, drawing from one generator."""
    for transform in transforms:
        clip = transform(clip, generator)
    return clip


@dataclass(frozen=True)
class HorizontalFlip:
    """Mirror picture and truth, and swap left and right of stereo sound, with a probability."""

    probability: float = 0.5

    def __call__(self, clip: Clip, generator: torch.Generator) -> Clip:
        if torch.rand((), generator=generator).item() >= self.probability:
            return clip
        return replace(clip, frames=clip.frames.flip(-1), audio=clip.audio.flip(0), target=_mirrored(clip.target))


@dataclass(frozen=True)
class ColourJitter:
    """Brightness, contrast and saturation, drawn once a clip so that a video does not flicker."""

    strength: float = 0.3
    """Each factor is drawn from 1 - strength to 1 + strength."""

    def __call__(self, clip: Clip, generator: torch.Generator) -> Clip:
        brightness, contrast, saturation = 1 + self.strength * (2 * torch.rand(3, generator=generator) - 1)
        frames = clip.frames.float() * brightness
        frames = _blend(frames, frames.mean((-3, -2, -1), keepdim=True), contrast)
        frames = _blend(frames, frames.mean(-3, keepdim=True), saturation)
        return replace(clip, frames=frames.round().clamp(0, 255).to(torch.uint8))


@dataclass(frozen=True)
class Mute:
    """Silence in place of a clip's sound, with a probability: then nothing sounds. Teaches that sound is needed."""

    probability: float = 0.1

    def __call__(self, clip: Clip, generator: torch.Generator) -> Clip:
        if clip.audio_features is not None:
            raise ValueError(
                f"clip {clip.id!r} came with audio features, which cannot be muted; read its sound instead"
            )
        if torch.rand((), generator=generator).item() >= self.probability:
            return clip
        return replace(clip, audio=torch.zeros_like(clip.audio), target=_silent(clip.target))


AUGMENTATIONS: dict[str, Callable[[], Transform]] = {"flip": HorizontalFlip, "colour": ColourJitter, "mute": Mute}
"""What `DataConfig.augment` may name."""


def _blend(frames: Tensor, plain: Tensor, share: Tensor) -> Tensor:
    return plain + (frames - plain) * share


def _mirrored(target: Target | None) -> Target | None:
    if isinstance(target, DenseTarget):
        return replace(target, labels=target.labels.flip(-1))
    if isinstance(target, InstanceTarget):
        return replace(target, masks=target.masks.flip(-1))
    return None


def _silent(target: Target | None) -> Target | None:
    """The truth without sound; pixels that are not judged stay so."""
    if isinstance(target, DenseTarget):
        labels = torch.where(target.labels == IGNORE, target.labels, 0)
        return DenseTarget(labels, target.annotated, None if target.sounding is None else target.sounding & False)
    if isinstance(target, InstanceTarget):
        return replace(target, masks=target.masks & False)
    return None
