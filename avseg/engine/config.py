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
    """The optimiser, its rate and schedule."""

    algorithm: Literal["adam", "adamw", "sgd"] = "adam"
    """The optimiser."""
    lr: float = 1e-4
    """Learning rate of all parts of the model that have none of their own."""
    weight_decay: float = 0.0
    """Weight decay of all parts of the model that have none of their own."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Decay of the running means of Adam and AdamW."""
    momentum: float = 0.9
    """Momentum of SGD."""
    schedule: Literal["constant", "poly", "cosine", "steps"] = "constant"
    """How the rate changes from step to step."""
    decay: Literal["all", "weights", "layers"] = "all"
    """Which parameters decay: all; `weights`: no biases and no norms; `layers`: all but those of norms, embeddings and
    tables of relative position."""
    warmup_steps: int = 0
    """Steps in which the rate rises from 0 to its base."""
    power: float = 0.9
    """Exponent of the polynomial schedule."""
    milestones: tuple[int, ...] = ()
    """Steps (from 0) from which on the schedule `steps` has its rates multiplied by `drop` once more."""
    drop: float = 0.1
    """Factor of the rates at every milestone."""
    lag: int = 0
    """Steps by which rates come late. CAVP sets the rate after a step: 1, so that steps 0 and 1 have the base rate."""
    floor: float = 0.0
    """Lowest rate of a part whose base rate is `lr`; a part of ten times that rate stays above ten times as much."""
    clip_norm: float | None = None
    """Largest norm of the gradient; a longer one is scaled down to it."""
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
                    f"optim.{name} is {value}, but it is of {' and '.join(sorted(owners))} alone, which no part of the "
                    "model is given; leave it out"
                )


@dataclass(frozen=True)
class TrainConfig:
    """Length, batches, devices and what is written."""

    epochs: int = 15
    """Length in epochs."""
    steps: int | None = None
    """Length in steps of the optimiser, in place of `epochs`; the last epoch ends where they do, with a validation."""
    batch_size: int = 4
    """Clips per batch and process."""
    drop_last: bool = False
    """Leave out the last clips of an epoch's order where they do not fill the batches of all processes."""
    accumulate: int = 1
    """Batches whose gradients make one step of the optimiser."""
    seed: int = 123
    """Of first weights, order of clips and augmentation."""
    workers: int = 4
    """Processes that read clips."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    """Numbers that the model calculates with; fp16 needs a GPU."""
    ema: float | None = None
    """Decay of the moving average of weights. By default none is kept."""
    compile: bool = False
    """Compile what trains with torch.compile: the parts that the family names (docs/how-to/training.md)."""
    cuda_graphs: bool = False
    """Record what is compiled as CUDA graphs, one for each shape of a batch: for small networks on a GPU."""
    strategy: Literal["ddp", "fsdp2"] = "ddp"
    """How several GPUs share the model: a copy each (ddp), or a part each (fsdp2)."""
    log_every: int = 50
    """Steps between lines on the console."""
    eval_every: int = 1
    """Epochs between validations: `eval_from`, `eval_from + eval_every`, ..."""
    eval_from: int = 0
    """First epoch (from 0) that is validated."""
    eval_always_from: int | None = None
    """From this epoch (from 0) on every one is validated."""
    also_best: tuple[str, ...] = ()
    """Validation figures whose sum keeps one more model file; the suite's first alone keeps `best.safetensors`."""
    eval_batch_size: int = 1
    """Clips per batch of validation."""
    save_every: int = 200
    """Steps between checkpoints of the whole state."""
    protocol: str = "published"
    """Protocol of the validation figures (docs/reference/metrics.md)."""
    trackers: tuple[str, ...] = ()
    """Where the figures of steps and validations are shown as well: tensorboard, wandb. Each is an extra of pip."""
    store: str | None = None
    """A place such as s3://bucket/run, to which checkpoints, figures and model files are copied as they are written,
    and from which a machine without the run's folder goes on. One run a place."""
    sync_batch_norm: bool = False
    """Several GPUs: batch statistics of all processes together. One process has them anyway."""

    def __post_init__(self) -> None:
        if self.steps is not None and self.steps < 1:
            raise ValueError(f"train.steps is {self.steps}, wanted 1 or more, or None for the length in epochs")
        if self.cuda_graphs and (not self.compile or self.accumulate > 1):
            raise ValueError(
                "train.cuda_graphs records what train.compile compiles, gradients of one batch at a time; wanted "
                f"train.compile and train.accumulate 1, got {self.compile} and {self.accumulate}"
            )

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
    """The published VGGish weights."""
    audio: Path | None = None
    """Audio network of CAVP on VPO: a torchvision ResNet-18 of ImageNet."""
    detector: Path | None = None
    """AVISM: a checkpoint, as one of COCO, whose frame-level part (backbone, pixel decoder, frame decoder) is taken,
    without its classes."""
    model: str | None = None
    """A model file of this library, a Hub id, or `demo`; every parameter that agrees in name and shape is taken, and of
    a file for other classes the rows of those that both name."""
    needs: tuple[str, ...] = ()
    """Which of the files above a run does not begin without. With nothing behind it, a run begins from random weights
    where no file is given; networks that are frozen then stay random."""


@dataclass(frozen=True)
class Recipe:
    """Everything that makes a training run repeatable."""

    model: ModelConfig
    """The network, its input and its losses."""
    data: DataConfig
    """The data set and how it is read."""
    optim: OptimConfig = OptimConfig()
    """The optimiser, its rate and schedule."""
    train: TrainConfig = TrainConfig()
    """Length, batches, devices and what is written."""
    val: DataConfig | None = None
    """Where validation reads another data set than training; its root defaults to that of `data`."""
    init: InitConfig = InitConfig()
    """Files of weights that a new run begins with; a resumed run has its own."""
