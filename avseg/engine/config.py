"""What a recipe says of training. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from avseg.config import ModelConfig
from avseg.data.config import DataConfig


@dataclass(frozen=True)
class GroupConfig:
    """How one named part of a model departs from the rest; None: as the rest."""

    lr: float | None = None
    """Its own base rate, not a factor."""
    weight_decay: float | None = None
    schedule: Literal["constant", "poly", "cosine", "steps"] | None = None
    algorithm: Literal["adam", "adamw", "sgd"] | None = None
    decay: Literal["all", "weights", "layers"] | None = None
    """Which parameters decay: all; only those of more than one dimension (`weights`: no biases, no norms); or those of
    all layers but norms, embeddings and tables of relative position (`layers`: biases of the others do)."""


@dataclass(frozen=True)
class OptimConfig:
    """The optimiser, its rate and schedule."""

    algorithm: Literal["adam", "adamw", "sgd"] = "adam"
    lr: float = 1e-4
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    momentum: float = 0.9
    schedule: Literal["constant", "poly", "cosine", "steps"] = "constant"
    decay: Literal["all", "weights", "layers"] = "all"
    """As `GroupConfig.decay`."""
    warmup_steps: int = 0
    power: float = 0.9
    """Exponent of the polynomial schedule."""
    milestones: tuple[int, ...] = ()
    """Steps (from 0) from which on the schedule `steps` has its rates multiplied by `drop` once more."""
    drop: float = 0.1
    lag: int = 0
    """Steps by which rates come late. CAVP sets the rate after a step: 1, so that steps 0 and 1 have the base rate."""
    floor: float = 0.0
    """Lowest rate of a part whose base rate is `lr`; a part of ten times that rate stays above ten times as much."""
    clip_norm: float | None = None
    parts: dict[str, GroupConfig] = field(default_factory=dict)
    """By the names of `Model.param_groups`."""

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
                "optim.schedule is 'steps' without optim.milestones; name the steps, as (32000,), or take 'constant'"
            )
        if any(step < 0 for step in self.milestones) or self.drop <= 0:
            raise ValueError(
                f"optim.milestones are {self.milestones} and optim.drop is {self.drop}; wanted steps from 0 on and a "
                "factor over 0"
            )


@dataclass(frozen=True)
class TrainConfig:
    """Length, batches, devices and what is written."""

    epochs: int = 15
    steps: int | None = None
    """Length in steps of the optimiser, in place of `epochs`; the last epoch ends where they do, with a validation."""
    batch_size: int = 4
    """Clips per batch and process."""
    drop_last: bool = False
    """Leave out the last clips of an epoch's order where they do not fill the batches of all processes."""
    accumulate: int = 1
    seed: int = 123
    workers: int = 4
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    ema: float | None = None
    """Decay of the moving average of weights; None: none is kept."""
    compile: bool = False
    strategy: Literal["ddp", "fsdp2"] = "ddp"
    log_every: int = 50
    eval_every: int = 1
    """Epochs between validations: `eval_from`, `eval_from + eval_every`, ..."""
    eval_from: int = 0
    """First epoch (from 0) that is validated."""
    eval_always_from: int | None = None
    """From this epoch (from 0) on every one is validated."""
    also_best: tuple[str, ...] = ()
    """Validation figures whose sum keeps one more model file; the suite's first alone keeps `best.safetensors`."""
    eval_batch_size: int = 1
    save_every: int = 200
    """Steps between checkpoints of the whole state."""
    protocol: str = "published"
    """Of the validation figures."""
    trackers: tuple[str, ...] = ()
    """Names of Accelerate's trackers: tensorboard, wandb."""
    sync_batch_norm: bool = False
    """Several GPUs: batch statistics of all processes together. One process has them anyway."""

    def __post_init__(self) -> None:
        if self.steps is not None and self.steps < 1:
            raise ValueError(f"train.steps is {self.steps}, wanted 1 or more, or None for the length in epochs")

    def validates(self, epoch: int) -> bool:
        """Whether the model is validated after `epoch` (from 0)."""
        if self.eval_always_from is not None and epoch >= self.eval_always_from:
            return True
        return epoch >= self.eval_from and (epoch - self.eval_from) % self.eval_every == 0


@dataclass(frozen=True)
class InitConfig:
    """Files of weights that a new run begins with; a resumed run has its own."""

    backbone: Path | None = None
    """Image backbone: a torchvision ResNet-50, the published PVT-v2 or Swin file, torchvision's Video Swin (docs)."""
    vggish: Path | None = None
    """VGGish as its own upstream publishes it."""
    audio: Path | None = None
    """Audio network of CAVP on VPO: a torchvision ResNet-18 of ImageNet."""
    detector: Path | None = None
    """AVISM: a checkpoint, as one of COCO, whose frame-level part (backbone, pixel decoder, frame decoder) is taken,
    without its classes."""
    model: Path | None = None
    """A model file of this library; every parameter that agrees in name and shape is taken."""
    needs: tuple[str, ...] = ()
    """The fields above without which a run does not begin; on a frozen network of noise it would train all the same."""


@dataclass(frozen=True)
class Recipe:
    """Everything that makes a training run repeatable."""

    model: ModelConfig
    data: DataConfig
    optim: OptimConfig = OptimConfig()
    train: TrainConfig = TrainConfig()
    val: DataConfig | None = None
    """Where validation reads another data set than training; its root defaults to that of `data`."""
    init: InitConfig = InitConfig()
