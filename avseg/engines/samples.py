"""Made-up clips at a model's input size, to inspect its parts and to measure its speed."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch

from avseg.config import ModelConfig
from avseg.types import Batch, Clip

FRAMES = 3
"""Frames of a made-up clip for models that process whole clips."""


@dataclass(frozen=True)
class SampleShape:
    """Number of clips, their length, and (H, W) of their pictures at the network's size."""

    clips: int
    frames: int
    size: tuple[int, int]

    @classmethod
    def of(cls, config: ModelConfig, video: tuple[int, int] | None = None, frames: int = 1) -> SampleShape:
        """Return the smallest number of clips that have `frames` pictures in total, each as long as one group.

        Args:
            config: the model's.
            video: (H, W) of the video that they would come from; by default that of `config.input`.
            frames: of all clips together; models that see whole clips get one clip of them, of `FRAMES` or more.
        """
        temporal, spec = config.temporal, config.input
        size = spec.fitted(video or spec.size)
        if temporal.kind == "clip":
            return cls(1, max(frames, FRAMES), size)
        length = (temporal.length or 1) if temporal.kind == "block" else 1
        return cls(math.ceil(frames / length), length, size)


def made_up(config: ModelConfig, sample: SampleShape) -> Batch:
    """Make identical clips of seeded noise, with sound, or with audio features for models without audio network."""
    generator = torch.Generator().manual_seed(0)
    frames, spacing = sample.frames, config.temporal.spacing
    rate = config.sound_rate
    samples = math.ceil(rate * (frames * spacing + 1))
    features = None if config.hears else torch.rand(frames, int(vars(config)["audio_width"]), generator=generator)
    clip = Clip(
        id="made-up",
        frames=torch.randint(0, 256, (frames, 3, *sample.size), generator=generator, dtype=torch.uint8),
        times=torch.arange(frames, dtype=torch.float64) * spacing,
        audio=torch.rand(config.heard_channels, samples, generator=generator) * 0.2 - 0.1,
        sample_rate=rate,
        audio_features=features,
    )
    return Batch.collate([replace(clip, id=str(number)) for number in range(sample.clips)])
