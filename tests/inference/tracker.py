"""A model that tracks, whose answer is plain to compute: the red thing sounds low, the green thing high."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from avseg.config import InputSpec, SessionOptions
from avseg.models.avism.config import AVISMConfig
from avseg.models.avism.session import AVISMSession
from avseg.models.base import Model
from avseg.nn.audio import cut_windows, mixed_down, present_windows
from avseg.types import Batch, Prediction, Task

TASK = Task("instance", ("drum", "flute"))
LOW, HIGH = 440.0, 4000.0
"""Hz."""
SILENCE = 0.05


class ForcedNetwork(nn.Module):
    """The stages of AVISM over colours: maps are red, green, how loud low and high sound is, and one."""

    def __init__(self, probabilities: tuple[float, ...], width: int) -> None:
        """`width`: channels of maps, as many as of a network that has learnt; all but five hold nothing."""
        super().__init__()
        self.anything = nn.Linear(1, 1)
        self.probabilities, self.more = probabilities, width - 5

    def look(self, images: Tensor, audio: Tensor, layers: int = 1, predict: bool = True) -> Any:
        colours = F.avg_pool2d(images[:, :2], 4)  # (N, 2, h, w) of 0 to 1
        heard = (audio > SILENCE).float()[..., None, None].expand(-1, -1, *colours.shape[-2:])
        maps = torch.cat([colours, heard, torch.ones_like(colours[:, :1])], 1)
        return SimpleNamespace(queries=audio[None, :, None], clip_features=F.pad(maps, (0, 0, 0, 0, 0, self.more)))

    def watch(self, queries: Tensor, audio: Tensor) -> Any:
        """Query 0 is the red thing, 1 the green one, 2 one that is never there; the rest repeat the red thing."""
        red, green = [20.0, -20.0, 20.0, 0.0, -30.0], [-20.0, 20.0, 0.0, 20.0, -30.0]
        of = [red, green, [0.0, 0.0, 0.0, 0.0, -1.0]] + [red] * (len(self.probabilities) - 3)
        logits = [[1 - p, p / 1e6, p] if n == 1 else [p, p / 1e6, 1 - p] for n, p in enumerate(self.probabilities)]
        logits[1] = [self.probabilities[1] / 1e6, self.probabilities[1], 1 - self.probabilities[1]]
        prediction = SimpleNamespace(
            class_logits=torch.tensor(logits).log()[None, None],
            mask_embeddings=F.pad(torch.tensor(of), (0, self.more))[None, None],
        )
        return SimpleNamespace(predictions=[prediction])


class Tracker(Model[Tensor]):
    """Speaks to AVISM's tracking with a network that needs no training."""

    Config = AVISMConfig
    tasks = frozenset({"instance"})
    config: AVISMConfig

    def __init__(self, config: AVISMConfig, probabilities: tuple[float, ...] = (0.9, 0.8, 0.7)) -> None:
        super().__init__(config, TASK)
        self.network = ForcedNetwork(probabilities, config.width)
        self.pieces: list[int] = []

    def features(self, batch: Batch) -> Tensor:
        """(B, T, 2) root mean squares below and above a kilohertz; zero_log_mel's windows sound low."""
        self.pieces.append(batch.frames.shape[1])
        sound = cut_windows(mixed_down(batch), self.config.audio)[:, :, 0]  # (B, T, S)
        low = F.avg_pool1d(sound, 8, 1)
        high = sound[..., 4:-3] - low
        levels = torch.stack([part.square().mean(-1).sqrt() for part in (low, high)], -1)
        missing = ~present_windows(batch, self.config.audio)
        return torch.where(missing[..., None], torch.tensor([1.0, 0.0]), levels)

    def normalised(self, batch: Batch) -> Tensor:
        images = batch.frames.float() / 255
        return F.pad(images, (0, -images.shape[-1] % 32, 0, -images.shape[-2] % 32))

    def session(self, options: SessionOptions | None = None) -> Any:
        return AVISMSession(self, options or self.options)

    def forward(self, batch: Batch) -> Tensor:
        raise AssertionError("a whole clip was asked for")

    def losses(self, output: Tensor, batch: Batch) -> dict[str, Tensor]:
        raise AssertionError("a model that only tracks was trained")

    def postprocess(self, output: Tensor, batch: Batch) -> list[Prediction]:
        raise AssertionError("the output of a whole clip was asked for")

    def param_groups(self) -> dict[str, list[nn.Parameter]]:
        return {"all": list(self.parameters())}


def tracker(*probabilities: float, **options: Any) -> Tracker:
    """`probabilities` are those of the queries' classes; `options` are of the config."""
    small = {"input": InputSpec((48, 48), rule="shorter_side"), "audio_network": "small", "width": 8}
    return Tracker(AVISMConfig(**{**small, **options}), probabilities or (0.9, 0.8, 0.7))
