"""The sound bank belongs to a run: checkpoints keep it, model files and averages do not, and every process has its own.

As a script, in one of two processes: test_cavp_run.py FOLDER
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from avseg.datasets import data_config

sys.path.insert(0, str(Path(__file__).parents[1] / "engine"))
sys.path.insert(0, str(Path(__file__).parents[1]))

from launch import run_two

from avseg.config import InputSpec
from avseg.data.base import ClipDataset
from avseg.engine.config import OptimConfig, Recipe, TrainConfig
from avseg.engine.processes import leaving_together
from avseg.engine.training.checkpoint import read_checkpoint
from avseg.engine.training.objective import Objective
from avseg.engine.training.optim import MovingAverage
from avseg.engine.training.train import train
from avseg.losses import ContrastConfig
from avseg.models import build_model, load_model, save_model
from avseg.models.cavp.config import CAVPConfig
from avseg.models.cavp.model import CAVP
from avseg.types import Batch, Clip, DenseTarget, Draw, Task
from small import small_config

TASK = Task("semantic", ("bell", "dog"))
SIZE = 32


class World(ClipDataset):
    """Clips of one frame with one of two classes."""

    task, suite = TASK, "avsbench_semantic"

    def __init__(self, clips: int) -> None:
        self.config = data_config("synth")
        self.ids = [f"clip{i}" for i in range(clips)]

    def __getitem__(self, index: int) -> Clip:
        generator = torch.Generator().manual_seed(index)
        labels = torch.zeros(1, SIZE, SIZE, dtype=torch.int64)
        labels[:, : SIZE // 2] = index % 2 + 1
        return Clip(
            id=self.ids[index],
            frames=torch.randint(0, 256, (1, 3, SIZE, SIZE), generator=generator, dtype=torch.uint8),
            times=torch.zeros(1, dtype=torch.float64),
            audio=0.1 * torch.randn(1, 48000, generator=generator),
            sample_rate=16000,
            audio_start=-1.5,
            target=DenseTarget(
                labels, torch.ones(1, dtype=torch.bool), torch.tensor([[index % 2 == 0, index % 2 == 1]])
            ),
        )


def config() -> CAVPConfig:
    contrast = ContrastConfig(views=16, slots=2, overwrite=1.0)
    return small_config("cavp", input=InputSpec((SIZE, SIZE)), head_width=8, contrast=contrast)


def new_model(seed: int = 0) -> CAVP:
    torch.manual_seed(seed)
    model = build_model(config(), TASK)
    assert isinstance(model, CAVP)
    return model


def batch_of(first: int, epoch: int = 0) -> Batch:
    clips = [World(100)[first + i] for i in range(4)]
    return replace(Batch.collate(clips), draw=Draw(0, epoch), index=list(range(first, first + 4)))


def with_sounds() -> CAVP:
    model = new_model().train()
    model(batch_of(0))
    assert model.bank is not None and model.bank.written.tolist() == [2, 2] and bool(model.bank.sounds.any())
    return model


def test_a_model_file_holds_no_bank_and_loads_with_an_empty_one(tmp_path: Path) -> None:
    model = with_sounds()
    save_model(model, tmp_path / "model.safetensors")
    assert not [name for name in load_file(tmp_path / "model.safetensors") if name.startswith("bank")]
    again = load_model(tmp_path / "model.safetensors")
    assert isinstance(again, CAVP) and again.bank is not None
    assert not again.bank.sounds.any() and not again.bank.written.any()
    weights = model.network.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in again.network.state_dict().items())


def test_a_moving_average_leaves_the_bank_alone() -> None:
    model = with_sounds()
    average = MovingAverage(model, 0.5)
    assert not [name for name in average.state_dict()["shadow"] if name.startswith("bank")]
    model(batch_of(4))
    average.update(model)
    assert model.bank is not None
    sounds = model.bank.sounds.clone()
    with average.applied(model):
        assert torch.equal(model.bank.sounds, sounds)
        model.bank.write(torch.ones(1, 48000), torch.tensor([1]))
    assert int(model.bank.written[0]) == 5


class KilledError(RuntimeError):
    pass


def run(folder: Path, kill_at: int | None = None) -> None:
    """Three epochs of three batches, a checkpoint every second step; stopped at a batch where `kill_at` says so."""
    settings = TrainConfig(epochs=3, batch_size=4, workers=0, save_every=2, log_every=1, ema=0.9)
    recipe = Recipe(model=config(), data=data_config("synth"), optim=OptimConfig(lr=1e-3), train=settings)
    model = new_model()
    seen = {"batches": 0}

    def stop(*_: Any) -> None:
        seen["batches"] += 1
        if seen["batches"] == kill_at:
            raise KilledError

    model.register_forward_pre_hook(stop)
    train(model, World(12), None, recipe, folder)


def test_a_run_goes_on_with_the_bank_it_had(tmp_path: Path) -> None:
    run(tmp_path / "whole")
    for kill_at in (4, 3, 3):  # counted from where it goes on: after the first epoch and within later ones
        with pytest.raises(KilledError):
            run(tmp_path / "killed", kill_at)
    run(tmp_path / "killed")
    one, other = (load_file(tmp_path / name / "last.safetensors") for name in ("whole", "killed"))
    assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
    assert (tmp_path / "whole" / "metrics.jsonl").read_bytes() == (tmp_path / "killed" / "metrics.jsonl").read_bytes()
    states = [read_checkpoint(max((tmp_path / n / "checkpoints").glob("*.pt"))) for n in ("whole", "killed")]
    assert bool(states[0]["model"]["bank.sounds"].any())
    assert torch.equal(states[0]["model"]["bank.sounds"], states[1]["model"]["bank.sounds"])
    assert states[0]["model"]["bank.written"].tolist() == [18, 18]


def test_every_process_keeps_its_own_bank(tmp_path: Path) -> None:
    printed = run_two(Path(__file__), str(tmp_path))
    assert printed.split().count("own") == 2


def _in_one_of_two(folder: Path) -> None:
    """Two steps under DDP with other clips in each process, an exchange of buffers, a checkpoint and its return."""
    from accelerate import Accelerator
    from accelerate.utils import DistributedDataParallelKwargs

    from avseg.engine.training.checkpoint import write_checkpoint
    from avseg.engine.training.state import RunState

    accelerator = Accelerator(cpu=True, kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)])
    rank = accelerator.process_index
    alone, model = new_model(seed=rank).train(), new_model(seed=rank).train()
    for other in (alone, model):
        assert other.bank is not None
        other.bank.sounds.fill_(rank + 1.0)  # before DDP makes everything else equal
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    objective, optimizer = accelerator.prepare(Objective(model), optimizer)
    objective.train()
    for epoch in range(2):
        batch = batch_of(10 * rank + 4 * epoch, epoch)
        accelerator.backward(torch.stack(list(objective(batch).values())).sum())
        optimizer.step()
        optimizer.zero_grad()
        with torch.no_grad():
            alone(batch)
    state = RunState(accelerator, model, optimizer, 0.9)
    state.share_buffers()
    assert alone.bank is not None and model.bank is not None
    assert torch.equal(model.bank.sounds, alone.bank.sounds) and model.bank.written.tolist() == [4, 4]
    statistics = torch.cat([b.flatten().float() for n, b in model.network.named_buffers() if b.is_floating_point()])
    both = accelerator.gather(statistics[None])
    assert torch.equal(both[0], both[1])
    whole = state.to_dict()
    if rank == 0:
        write_checkpoint(folder, 2, whole)
    accelerator.wait_for_everyone()
    model.bank.sounds.zero_()
    state.restore(folder / "step-000000002.pt")
    assert torch.equal(model.bank.sounds, alone.bank.sounds)
    print("own\n", end="")


if __name__ == "__main__":
    torch.set_num_threads(1)
    with leaving_together():
        _in_one_of_two(Path(sys.argv[1]))
