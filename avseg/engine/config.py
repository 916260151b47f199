"""The training options of a recipe. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from avseg.config import ModelConfig
from avseg.data.config import DataConfig


@dataclass(frozen=True)
class GroupConfig:
    """Options of one named part of a model; None: as for the rest."""

    lr: float | None = None
    """Base learning rate of the part, not a factor."""
    weight_decay: float | None = None
    """Its own weight decay."""
    schedule: Literal["constant", "poly", "cosine", "steps"] | None = None
    """Its own schedule."""
    algorithm: Literal["adam", "adamw", "sgd"] | None = None
    """Its own optimiser."""
    decay: Literal["all", "weights", "layers"] | None = None
    """Which parameters decay: all; only those of more than one dimension (`weights`: no biases, no norms); or those of
    all layers but norms, embeddings and tables of relative position (`layers`: biases of the others do)."""


@dataclass(frozen=True)
class OptimConfig:
    """The optimiser, its learning rate and schedule."""

    algorithm: Literal["adam", "adamw", "sgd"] = "adam"
    """The optimiser."""
    lr: float = 1e-4
    """Learning rate of all parts of the model without their own rate."""
    weight_decay: float = 0.0
    """Weight decay of all parts of the model without their own decay."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Decay of the running means of Adam and AdamW."""
    momentum: float = 0.9
    """Momentum of SGD."""
    schedule: Literal["constant", "poly", "cosine", "steps"] = "constant"
    """Schedule of the learning rate."""
    decay: Literal["all", "weights", "layers"] = "all"
    """Which parameters decay: all; `weights`: no biases and no norms; `layers`: all but those of norms, embeddings and
    tables of relative position."""
    warmup_steps: int = 0
    """Number of steps in which the learning rate rises from 0 to its base."""
    power: float = 0.9
    """Exponent of the polynomial schedule."""
    milestones: tuple[int, ...] = ()
    """Steps (from 0) at which the schedule `steps` multiplies its rates by `drop`."""
    drop: float = 0.1
    """Factor of the rates at every milestone."""
    lag: int = 0
    """Delay of the rates in steps. CAVP sets the rate after a step: with 1, steps 0 and 1 have the base rate."""
    floor: float = 0.0
    """Lowest rate of a part with the base rate `lr`; the lowest rate of other parts scales with their base rate."""
    clip_norm: float | None = None
    """Largest norm of the gradient; larger gradients are scaled down."""
    parts: dict[str, GroupConfig] = field(default_factory=dict)
    """Options of parts, by the names of `Model.param_groups`."""

    def __post_init__(self) -> None:
        if self.lag < 0 or self.floor < 0:
            raise ValueError(f"optim.lag is {self.lag} and optim.floor {self.floor}; neither may be negative")
        if self.floor > self.lr:
            raise ValueError(
                f"optim.floor is {self.floor}, above optim.lr {self.lr}; wanted a lower one, or 0 for none"
            )
        object.__setattr__(self, "milestones", tuple(self.milestones))
        if "steps" in (self.schedule, *(part.schedule for part in self.parts.values())) and not self.milestones:
            raise ValueError(
                "optim.schedule is 'steps' without optim.milestones; give the "
                "steps, such as (32000,), or use 'constant'"
            )
        self._refuse_idle()
        if any(step < 0 for step in self.milestones) or self.drop <= 0:
            raise ValueError(
                f"optim.milestones are {self.milestones} and optim.drop is {self.drop}; wanted steps from 0 on and a "
                "factor over 0"
            )

    def _refuse_idle(self) -> None:
        """Refuse figures of an algorithm or a schedule that no part has."""
        algorithms = {self.algorithm, *(part.algorithm for part in self.parts.values())}
        schedules = {self.schedule, *(part.schedule for part in self.parts.values())}
        for name, plain, owners, there in (
            ("momentum", 0.9, {"sgd"}, algorithms),
            ("betas", (0.9, 0.999), {"adam", "adamw"}, algorithms),
            ("power", 0.9, {"poly"}, schedules),
            ("drop", 0.1, {"steps"}, schedules),
        ):
            value = getattr(self, name)
            if (tuple(value) if isinstance(plain, tuple) else value) != plain and not owners & there:
                raise ValueError(
                    f"optim.{name} is {value}, but only {' and '.join(sorted(owners))} uses "
                    "it, which no part of the model has; leave it out"
                )


