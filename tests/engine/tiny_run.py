"""A tiny model and an in-memory world, for tests of the engine; as a script, runs that are killed or spread out.

tiny_run.py kill DIR          an uninterrupted run, and the same one killed twenty times
tiny_run.py train DIR CLIPS   one run of CLIPS clips a batch and process, in float64 with frozen statistics,
                                  then some steps with sharded weights
tiny_run.py hold DIR          hold the folder's lock until the standard input ends
"""

from __future__ import annotations

import importlib
import json
import os
import random
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import torch
from safetensors.torch import load_file
from torch import Tensor, distributed, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor
from torch.nn import functional as F

from avseg.config import InputSpec, ModelConfig
from avseg.data.base import ClipDataset
from avseg.data.loader import make_loader
from avseg.datasets import data_config
from avseg.engine.config import GroupConfig, OptimConfig, Recipe, TrainConfig
from avseg.engine.processes import leaving_together
from avseg.engine.training.checkpoint import read_checkpoint, write_checkpoint
from avseg.engine.training.objective import Objective
from avseg.engine.training.optim import MovingAverage, build_optimizer
from avseg.engine.training.sharded import gathered_model, load_whole_state, whole_state
from avseg.engine.training.train import train
from avseg.models.base import Model
from avseg.models.header import read_header
from avseg.types import Batch, Clip, DensePrediction, DenseTarget, Prediction, Task

KILLS = 20
SGD_AND_ADAM = OptimConfig(
    algorithm="sgd",
    lr=1e-2,
    weight_decay=1e-2,
    schedule="poly",
    lag=1,
    clip_norm=1.0,
    parts={
        "stem": GroupConfig(decay="weights"),
        "head": GroupConfig(algorithm="adam", lr=2e-2, weight_decay=0.0, schedule="constant"),
    },
)
"""An optimiser, a rate, a decay and a schedule for each part."""
SIZE = InputSpec(size=(8, 8))


@dataclass(frozen=True)
class TinyConfig(ModelConfig):
    family: ClassVar[str] = "tiny"
    input: InputSpec = SIZE
    dropout: float = 0.2
    frozen: bool = False
    double: bool = False
    spare: bool = False
    """A parameter that no step uses, so that an optimiser keeps no state of it; published networks have such."""


@dataclass(frozen=True)
class TinyOutput:
    logits: Tensor
    """(B, T, 1, 8, 8)."""


class TinyModel(Model[TinyOutput]):
    """Two convolutions, batch statistics and dropout; the loudness of the clip is a third input channel's bias."""

    Config = TinyConfig
    tasks = frozenset({"binary"})

    def __init__(self, config: TinyConfig, task: Task) -> None:
        super().__init__(config, task)
        self.tiny, self.on_step = config, None
        self.network = nn.Sequential(
            nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(config.dropout), nn.Conv2d(4, 1, 1)
        )
        if config.spare:
            self.network[4].register_parameter("spare", nn.Parameter(torch.zeros(4)))
        if config.double:
            self.double()

    def train(self, mode: bool = True) -> TinyModel:
        super().train(mode)
        self.network[1].train(mode and not self.tiny.frozen)
        return self

    def forward(self, batch: Batch) -> TinyOutput:
        if self.training and self.on_step:
            self.on_step()
        dtype = self.network[0].weight.dtype
        frames = batch.frames.to(dtype).flatten(0, 1) / 255
        loudness = batch.audio.to(dtype).square().mean((1, 2)).repeat_interleave(batch.frames.shape[1])
        sound = loudness[:, None, None, None].expand(-1, 1, *frames.shape[-2:])
        logits = self.network(torch.cat([frames, sound], 1))
        return TinyOutput(logits.unflatten(0, batch.frames.shape[:2]))

    def losses(self, output: TinyOutput, batch: Batch) -> dict[str, Tensor]:
        assert batch.targets is not None
        labels = torch.stack([target.labels for target in batch.targets])  # type: ignore[union-attr]
        logits = output.logits[:, :, 0]
        bce = F.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype))
        return {"bce": bce, "size": 0.1 * (logits.sigmoid().mean((1, 2, 3)) - 0.5).square().mean()}

    def postprocess(self, output: TinyOutput, batch: Batch) -> list[Prediction]:
        return [
            DensePrediction(clip_id, logits, size)
            for clip_id, logits, size in zip(batch.ids, output.logits, batch.output_sizes, strict=True)
        ]

    def param_groups(self) -> dict[str, list[nn.Parameter]]:
        return {"stem": list(self.network[:2].parameters()), "head": list(self.network[2:].parameters())}


