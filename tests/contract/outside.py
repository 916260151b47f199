"""A data set of somebody else: this is all there is to write."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from avseg.data import ClipDataset, DataConfig
from avseg.datasets import DatasetSpec
from avseg.types import Clip, DenseTarget, Task


@dataclass(frozen=True)
class HalvesConfig(DataConfig):
    """The options of `halves`."""

    name: str = "halves"
    bright: int = 200
    """Level of the half that sounds."""


class Halves(ClipDataset):
    """Two frames, of which the left half sounds in every second clip, and is bright then."""

    task = Task("binary")

    def __init__(self, config: HalvesConfig, split: str, root: Path | None) -> None:
        self.level, self.ids = config.bright, [f"{split}{i}" for i in range(4)]

    def __getitem__(self, index: int) -> Clip:
        labels = torch.zeros(2, 64, 64, dtype=torch.int64)
        labels[:, :, :32] = index % 2
        frames = (labels * self.level).to(torch.uint8)[:, None].repeat(1, 3, 1, 1)
        sound = torch.full((1, 32000), 0.5 * (index % 2))
        target = DenseTarget(labels, torch.ones(2, dtype=torch.bool))
        return Clip(self.ids[index], frames, torch.arange(2).double(), sound, 16000, target=target)


SPEC = DatasetSpec(
    "halves", HalvesConfig, "contract.outside:Halves", "avsbench_object", "bright halves", in_memory=True
)
