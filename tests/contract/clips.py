"""Seeded clips with sound and truth for the contract."""

from __future__ import annotations

import torch

from avseg.types import Clip, DenseTarget, InstanceTarget, Task


def random_clip(task: Task, seed: int = 0, frames: int = 5, annotated: int | None = None, size: int = 64) -> Clip:
    """A clip of noise with a random label map; the first `annotated` frames carry labels."""
    generator = torch.Generator().manual_seed(seed)
    known = torch.arange(frames) < (frames if annotated is None else annotated)
    classes = max(len(task.classes), 1)
    if task.kind == "instance":
        target: DenseTarget | InstanceTarget = InstanceTarget(
            masks=torch.rand(2, frames, size, size, generator=generator) > 0.7,
            classes=torch.randint(1, classes + 1, (2,), generator=generator),
            track_ids=torch.arange(2),
            annotated=known,
        )
    else:
        labels = torch.randint(0, classes + 1, (frames, size, size), generator=generator)
        sounding = torch.stack([(labels == c + 1).flatten(1).any(1) for c in range(classes)], 1)
        target = DenseTarget(labels, known, sounding)
    return Clip(
        id=f"clip{seed}",
        frames=torch.randint(0, 256, (frames, 3, size, size), generator=generator, dtype=torch.uint8),
        times=torch.arange(frames, dtype=torch.float64),
        audio=torch.rand(1, 16000 * frames, generator=generator) * 0.2 - 0.1,
        sample_rate=16000,
        target=target,
    )
