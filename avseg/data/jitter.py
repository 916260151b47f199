"""Colours changed at random: as torchvision's ColorJitter does it to Pillow pictures, and as detectors train."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image, ImageEnhance
from torch import Tensor

from avseg.data.geometry import channels_first
from avseg.types import Clip


@dataclass(frozen=True)
class Jitter:
    """Brightness, contrast, saturation and hue, one after the other in a random order, the same for all frames."""

    brightness: float = 0.5
    """The factor is drawn from 1 - brightness to 1 + brightness; contrast and saturation likewise."""
    contrast: float = 0.5
    saturation: float = 0.5
    hue: float = 0.25
    """At most so much of a turn of the colour circle, in either direction."""

    def __call__(self, clip: Clip, generator: torch.Generator) -> Clip:
        order = torch.randperm(4, generator=generator).tolist()
        draws = (2 * torch.rand(4, generator=generator) - 1).tolist()
        strengths = (self.brightness, self.contrast, self.saturation, self.hue)
        amounts = [strength * draw for strength, draw in zip(strengths, draws, strict=True)]
        frames = []
        for frame in clip.frames.numpy():
            image = Image.fromarray(np.ascontiguousarray(frame.transpose(1, 2, 0)))
            for step in order:
                image = _STEPS[step](image, amounts[step])
            frames.append(channels_first(image))
        return replace(clip, frames=torch.from_numpy(np.stack(frames)))


@dataclass(frozen=True)
class Photometric:
    """Brightness, contrast, saturation and hue, each with a probability and the same for all frames (Liu et al. 2016).

    Brightness is added; contrast multiplies whatever the levels, before saturation and hue or, half of the time, after
    them.
    """

    probability: float = 0.5
    brightness: float = 32.0
    """Levels of 255 at most, up or down."""
    contrast: float = 0.5
    """The factor is drawn from 1 - contrast to 1 + contrast; saturation likewise."""
    saturation: float = 0.5
    hue: float = 18.0
    """Degrees of the colour circle at most, in either direction."""

    def __call__(self, clip: Clip, generator: torch.Generator) -> Clip:
        brightened, contrasted, saturated, turned, late = (
            torch.rand(5, generator=generator) < torch.tensor([self.probability] * 4 + [0.5])
        ).tolist()
        draws = (2 * torch.rand(4, generator=generator) - 1).tolist()
        added = self.brightness * draws[0] * brightened
        factor = 1 + self.contrast * draws[1] * contrasted
        strength = 1 + self.saturation * draws[2] * saturated
        angle = math.radians(self.hue * draws[3] * turned)
        colours = _colour_matrix(strength, angle)
        frames = clip.frames.float() + added
        frames = _mixed(frames, colours) * factor if late else _mixed(frames * factor, colours)
        return replace(clip, frames=frames.round_().clamp_(0, 255).to(torch.uint8))


def _mixed(frames: Tensor, colours: Tensor) -> Tensor:
    """(T, 3, H, W) colours times a (3, 3) matrix."""
    return torch.einsum("rc,tchw->trhw", colours, frames)


def _colour_matrix(strength: float, angle: float) -> Tensor:
    """(3, 3): colours `strength` times as far from the grey axis, and turned about it by `angle`.

    A turn about (1, 1, 1) keeps the sum of the channels; of the colour circle of HSV it is the round form, linear
    and the same for all pixels, so that levels need not be brought to HSV and back.
    """
    grey = torch.full((3, 3), 1 / 3)
    cross = torch.tensor([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]) / math.sqrt(3)
    turn = math.cos(angle) * (torch.eye(3) - grey) + math.sin(angle) * cross
    return grey + strength * turn


def turn_hue(image: Image.Image, turn: float) -> Image.Image:
    """The colours of an RGB picture moved along the colour circle by `turn` of it (to a 256th)."""
    hue, saturation, value = image.convert("HSV").split()
    step = int(turn * 255)  # a whole turn is 255 and the step is cut to a whole number, as in torchvision
    turned = hue.point([(level + step) % 256 for level in range(256)])
    return Image.merge("HSV", (turned, saturation, value)).convert("RGB")


_STEPS: tuple[Callable[[Image.Image, float], Image.Image], ...] = (
    lambda image, amount: ImageEnhance.Brightness(image).enhance(1 + amount),
    lambda image, amount: ImageEnhance.Contrast(image).enhance(1 + amount),
    lambda image, amount: ImageEnhance.Color(image).enhance(1 + amount),
    turn_hue,
)