@dataclass(frozen=True)
class TrainConfig:
    """Length, batches, devices and outputs."""

    epochs: int = 15
    """Length in epochs."""
    steps: int | None = None
    """Length in optimiser steps, instead of `epochs`; the last epoch ends with the last step and a validation."""
    batch_size: int = 4
    """Clips per batch and process."""
    drop_last: bool = False
    """Leave out the last clips of an epoch if they do not fill the batches of all processes."""
    accumulate: int = 1
    """Number of batches per optimiser step (gradient accumulation)."""
    seed: int = 123
    """Random seed of initial weights, order of clips and augmentation."""
    workers: int = 4
    """Number of processes that read clips."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    """Number format of the training; fp16 needs a GPU."""
    ema: float | None = None
    """Decay of the moving average of weights; off by default."""
    compile: bool = False
    """Compile the trained parts with torch.compile; the family names them (docs/how-to/training.md)."""
    cuda_graphs: bool = False
    """Run compiled parts as CUDA graphs, one per batch shape; useful for small networks on a GPU."""
    strategy: Literal["ddp", "fsdp2"] = "ddp"
    """Strategy for several GPUs: each holds a copy of the model (ddp) or a part of it (fsdp2)."""
    log_every: int = 50
    """Steps between log lines."""
    eval_every: int = 1
    """Epochs between validations: `eval_from`, `eval_from + eval_every`, ..."""
    eval_from: int = 0
    """First epoch (from 0) with a validation."""
    eval_always_from: int | None = None
    """Epoch (from 0) from which every epoch is validated."""
    also_best: tuple[str, ...] = ()
    """Validation scores whose sum selects a second model file; `best.safetensors` is selected by the suite's first
    score.
    """
    eval_batch_size: int = 1
    """Clips per batch in validation."""
    save_every: int = 200
    """Steps between checkpoints of the full state."""
    protocol: str = "published"
    """Protocol of the validation scores (docs/reference/metrics.md)."""
    trackers: tuple[str, ...] = ()
    """Trackers for the figures of steps and validations: tensorboard, wandb. Each is an extra of pip."""
    store: str | None = None
    """An address such as s3://bucket/run, to which checkpoints, figures and model files are copied as they are written,
    and from which a machine without the run's folder goes on. One run a place."""
    sync_batch_norm: bool = False
    """With several GPUs, compute batch statistics over all processes."""

    def __post_init__(self) -> None:
        if self.steps is not None and self.steps < 1:
            raise ValueError(f"train.steps is {self.steps}, wanted 1 or more, or None for the length in epochs")
        if self.cuda_graphs and (not self.compile or self.accumulate > 1):
            raise ValueError(
                "train.cuda_graphs needs train.compile and train.accumulate 1, "
                f"got {self.compile} and {self.accumulate}"
            )

    def validates(self, epoch: int) -> bool:
        """Whether the model is validated after `epoch` (from 0)."""
        if self.eval_always_from is not None and epoch >= self.eval_always_from:
            return True
        return epoch >= self.eval_from and (epoch - self.eval_from) % self.eval_every == 0


@dataclass(frozen=True)
class InitConfig:
    """Initial weights of a new run; a resumed run uses its own."""

    backbone: Path | None = None
    """Image backbone: a torchvision ResNet-50, the published PVT-v2 or Swin file, torchvision's Video Swin (docs)."""
    vggish: Path | None = None
    """The published VGGish weights."""
    audio: Path | None = None
    """Audio network of CAVP on VPO: a torchvision ResNet-18 trained on ImageNet."""
    detector: Path | None = None
    """AVISM: a checkpoint, as one of COCO, whose frame-level part (backbone, pixel decoder, frame decoder) is taken,
    without its classes."""
    model: str | None = None
    """A model file, a Hub id, or `demo`; every parameter that agrees in name and shape is taken, and of
    a file for other classes the rows of those that both name."""
    needs: tuple[str, ...] = ()
    """Files above that a run requires. If empty, a run begins from random weights
    where no file is given; networks that are frozen then stay random."""


@dataclass(frozen=True)
class Recipe:
    """Everything that makes a training run repeatable."""

    model: ModelConfig
    """The network, its input and its losses."""
    data: DataConfig
    """The data set and how it is read."""
    optim: OptimConfig = OptimConfig()
    """The optimiser, its learning rate and schedule."""
    train: TrainConfig = TrainConfig()
    """Length, batches, devices and outputs."""
    val: DataConfig | None = None
    """Data set of the validation if it differs from that of training; its root defaults to that of `data`."""
    init: InitConfig = InitConfig()
    """Initial weights of a new run; a resumed run uses its own."""