class TinyWorld(ClipDataset):
    """Clips of two 8 x 8 frames; the truth is where a noisy picture is bright."""

    task = Task("binary")
    suite = "avsbench_object"

    def __init__(self, clips: int, seed: int = 0) -> None:
        self.config = data_config("synth")
        self.ids = [f"clip{seed}-{i}" for i in range(clips)]
        self.seed = seed

    def __getitem__(self, index: int) -> Clip:
        generator = torch.Generator().manual_seed(1000 * self.seed + index)
        frames = torch.randint(0, 256, (2, 3, 8, 8), generator=generator, dtype=torch.uint8)
        labels = (frames.float().mean(1) > 128).long()
        audio = torch.rand(1, 32, generator=generator)
        target = DenseTarget(labels, torch.ones(2, dtype=torch.bool))
        return Clip(self.ids[index], frames, torch.arange(2.0, dtype=torch.float64), audio, 16, target=target)


def recipe(**changes: Any) -> Recipe:
    """A short run; `changes` are fields of TrainConfig, or `model` and `optim` whole."""
    model, optim = changes.pop("model", TinyConfig()), changes.pop("optim", OptimConfig(lr=1e-2))
    plain = TrainConfig(epochs=2, batch_size=3, workers=0, log_every=2, save_every=2, eval_every=1)
    return Recipe(model=model, data=data_config("synth"), optim=optim, train=replace(plain, **changes))


def run(folder: Path, of: Recipe, *, clips: int = 14, val: int = 4, resume: bool = True) -> Path:
    torch.manual_seed(0)
    model = TinyModel(of.model, Task("binary"))  # type: ignore[arg-type]
    val_set = TinyWorld(val, seed=1) if val else None
    return train(model, TinyWorld(clips), val_set, of, folder, resume=resume)


def rows(folder: Path, event: str = "step") -> list[dict[str, Any]]:
    """The rows of one kind in `metrics.jsonl`."""
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [row for row in map(json.loads, lines) if row["event"] == event]


def assert_same_run(one: Path, other: Path) -> None:
    """Equal to the last bit: every row of the curve, every weight and note of both model files."""
    assert (one / "metrics.jsonl").read_bytes() == (other / "metrics.jsonl").read_bytes()
    for name in ("best.safetensors", "last.safetensors"):
        assert read_header(one / name) == read_header(other / name)
        left, right = load_file(one / name), load_file(other / name)
        assert left.keys() == right.keys() and all(torch.equal(left[key], right[key]) for key in left), name


def _killer(seed: int) -> Callable[[], None]:
    """Called at every batch; at one of the next few it lets the process be killed some moments later."""
    dice, state = random.Random(seed), {"left": 0}
    state["left"] = dice.randint(1, 12)

    def on_step() -> None:
        state["left"] -= 1
        if state["left"] == 0:
            threading.Timer(dice.uniform(0, 0.008), os.kill, (os.getpid(), signal.SIGKILL)).start()

    return on_step


