"""What `gpu.py` measures: every family at a published setting, batches of moving squares, and steps of training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from avseg.engine.config import OptimConfig
from avseg.engine.training.objective import Objective
from avseg.engine.training.optim import build_optimizer
from avseg.losses.config import SetConfig
from avseg.models import create_model
from avseg.models.base import Model
from avseg.models.compiled import compiled_calls
from avseg.types import Batch, Clip, DenseTarget, Draw, InstanceTarget, Task

HALVES = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
RATE = 16000


@dataclass(frozen=True)
class Setting:
    """A family as it was published, and how many frames a clip of it has."""

    preset: str
    frames: int
    size: tuple[int, int]
    small: dict[str, Any] = field(default_factory=dict)
    """Of its config, where a small network is wanted."""


_TINY = {"backbone": "test_resnet", "audio_network": "small"}
_LAYERS = {**_TINY, "width": 32, "heads": 2, "encoder_layers": 1, "decoder_layers": 2}
SETTINGS = {
    "tpavi": Setting("ms3", 5, (224, 224), {**_TINY, "width": 16, "inner": 8, "head_widths": (16, 8)}),
    "avism": Setting(
        "r50",
        5,
        (384, 640),
        {
            "backbone": "test_resnet",
            "width": 32,
            "heads": 2,
            "feedforward": 32,
            "pixel_feedforward": 32,
            "pixel_layers": 1,
            "frame_queries": 6,
            "frame_layers": 3,
            "clip_queries": 5,
            "clip_layers": 2,
            "object_layers": 1,
            "criterion": SetConfig(points=64),
        },
    ),
    "cavp": Setting("avss_224", 2, (224, 224), {**_TINY, "aspp_width": 12, "detail_width": 4, "head_width": 16}),
    "qdformer": Setting(
        "ms3", 5, (224, 224), {**_LAYERS, "feedforward": 32, "tokens": 3, "decomposition_layers": 1, "points": 2}
    ),
    "avsegformer": Setting(
        "ms3", 5, (224, 224), {**_LAYERS, "queries": 6, "generator_layers": 1, "inner": 32, "mlp_width": 32}
    ),
    "catr": Setting(
        "s4", 5, (224, 224), {**_LAYERS, "queries": 4, "inner": 32, "temporal_inner": 32, "mask_width": 8, "enlarge": 1}
    ),
}


def model_of(family: str, small: bool) -> Model[Any]:
    """With random weights that are the same every time."""
    torch.manual_seed(0)
    setting = SETTINGS[family]
    return create_model(family, setting.preset, **(setting.small if small else {}))


def batch_of(model: Model[Any], clips: int, size: tuple[int, int], frames: int, seed: int = 0) -> Batch:
    """Clips of a bright square that moves over noise, with its truth, on the CPU."""
    batch = Batch.collate([_clip(model, size, frames, 1000 * seed + clip) for clip in range(clips)])
    return replace(batch, draw=Draw(0, 0), index=list(range(clips)))


def _clip(model: Model[Any], size: tuple[int, int], frames: int, seed: int) -> Clip:
    generator = torch.Generator().manual_seed(seed)
    side = min(size) // 3
    pictures = torch.randint(0, 96, (frames, 3, *size), generator=generator, dtype=torch.uint8)
    mask = torch.zeros(frames, *size, dtype=torch.bool)
    top, left = (int(torch.randint(0, length - side - frames, (), generator=generator)) for length in size)
    for frame in range(frames):
        mask[frame, top + frame : top + frame + side, left + frame : left + frame + side] = True
    pictures[mask[:, None].expand_as(pictures)] += 128
    heard = model.config.hears
    return Clip(
        id=f"clip{seed}",
        frames=pictures,
        times=torch.arange(frames, dtype=torch.float64),
        audio=0.1 * torch.randn(model.config.heard_channels, RATE * (frames + 1) if heard else 1, generator=generator),
        sample_rate=RATE,
        target=_truth(model.task, mask, seed),
        audio_features=None if heard else torch.rand(frames, 128, generator=generator),
    )


def _truth(task: Task, mask: Tensor, seed: int) -> DenseTarget | InstanceTarget:
    number = seed % max(len(task.classes), 1) + 1
    known = torch.ones(len(mask), dtype=torch.bool)
    if task.kind == "instance":
        return InstanceTarget(mask[None], torch.tensor([number]), torch.tensor([0]), known)
    sounding = torch.zeros(len(mask), max(len(task.classes), 1), dtype=torch.bool)
    sounding[:, number - 1] = True
    return DenseTarget(mask.long() * number, known, sounding)


class Trainer:
    """Steps of training as `avseg train` takes them, without its loop."""

    def __init__(self, model: Model[Any], precision: str, device: torch.device) -> None:
        """`model`: on the device."""
        self.model, self.device, self.half = model.train(), device, HALVES[precision]
        self.objective = Objective(model)
        self.optimizer = build_optimizer(model, model.param_groups(), OptimConfig(algorithm="adamw", lr=1e-4))
        self.scaler = torch.amp.GradScaler(device.type, enabled=precision == "fp16")

    def step(self, batch: Batch) -> Tensor:
        """The loss, on the device; nobody waits for it."""
        with autocast(self.device, self.half):
            terms = self.objective(batch)
        loss = torch.stack(list(terms.values())).sum()
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimizer)
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad()
        return loss.detach()


def autocast(device: torch.device, half: torch.dtype | None) -> AbstractContextManager[Any]:
    return torch.autocast(device.type, half) if half is not None else nullcontext()


@contextmanager
def compiled(model: Model[Any], wanted: bool, device: torch.device, backend: str) -> Iterator[None]:
    """The model with its parts compiled, on a GPU as CUDA graphs, for the length of the block."""
    if not wanted:
        yield
        return
    torch._dynamo.reset()
    graphs = device.type == "cuda" and backend == "inductor"
    with compiled_calls(model, model.compiles, graphs=graphs, always=True, backend=backend):
        yield
