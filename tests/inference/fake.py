"""A model whose answer is plain to compute: pixels brighter than half sound as loudly as the frame's window is loud."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from avseg.config import AudioWindow, InputSpec, ModelConfig, Temporal
from avseg.models.base import Model
from avseg.nn.audio import cut_windows, mixed_down
from avseg.types import Batch, DensePrediction, Prediction, Task

LOUD = 0.05
"""Root mean square above which a window counts as loud."""


@dataclass(frozen=True)
class FakeConfig(ModelConfig):
    family: ClassVar[str] = "fake"
    input: InputSpec = InputSpec(size=(32, 48))  # noqa: RUF009
    audio: AudioWindow = AudioWindow()  # noqa: RUF009
    temporal: Temporal = Temporal("block", 5, spacing=1.0, shown_after=0.9375)  # noqa: RUF009
    audio_channels: int = 1

    @property
    def heard_channels(self) -> int:
        return self.audio_channels


class FakeModel(Model[Tensor]):
    """Binary: bright and loud; of two channels the left half of the picture hears the left one.

    Semantic: the class of a pixel is its reddest (1) or greenest (2) colour.
    """

    Config = FakeConfig
    tasks = frozenset({"binary", "semantic"})

    def __init__(self, config: FakeConfig, task: Task) -> None:
        super().__init__(config, task)
        self.network = nn.Conv2d(1, 1, 1)
        nn.init.zeros_(self.network.weight)
        nn.init.zeros_(self.network.bias)
        self.seen: list[Batch] = []

    def forward(self, batch: Batch) -> Tensor:
        """(B, T, C, h, w)."""
        self.seen = [*self.seen[-2:], batch]
        if self.config.audio_channels == 2:
            return self._halves(batch)
        sound = cut_windows(mixed_down(batch), self.config.audio)[:, :, 0]
        loud = (sound.square().mean(-1).sqrt() > LOUD).float() * 2 - 1  # (B, T), -1 or 1
        if self.task.kind == "binary":
            bright = batch.frames.float().mean(2, keepdim=True) / 255 - 0.5
            return torch.where(loud[..., None, None, None] > 0, 20 * bright, -10.0)
        red, green = batch.frames[:, :, 0].float(), batch.frames[:, :, 1].float()
        scores = torch.stack([torch.full_like(red, 127.0), red, green], dim=2) / 10
        scores[:, :, 0] += torch.where(loud > 0, 0.0, 1000.0)[..., None, None]
        return scores

    def _halves(self, batch: Batch) -> Tensor:
        heard = [
            fake(audio=self.config.audio)(replace(batch, audio=batch.audio[:, side : side + 1])) for side in (0, 1)
        ]
        left = torch.arange(batch.frames.shape[-1]) < batch.frames.shape[-1] // 2
        return torch.where(left, heard[0], heard[1])

    def losses(self, output: Tensor, batch: Batch) -> dict[str, Tensor]:
        return {"none": output.sum() * 0}

    def postprocess(self, output: Tensor, batch: Batch) -> list[Prediction]:
        sizes = batch.output_sizes
        return [DensePrediction(i, o, s) for i, o, s in zip(batch.ids, output, sizes, strict=True)]

    def param_groups(self) -> dict[str, list[nn.Parameter]]:
        return {"all": list(self.parameters())}


def fake(task: Task | None = None, **options: Any) -> FakeModel:
    """A binary fake unless another task is given; `options` are of its config."""
    return FakeModel(FakeConfig(**options), task or Task("binary"))
