"""The full state of a run, for checkpoints and model files."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast, gather_object

from avseg.config import did_you_mean
from avseg.engine.training.checkpoint import Position, random_state, read_checkpoint, set_random_state
from avseg.engine.training.log import Tallies
from avseg.engine.training.optim import MovingAverage
from avseg.engine.training.sharded import gathered_model, load_whole_state, whole_state
from avseg.models import save_model
from avseg.models.base import Model, load_plain, plain_name, run_buffers

BEST = "best.safetensors"


class RunState:
    """Model, optimiser, moving average, generators, position and the best figures so far."""

    def __init__(
        self, accelerator: Accelerator, model: Model[Any], optimizer: torch.optim.Optimizer, decay: float | None
    ) -> None:
        self.accelerator, self.model, self.optimizer = accelerator, model, optimizer
        self.average = MovingAverage(model, decay) if decay is not None else None
        self.position = Position()
        self.best: dict[str, float] = {}
        """The best value so far by the name of the model file that it keeps."""
        self.figures: dict[str, float] = {}
        """Scores of the latest validation."""
        self.tallies = Tallies()

    def averaged(self) -> AbstractContextManager[None]:
        """The model as it is validated and saved: with the averaged weights, where an average is kept."""
        return self.average.applied(self.model) if self.average else nullcontext()

    def share_buffers(self) -> None:
        """Batch statistics of the first process for all: each has gone on from them with a last batch of its own."""
        if self.accelerator.num_processes == 1:
            return
        of_run = run_buffers(self.model)
        for full, buffer in self.model.named_buffers():
            name = plain_name(full)
            if name in of_run:
                continue
            broadcast(buffer)
            if self.average and name in self.average.shadow:
                broadcast(self.average.shadow[name])

    def beaten(self, figures: dict[str, float], also_best: tuple[str, ...]) -> list[str]:
        """Take in the figures of a validation; the names of the model files that they are the best of so far.

        `best.safetensors` goes by the first figure, another one by the sum of those that `also_best` names.

        Raises:
            ValueError: a figure that the suite does not give.
        """
        values = {BEST: next(iter(figures.values()))}
        if also_best:
            for name in also_best:
                if name not in figures:
                    raise ValueError(f"train.also_best names {name!r}; {did_you_mean(name, figures)}")
            values[f"best_{'_and_'.join(also_best)}.safetensors"] = sum(figures[name] for name in also_best)
        self.figures = figures
        won = [name for name, value in values.items() if value > self.best.get(name, -math.inf)]
        self.best.update({name: values[name] for name in won})
        return won

    def save_model(self, path: Path, epoch: int) -> None:
        """Write the model as it now is to a file; every process must call this."""
        plain = gathered_model(self.accelerator, self.model)
        if self.accelerator.is_main_process:
            save_model(plain, path, notes={"epoch": str(epoch), "step": str(self.position.step)})

    def to_dict(self) -> dict[str, Any]:
        """Return the content of a checkpoint, complete in the first process; every process must call this."""
        model, optimizer = whole_state(self.accelerator, self.model, self.optimizer)
        scaler = self.accelerator.scaler
        return {
            "position": self.position.to_dict(),
            "model": model,
            "descent": self.model.descent,
            "optimizer": optimizer,
            "average": self.average.state_dict() if self.average else None,
            "scaler": scaler.state_dict() if scaler else None,
            "random": gather_object([random_state()]),
            "run": self._run_states(),
            "tallies": self.tallies.counts,
            "best": self.best,
            "figures": self.figures,
        }

    def _run_states(self) -> list[dict[str, torch.Tensor]]:
        """Return the state of single processes; empty if the model holds it all."""
        of_run = run_buffers(self.model)
        if not of_run or self.accelerator.num_processes == 1:
            return []
        buffers = {plain_name(name): buffer for name, buffer in self.model.named_buffers()}
        own = {name: buffer.cpu() for name, buffer in buffers.items() if name in of_run}
        states: list[dict[str, torch.Tensor]] = gather_object([own])
        return states

    def restore(self, path: Path) -> dict[str, Any]:
        """Bring everything to a checkpoint, which is returned.

        Raises:
            ValueError: the file is damaged, or another number of processes wrote it.
        """
        state = read_checkpoint(path)
        processes = self.accelerator.num_processes
        if len(state["random"]) != processes:
            raise ValueError(
                f"{path} was written by {len(state['random'])} processes, but now there "
                f"are {processes}; resume with the same number"
            )
        load_whole_state(self.accelerator, self.model, self.optimizer, state)
        if state.get("run"):
            load_plain(self.model, state["run"][self.accelerator.process_index], strict=False)
        if self.average:
            self.average.load_state_dict(state["average"])
        if self.accelerator.scaler:
            self.accelerator.scaler.load_state_dict(state["scaler"])
        set_random_state(state["random"][self.accelerator.process_index])
        self.model.descent = state.get("descent", {})
        self.tallies.counts.update(state.get("tallies", {}))
        self.position, self.best, self.figures = Position(**state["position"]), state["best"], state["figures"]
        return state
