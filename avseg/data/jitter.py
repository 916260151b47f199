"""Colours changed at random, as torchvision's ColorJitter does it to Pillow pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image, ImageEnhance

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
