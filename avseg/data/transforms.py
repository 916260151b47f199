"""Transforms see picture, sound and truth of a clip together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import torch
from torch import Tensor

from avseg.config import InputSpec, did_you_mean
from avseg.data.affine import RandomAffine
from avseg.data.config import DataConfig
from avseg.data.framing import FrameChooser, OneFrame, RandomCrop, RandomScale, Resize, Window
from avseg.data.geometry import Geometry as Geometry
from avseg.data.jitter import Jitter, Photometric
from avseg.data.tracks import MovingCrop, Rasterise, SeenTracks, ShorterSide, SomeFrames
from avseg.datasets import own_config, spec_of
from avseg.datasets.spec import Recount
from avseg.metrics import judged_size, known_protocols
from avseg.types import IGNORE, Clip, DenseTarget, InstanceTarget, Target, TrackTarget

Transform: TypeAlias = Callable[[Clip, torch.Generator], Clip]


def train_transforms(config: DataConfig, spec: InputSpec) -> list[Transform]:
    """Return the transforms in `config.augment`, in its order; labels stay aligned with the frames.

    Where it names none of `size`, `crop` and `shorter_side`, the geometry of the published training of TPAVI comes
    first: the rule of `spec`, or (`DatasetSpec.training_crop`) shorter side, then centre crop.
    Behind `some_frames` run lengths become masks, and instances that are left in no frame go.

    Raises:
        ValueError: an option of another data set.
    """
    config = own_config(config)
    stages: list[Transform] = []
    for name in config.augment:
        stages.append(AUGMENTATIONS[name](config, spec))
        stages += [Rasterise()] if name == "some_frames" else []
    if not SIZING & set(config.augment):
        # Behind leading draws of frames, so that a loader makes them before it reads.
        draws = [isinstance(stage, (FrameChooser, Rasterise)) for stage in stages]
        begin = [*draws, False].index(False)
        stages.insert(begin, Geometry(spec, crop=spec_of(config).training_crop))
    return [*stages, SeenTracks()] if "some_frames" in config.augment else stages


def eval_transforms(config: DataConfig, spec: InputSpec, protocol: str = "published") -> list[Transform]:
    """Frames sized by the rule of `spec`; truth as annotated, and predictions wanted back at its size.

    `config.labels_at` says where that is, or by itself ("auto") the protocol, where it has a size, else the record of
    the data set.

    Raises:
        ValueError: an unknown protocol.
    """
    if protocol not in known_protocols():
        raise ValueError(f"there is no protocol {protocol!r}; {did_you_mean(protocol, known_protocols())}")
    size = judged_size(protocol)
    if size is not None and config.labels_at == "auto":
        return [Geometry(spec, labels_size=size)]
    own = spec_of(config).labels_at.get(protocol, "file")
    return [Geometry(spec, resize_labels=(own if config.labels_at == "auto" else config.labels_at) == "input")]


def apply(transforms: Sequence[Transform], clip: Clip, generator: torch.Generator) -> Clip:
    """All transforms in turn, drawing from one generator."""
    for transform in transforms:
        clip = transform(clip, generator)
    return clip


@dataclass(frozen=True)
class HorizontalFlip:
    """Mirror picture and truth, and swap left and right of stereo sound, with a probability."""

    probability: float = 0.5
    sound: bool = True
    """Off: the sound stays, as in the published training on VPO-SS, and half the clips sound from the wrong side."""

    def __call__(self, clip: Clip, generator: torch.Generator) -> Clip:
        if torch.rand((), generator=generator).item() >= self.probability:
            return clip
        audio = clip.audio.flip(0) if self.sound else clip.audio
        return replace(clip, frames=clip.frames.flip(-1), audio=audio, target=_mirrored(clip.target))


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
            raise ValueError(f"clip {clip.id!r} has audio features, which cannot be muted; read its sound instead")
        if torch.rand((), generator=generator).item() >= self.probability:
            return clip
        return replace(clip, audio=torch.zeros_like(clip.audio), target=_silent(clip.target))


AUGMENTATIONS: dict[str, Callable[[DataConfig, InputSpec], Transform]] = {
    "flip": lambda config, _: HorizontalFlip(sound=config.mirrors_sound),
    "colour": lambda *_: ColourJitter(),
    "mute": lambda *_: Mute(),
    "one_frame": lambda *_: OneFrame(),
    "scale": lambda config, _: RandomScale(config.scales),
    "jitter": lambda *_: Jitter(),
    "photometric": lambda *_: Photometric(),
    "affine": lambda config, _: RandomAffine(recount=recount_of(config)),
    "size": lambda config, spec: Resize(spec, recount_of(config)),
    "crop": lambda config, spec: RandomCrop(spec.size, recount_of(config)),
    "some_frames": lambda config, _: SomeFrames(config.clip_frames, config.reach, config.draws_again),
    "window": lambda config, _: Window(config.clip_frames),
    "moving_crop": lambda *_: MovingCrop(),
    "shorter_side": lambda config, _: ShorterSide(config.sides, config.longest),
}
"""The augmentations for `DataConfig.augment`."""

SIZING = {"size", "crop", "shorter_side"}
"""Augmentations that resize pictures for the network."""


def recount_of(config: DataConfig) -> Recount:
    """Return how `target.sounding` is updated for crops in training."""
    recount = spec_of(config).recount
    return recount(config) if callable(recount) else recount


def _blend(frames: Tensor, plain: Tensor, share: Tensor) -> Tensor:
    return plain + (frames - plain) * share


def _mirrored(target: Target | None) -> Target | None:
    if isinstance(target, DenseTarget):
        return replace(target, labels=target.labels.flip(-1))
    if isinstance(target, InstanceTarget):
        return replace(target, masks=target.masks.flip(-1))
    if isinstance(target, TrackTarget):
        raise ValueError("ground truth as run lengths cannot be mirrored; select frames first (augment some_frames)")
    return None


def _silent(target: Target | None) -> Target | None:
    """The truth without sound; pixels that are not judged stay so."""
    if isinstance(target, DenseTarget):
        labels = torch.where(target.labels == IGNORE, target.labels, 0)
        return DenseTarget(labels, target.annotated, None if target.sounding is None else target.sounding & False)
    if isinstance(target, InstanceTarget):
        return replace(target, masks=target.masks & False)
    if isinstance(target, TrackTarget):
        return replace(target, masks=[[None] * len(track) for track in target.masks], areas=None)
    return None