def _in_child(work: Callable[[], object]) -> int:
    """The exit status of `work` in a fork; a negative signal number if it was killed."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            torch.set_num_threads(1)
            work()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


KILLED: dict[str, Any] = {
    "epochs": 4,
    "batch_size": 2,
    "accumulate": 3,
    "workers": 2,
    "save_every": 3,
    "log_every": 5,
    "eval_every": 2,
    "ema": 0.9,
}


def _kill(folder: Path) -> None:
    """Two runs in `folder`: `whole`, and `killed` again and again; prints how often, and at which batches it stood."""
    for late in ("torch._dynamo", "rich.progress"):
        importlib.import_module(late)  # once, and not in each of the forks

    def attempt(name: str, on_step: Callable[[], None] | None) -> int:
        killed = recipe(model=TinyConfig(), optim=SGD_AND_ADAM, **KILLED)
        return _in_child(lambda: run_hooked(folder / name, killed, on_step))

    assert attempt("whole", None) == 0
    kills = 0
    while True:
        status = attempt("killed", _killer(kills) if kills < KILLS else None)
        if status == 0:
            break
        assert status == -signal.SIGKILL, status
        kills += 1
    print(json.dumps({"kills": kills}))


def run_hooked(folder: Path, of: Recipe, on_step: Callable[[], None] | None) -> Path:
    """A run whose model calls `on_step` at every batch of training."""
    torch.manual_seed(0)
    model = TinyModel(of.model, Task("binary"))  # type: ignore[arg-type]
    model.on_step = on_step
    return train(model, TinyWorld(124), TinyWorld(3, seed=1), of, folder)


class Stop:
    """Interrupts a run at a batch of its training."""

    def __init__(self, batch: int) -> None:
        self.left = batch

    def __call__(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


def train_exactly(folder: Path, clips: int) -> None:
    """A run without anything that depends on the batch: no dropout, frozen statistics; in float64."""
    model = TinyConfig(dropout=0.0, frozen=True, double=True)
    run(folder, recipe(model=model, optim=SGD_AND_ADAM, batch_size=clips, accumulate=2), clips=13, val=5)


def _say_rank() -> None:
    print(f"rank {distributed.get_rank()} of {distributed.get_world_size()} {distributed.get_backend()}\n", end="")


class _Training:
    """Some steps without the loop, with all weights here or sharded over the processes."""

    def __init__(self, sharded: bool) -> None:
        torch.manual_seed(0)
        config = TinyConfig(dropout=0.0, frozen=True, double=True, spare=True)
        self.model = TinyModel(config, Task("binary"))
        self.objective = Objective(self.model)
        if sharded:
            from torch.distributed.fsdp import fully_shard  # torch 2.6

            for module in (self.model, self.objective):
                fully_shard(module, mesh=init_device_mesh("cpu", (distributed.get_world_size(),)))
        self.optimizer = build_optimizer(self.model, self.model.param_groups(), SGD_AND_ADAM)
        self.average = MovingAverage(self.model, 0.5)
        self.batch = next(iter(make_loader(TinyWorld(4), batch_size=4)))
        self.accelerator: Any = SimpleNamespace(is_fsdp2=sharded, is_main_process=distributed.get_rank() == 0)

    def steps(self, count: int) -> dict[str, Tensor]:
        """The averaged weights after `count` more steps, whole in the first process."""
        for _ in range(count):
            torch.stack(list(self.objective(self.batch).values())).sum().backward()
            self.optimizer.step()
            self.optimizer.zero_grad()
            self.average.update(self.model)
        with self.average.applied(self.model):
            return {k: v.clone() for k, v in gathered_model(self.accelerator, self.model).state_dict().items()}


def _shard(folder: Path) -> None:
    """Sharded training is plain training, and goes on from a checkpoint of its whole state."""
    plain, sharded = _Training(sharded=False), _Training(sharded=True)
    assert isinstance(sharded.model.network[0].weight, DTensor)
    sharded.steps(2)
    predicted = sharded.model.predict(sharded.batch)[0].logits
    model, optimizer = whole_state(sharded.accelerator, sharded.model, sharded.optimizer)
    state = {"model": model, "optimizer": optimizer, "average": sharded.average.state_dict()}
    if distributed.get_rank() == 0:
        write_checkpoint(folder, 2, state)
    distributed.barrier()
    after = sharded.steps(2)
    read = read_checkpoint(folder / "step-000000002.pt")
    load_whole_state(sharded.accelerator, sharded.model, sharded.optimizer, read)
    sharded.average.load_state_dict(read["average"])
    assert torch.equal(sharded.model.predict(sharded.batch)[0].logits, predicted)
    again, wanted = sharded.steps(2), plain.steps(4)
    if distributed.get_rank() == 0:
        assert all(torch.equal(after[name], again[name]) for name in after)
        assert all(torch.allclose(again[name], wanted[name], rtol=0, atol=1e-12) for name in wanted)
    print("sharded\n", end="")


if __name__ == "__main__":
    work, where = sys.argv[1], Path(sys.argv[2])
    if work == "kill":
        _kill(where)
    else:
        with leaving_together():
            train_exactly(where, int(sys.argv[3]))
            _say_rank()
            _shard(where / "sharded")
