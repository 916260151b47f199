"""The training loop, with Hugging Face Accelerate for devices, precision and processes."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import set_seed

from avseg.data.base import ClipDataset
from avseg.data.loader import ClipLoader, make_loader, workers_here
from avseg.data.transforms import train_transforms
from avseg.engine.config import Recipe, TrainConfig
from avseg.engine.evaluation.evaluate import default_metrics, evaluate
from avseg.engine.processes import share_of_step
from avseg.engine.training.accelerator import device_name, environment, make_accelerator, on_main, share_statistics
from avseg.engine.training.checkpoint import Position, newest_checkpoint, write_checkpoint
from avseg.engine.training.folder import RunFolder, flat, recipe_dict, write_json
from avseg.engine.training.lock import only_writer
from avseg.engine.training.log import Meter, MetricsFile, for_tracker, in_millions, readers, step_line
from avseg.engine.training.objective import Objective
from avseg.engine.training.optim import build_optimizer, set_rates
from avseg.engine.training.state import RunState
from avseg.engine.training.store import RunStore, need_checkpoint
from avseg.models.base import Model
from avseg.models.compiled import CompiledCall, compiled_calls
from avseg.progress import Progress, is_due
from avseg.types import Batch

log = logging.getLogger(__name__)


def train(
    model: Model[Any],
    train_set: ClipDataset,
    val_set: ClipDataset | None,
    recipe: Recipe,
    run_dir: Path,
    *,
    resume: bool = True,
) -> Path:
    """Train a model by a recipe, or continue from the newest checkpoint in the folder of the run.

    Augmentation, sizing and the protocol of the labels follow `train_set.config` and `val_set.config`. These replace
    `recipe.data` and `recipe.val`, also in the folder's recipe.json. The call sets the global seeds of Python, numpy
    and torch, from which dropout draws.

    Args:
        model: The model to train; its config must equal `recipe.model`.
        train_set: Clips to train on.
        val_set: Clips to validate on; None trains without validation.
        recipe: Optimiser, schedule, length and what is written.
        run_dir: The folder of the run, which is made if it is missing.
        resume: Whether to continue from a checkpoint in the folder.

    Returns:
        The model file with the best first score of the validation set's suite, or the last one without validation.

    Raises:
        ValueError: The model does not learn, the recipe is for another model or cannot run here, a data set is empty,
            the family cannot be compiled, or the folder holds a finished run or one of another recipe.
        RuntimeError: Another process writes to the folder.
        OSError: `recipe.train.store` cannot be reached when the run begins or ends.
        FloatingPointError: A loss term is not finite.

    Examples:
        Train one step of a small model on synthetic clips:

        >>> from dataclasses import replace
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> from avseg import build_dataset, build_model, train
        >>> from avseg.recipes import get_recipe
        >>> recipe = get_recipe("demo")
        >>> data = replace(recipe.data, clips=16, size=64)
        >>> recipe = replace(recipe, data=data, val=None, train=replace(recipe.train, steps=1, batch_size=2, workers=0))
        >>> train_set = build_dataset(data, "train")
        >>> with TemporaryDirectory() as folder:
        ...     train(build_model(recipe.model, train_set.task), train_set, None, recipe, Path(folder)).name
        'last.safetensors'
    """
    _check_model(recipe, model)
    for name, dataset in (("training", train_set), ("validation", val_set)):
        if dataset is not None and len(dataset) == 0:
            raise ValueError(f"the {name} set has no clips; check data.root with `avseg data check`")
    if val_set is not None:
        default_metrics(val_set, recipe.train.protocol)  # refuses now, not after an epoch
    recipe = _as_given(recipe, train_set, val_set)
    folder = RunFolder(Path(run_dir))
    accelerator = make_accelerator(recipe.train, model, folder.path)
    try:
        with ExitStack() as stack:
            calls = stack.enter_context(_compiled(model, recipe.train)) if recipe.train.compile else []
            on_main(accelerator, lambda: stack.enter_context(only_writer(folder.path)))
            store = RunStore.of(recipe.train.store, folder)
            if store:
                on_main(accelerator, partial(store.bring, recipe, resume))
            checkpoint = on_main(accelerator, lambda: folder.claim(recipe, resume))
            return _Run(accelerator, model, train_set, val_set, recipe, folder, calls).run(checkpoint, store)
    except KeyboardInterrupt:
        place = "from its newest checkpoint" if newest_checkpoint(folder.checkpoints) else "from the first step"
        log.warning("interrupted; run the same recipe again to continue in %s %s", folder.path, place)
        raise
    finally:
        # Accelerate's settings are global; the next training in this process may have others.
        AcceleratorState._reset_state()


def _check_model(recipe: Recipe, model: Model[Any]) -> None:
    """Refuse a model that does not learn, and a recipe that tells of another model than the one to train."""
    refuse_untrained(model)
    wanted, given = recipe_dict(recipe), recipe_dict(replace(recipe, model=model.config))
    if wanted["family"] != given["family"]:
        raise ValueError(
            f"recipe.model has the family {wanted['family']}, but the model has "
            f"{given['family']}; use a recipe of that family"
        )
    ours, theirs = flat(wanted["model"]), flat(given["model"])
    name = next((name for name in sorted({*ours, *theirs}) if ours.get(name) != theirs.get(name)), None)
    if name is not None:
        raise ValueError(
            f"recipe.model.{name} is {ours.get(name)!r}, and that of the model "
            f"is {theirs.get(name)!r}; build the model "
            "from recipe.model, or use dataclasses.replace(recipe, model=model.config)"
        )


def refuse_untrained(model: Model[Any]) -> None:
    """
    Raises:
        ValueError: a model of a family that does not learn.
    """
    if not model.trains:
        raise ValueError(
            f"a model of the family {model.config.family} has no trainable parameters; train another family"
        )


def _compiled(model: Model[Any], config: TrainConfig) -> AbstractContextManager[list[CompiledCall]]:
    """Compile the parts of the family during training."""
    return compiled_calls(model, model.compiles, graphs=config.cuda_graphs)


def _as_given(recipe: Recipe, train_set: ClipDataset, val_set: ClipDataset | None) -> Recipe:
    """The recipe with what the data sets say of themselves; `val` stays None where both say the same."""
    val = recipe.val if val_set is None else val_set.config
    return replace(recipe, data=train_set.config, val=None if recipe.val is None and val == train_set.config else val)


class _Run:
    """A run in one process: built, brought to its checkpoint, and carried to its end."""

    def __init__(
        self,
        accelerator: Accelerator,
        model: Model[Any],
        train_set: ClipDataset,
        val_set: ClipDataset | None,
        recipe: Recipe,
        folder: RunFolder,
        calls: Sequence[CompiledCall] = (),
    ) -> None:
        self.accelerator, self.recipe, self.config, self.folder = accelerator, recipe, recipe.train, folder
        self.train_set, self.val_set, self.calls = train_set, val_set, calls
        set_seed(self.config.seed, device_specific=True)
        self.model = model.to(accelerator.device)
        if self.config.strategy == "fsdp2":  # it shards no weights that have their channels last
            self.model.to(memory_format=torch.contiguous_format)
        if self.config.sync_batch_norm:
            share_statistics(accelerator, model)
        optimizer = build_optimizer(model, model.param_groups(), recipe.optim)
        self.bare = Objective(model)
        self.objective, self.optimizer = accelerator.prepare(self.bare, optimizer)
        self.state = RunState(accelerator, model, self.optimizer, self.config.ema)
        self.workers = workers_here(self.config.workers)
        self.loader = self._make_loader()
        self.batches = len(self.loader)
        steps = -(-self.batches // self.config.accumulate)  # of an epoch
        self.steps = self.config.steps or steps * self.config.epochs
        self.epochs = -(-self.steps // steps)
        self.saved = 0
        """The step of the latest checkpoint."""
        self.meter = Meter(self.state.tallies)
        self.metrics: MetricsFile | None = None

    def _make_loader(self) -> ClipLoader:
        config, seed = self.config, self.config.seed
        loader = make_loader(
            self.train_set,
            train_transforms(self.train_set.config, self.model.config.input),
            batch_size=config.batch_size,
            seed=seed,
            shuffle=True,
            workers=self.workers,
            drop_last=config.drop_last,
        )
        # A generator of its own: starting the workers must not draw from the one that dropout draws from.
        loader.generator = torch.Generator().manual_seed(seed)
        return loader.shard(self.accelerator.process_index, self.accelerator.num_processes)

    def run(self, checkpoint: Path | None, store: RunStore | None = None) -> Path:
        """From the checkpoint, or the beginning, to the summary; the path of the best model file."""
        self.store = store
        if checkpoint:
            with self.accelerator.local_main_process_first():
                need_checkpoint(checkpoint, store)
        size = self.state.restore(checkpoint)["metrics_size"] if checkpoint else 0
        main = self.accelerator.is_main_process
        if main:
            self.metrics = MetricsFile(self.folder.metrics, size)
            write_json(self.folder.environment, environment(self.accelerator))
        if self.config.trackers:
            self.accelerator.init_trackers("avseg", config=for_tracker(flat(recipe_dict(self.recipe))))
        began = time.monotonic()
        self.last_shown = self.saved = self.state.position.step
        self.progress = Progress(self.steps, "train", "step", done=self.last_shown, quiet=not main, lines=False)
        for line in self._banner():
            self.progress.line(line)
        with self.progress:
            for epoch in range(self.state.position.epoch, self.epochs):
                self._train_epoch(epoch)
                self._end_epoch(epoch)
        for tracker in self.accelerator.trackers:
            tracker.finish()
        return self._finish(time.monotonic() - began)

    def _banner(self) -> list[str]:
        """The lines with which a run begins."""
        of, config, done = self.accelerator, self.config, self.state.position.step
        every = in_millions(sum(p.numel() for p in self.model.parameters()))
        trained = in_millions(sum(p.numel() for p in self.model.parameters() if p.requires_grad))
        processes = f" x {of.num_processes}" if of.num_processes > 1 else ""
        clips = config.batch_size * config.accumulate * of.num_processes
        validated = f", {len(self.val_set)} to validate" if self.val_set is not None else ""
        lines = [
            f"training {self.model.config.family} on {self.recipe.data.name}: {len(self.train_set)} clips{validated}",
            f"  model   {every} parameters, {trained} of them trained",
            f"  device  {device_name(of.device)}{processes}, {config.precision}, {readers(self.workers)}",
            f"  length  {self.steps} steps in {self.epochs} epoch{'s' * (self.epochs != 1)}, "
            f"{clips} clip{'s' * (clips != 1)} a step",
            f"  folder  {self.folder.path}",
        ]
        return [*lines, f"resuming from step {done} of {self.steps}"] if done else lines

    def _train_epoch(self, epoch: int) -> None:
        self.objective.train()
        self.loader.set_position(epoch, self.state.position.batch)
        for number, batch in enumerate(self.loader, start=self.state.position.batch):
            ends = (number + 1) % self.config.accumulate == 0 or number + 1 == self.batches
            with nullcontext() if ends else self.accelerator.no_sync(self.objective):
                self._backward(number, batch.to(self.accelerator.device))
            if ends:
                self._step(epoch, number + 1)
            if self.state.position.step == self.steps:
                break

    def _backward(self, number: int, batch: Batch) -> None:
        """Add a batch's gradient, weighted so that a step's gradient is the mean over all its clips."""
        share = self._share(number)
        if self.config.cuda_graphs:
            torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        terms = self.objective(batch)
        if self.calls and not any(call.used for call in self.calls):
            raise ValueError(
                f"train.compile has no effect: training the family {self.model.config.family} calls none of its "
                f"compiled parts ({', '.join(self.model.compiles)}); leave it out"
            )
        self.meter.add(terms, share, self.bare.measures)
        # DDP and FSDP average over the processes, hence their number.
        total = torch.stack(list(terms.values())).sum()
        self.accelerator.backward(total * (share * self.accelerator.num_processes))

    def _share(self, number: int) -> float:
        """This process's part of the clips of the step that batch `number` belongs to."""
        of, config = self.accelerator, self.config
        clips = min(len(self.train_set), self.batches * config.batch_size * of.num_processes)  # fewer with drop_last
        return share_of_step(number, clips, config.batch_size, config.accumulate, of.process_index, of.num_processes)

    def _step(self, epoch: int, batches: int) -> None:
        """One step of the optimiser, and what is due after it."""
        optim, step = self.recipe.optim, self.state.position.step
        rates = set_rates(self.optimizer, step, self.steps, optim)
        if optim.clip_norm is not None:
            self.accelerator.clip_grad_norm_(self.objective.parameters(), optim.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        if self.state.average:
            self.state.average.update(self.model)
        self.state.position = Position(epoch, batches, step + 1)
        self.meter.end_step({"event": "step", "step": step + 1, "epoch": epoch, "lr": rates})
        self.progress.at(step + 1)
        if (step + 1) % self.config.log_every == 0 or is_due(step + 1, self.steps):
            self._log()
        if (step + 1) % self.config.save_every == 0 and batches < self.batches and step + 1 < self.steps:
            self._save()

    def _end_epoch(self, epoch: int) -> None:
        self._log()
        self.state.position = Position(epoch + 1, 0, self.state.position.step)
        self.state.share_buffers()
        last = epoch + 1 == self.epochs
        validates = self.val_set is not None and (
            (last and self.config.steps is not None) or self.config.validates(epoch)
        )
        if self.val_set is not None and validates:
            self._validate(epoch, self.val_set)
        # Of ten clips an epoch is a moment, and a large model takes longer to be written than to learn in it.
        if last or validates or self.state.position.step - self.saved >= self.config.save_every:
            self._save()

    def _log(self) -> None:
        """Write the rows of the latest steps; stops the run at a term that is not finite."""
        rows = self.meter.rows(lambda values: self.accelerator.reduce(values, "sum"))
        for row in rows:
            self._write(row)
        if rows and (self.progress.on_terminal or is_due(rows[-1]["step"], self.steps, self.last_shown)):
            self.last_shown = rows[-1]["step"]
            pace = "" if self.progress.on_terminal else f"  {self.progress.pace}"
            self.progress.line(step_line(rows[-1], self.steps) + pace)

    def _write(self, row: dict[str, Any]) -> None:
        if self.metrics:
            self.metrics.write(row)
        if self.config.trackers:
            self.accelerator.log(for_tracker(flat(row)), step=row["step"])

    def _validate(self, epoch: int, dataset: ClipDataset) -> None:
        protocol = self.config.protocol
        with self.state.averaged():
            figures = evaluate(
                self.model,
                dataset,
                protocol=protocol,
                batch_size=self.config.eval_batch_size,
                device=str(self.accelerator.device),
                workers=self.workers,
                progress=True,
            )
            facts = {"event": "validation", "step": self.state.position.step, "epoch": epoch, "protocol": protocol}
            self._write({**facts, "figures": figures})
            self.progress.line(f"epoch {epoch}  {protocol}  " + "  ".join(f"{k} {v:.4f}" for k, v in figures.items()))
            for name in self.state.beaten(figures, self.config.also_best):
                self.state.save_model(self.folder.path / name, epoch)

    def _save(self) -> None:
        """Write a checkpoint; always between two steps of the optimiser."""
        self._log()
        self.saved = self.state.position.step
        state = self.state.to_dict()
        if self.metrics:
            size = self.metrics.settle()
            path = write_checkpoint(self.folder.checkpoints, self.state.position.step, {**state, "metrics_size": size})
            if self.store:
                self.store.keep(path)

    def _finish(self, seconds: float) -> Path:
        with self.state.averaged():
            self.state.save_model(self.folder.last, self.epochs - 1)
        chosen = self.folder.best if self.state.best else self.folder.last
        if self.metrics:
            self.metrics.close()
            summary = {
                "steps": self.state.position.step,
                "epochs": self.epochs,
                "seconds_since_resume": round(seconds, 1),
                "parameters": sum(p.numel() for p in self.model.parameters()),
                "protocol": self.config.protocol,
                "best": self.state.best,
                "last_figures": self.state.figures,
                "model": chosen.name,
            }
            write_json(self.folder.summary, summary)
            if self.store:
                self.store.finish()
        self.accelerator.wait_for_everyone()
        return chosen
