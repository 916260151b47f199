"""Transfer of weights from the file of another model, which may have other classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from avseg.models.base import Model, load_plain, plain_state, run_buffers
from avseg.models.class_rows import ClassRows, kept_rows
from avseg.models.files import read_safetensors
from avseg.models.header import LICENCES, ORIGIN, Header, read_header
from avseg.models.places import DEMO, find_file
from avseg.types import Task

PARTS = ("weight", "bias")
"""Tensors of a layer whose rows are classes."""


@dataclass(frozen=True)
class Transfer:
    """The kept and the newly initialised parameters; prints as log lines."""

    path: Path
    task: Task
    """Task of the file."""
    new_task: Task
    kept: tuple[str, ...]
    """Tensors that are as the file has them."""
    mixed: tuple[str, ...]
    """Tensors of which the rows of some classes are the file's."""
    fresh: tuple[str, ...]
    """Tensors that have none of the file's numbers."""
    unused: tuple[str, ...]
    """Tensors of the file that found no place."""
    knows_classes: bool
    """Whether rows of classes were kept."""
    licence: str = ""
    """Licence of the file's weights; empty if not stated."""

    @property
    def kept_classes(self) -> list[str]:
        """Classes whose rows were kept."""
        return [name for name in self.new_task.classes if name in self.task.classes] if self.knows_classes else []

    @property
    def new_classes(self) -> list[str]:
        """Classes whose rows begin fresh."""
        return [name for name in self.new_task.classes if name not in self.kept_classes]

    @property
    def dropped_classes(self) -> list[str]:
        """Classes that the file has and the model lacks."""
        return [name for name in self.task.classes if name not in self.new_task.classes]

    def __str__(self) -> str:
        count = len(self.kept) + len(self.mixed) + len(self.fresh)
        partly = f", {len(self.mixed)} in part" if self.mixed else ""
        kept = f"kept of {_place(self.path)}: {len(self.kept)} of {count} tensors{partly}"
        new = [f"{len(self.fresh)} tensors ({few(self.fresh)})"] if self.fresh else []
        if self.new_task.classes:
            kept += f"; {_counted(self.kept_classes)}"
            new += [_counted(self.new_classes)] if self.new_classes else []
        elif self.task.classes:
            new += ["the foreground, since the file has classes"]
        new_text = f"new: {'; '.join(new) or 'nothing'}"
        if self.dropped_classes:
            new_text += f"; left behind: {_counted(self.dropped_classes)}"
        terms = [f"licence of the weights of {Path(_place(self.path)).name}: {self.licence}"] if self.licence else []
        return "\n".join([kept, new_text, *terms])


def _place(path: Path) -> str:
    """The path of a model file as the user wrote it; that of the model in the package is `demo`."""
    return DEMO if path == find_file(DEMO) else str(path)


def _counted(names: Sequence[str]) -> str:
    listed = f" ({few(names)})" if names else ""
    return f"{len(names) or 'no'} class{'es' * (len(names) != 1)}{listed}"


def few(names: Sequence[str], most: int = 5) -> str:
    """The first names of a list, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def take_model_file(model: Model[Any], source: str | Path) -> Transfer:
    """Give a model, in place, all of a model file's tensors that agree in name and shape.

    Where the file is for another task, the layers that `Model.class_rows` names begin fresh, but for the rows of the
    background and of classes that both tasks name.

    Raises:
        FileNotFoundError: no such file.
        ValueError: nothing agrees.
    """
    path = find_file(source)
    header = read_header(path)
    state, own, old = read_safetensors(path), plain_state(model), Task.from_dict(header.task)
    layers = _class_tensors(model)
    apart = layers if old != model.task else {}
    kept = {n: t for n, t in state.items() if n in own and own[n].shape == t.shape and n not in apart}
    mixed = {
        name: rows
        for name, layer in apart.items()
        if name in state and (rows := _mixed(own[name], state[name], layer, old, model.task)) is not None
    }
    if not kept and not mixed:
        raise ValueError(
            f"no tensor of {path}, a model of the family {header.family}, agrees in name and shape with this model of "
            f"the family {model.config.family}; give a file of that family"
        )
    load_plain(model, {**kept, **mixed}, strict=False)
    model.descent = _handed_on(header, path)
    taken, of_run = {*kept, *mixed}, run_buffers(model)
    return Transfer(
        path,
        old,
        model.task,
        kept=tuple(kept),
        mixed=tuple(mixed),
        fresh=tuple(name for name in own if name not in taken and name not in of_run),
        unused=tuple(name for name in state if name not in taken and name not in apart),
        knows_classes=bool(mixed) or (old == model.task and all(name in kept for name in layers)),
        licence=next((header.notes[name] for name in LICENCES if name in header.notes), ""),
    )


def _handed_on(header: Header, path: Path) -> dict[str, str]:
    """Return the origin note of a model initialised from the file at `path`."""
    descent = header.descent
    before = f" ({descent[ORIGIN]})" if ORIGIN in descent else ""
    return {**descent, ORIGIN: f"trained further from {Path(_place(path)).name}{before}"}


def _class_tensors(model: Model[Any]) -> Mapping[str, ClassRows]:
    """The rule of every tensor whose rows are classes."""
    own = plain_state(model)
    named = {f"{layer}.{part}": rows for layer, rows in model.class_rows().items() for part in PARTS}
    return {name: rows for name, rows in named.items() if name in own}


def _mixed(fresh: Tensor, given: Tensor, rows: ClassRows, old: Task, new: Task) -> Tensor | None:
    """`fresh` with those rows of `given` that both tasks name; None where there is none, or the shapes differ."""
    pairs = kept_rows(rows, old, new)
    if not pairs or given.shape[1:] != fresh.shape[1:] or len(given) != len(rows(old)):
        return None
    mixed = fresh.clone()
    here, there = zip(*pairs, strict=True)
    mixed[list(here)] = given[list(there)].to(mixed)
    return mixed
