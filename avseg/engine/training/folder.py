"""The folder of a run: its files, and whether a run may continue in it."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from avseg.config import from_dict, to_dict
from avseg.data.config import DataConfig
from avseg.datasets import own_config, read_config, without_foreign
from avseg.engine.config import Recipe
from avseg.engine.training.checkpoint import newest_checkpoint, remove_leavings
from avseg.io.files import write_text

FREE = {
    "data": ("root", "shards"),
    "val": ("root", "shards"),
    "train": ("workers", "log_every", "save_every", "trackers", "eval_batch_size", "store"),
}
"""Settings that a resumed run may change, because they do not change the training."""


class RunFolder:
    """Names of the files of a run; docs/how-to/training.md says what each holds."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.recipe = self.path / "recipe.json"
        self.environment = self.path / "environment.json"
        self.metrics = self.path / "metrics.jsonl"
        self.checkpoints = self.path / "checkpoints"
        self.summary = self.path / "summary.json"
        self.best = self.path / "best.safetensors"
        self.last = self.path / "last.safetensors"

    def claim(self, recipe: Recipe, resume: bool) -> Path | None:
        """Make the folder this recipe's; the checkpoint to go on from, if there is one.

        Raises:
            ValueError: the folder holds a finished run, one of another recipe, or one although `resume` is false.
        """
        if self.summary.exists():
            raise ValueError(f"{self.path} holds a finished run; choose another run folder, or delete this one")
        if self.recipe.exists():
            if not resume:
                raise ValueError(f"{self.path} holds an unfinished run; resume it, or choose another folder")
            # A run that ended before its first checkpoint, as at data that do not fit, has left nothing to guard.
            if newest_checkpoint(self.checkpoints) is not None:
                self.refuse_other(recipe)
        remove_leavings(self.path)
        remove_leavings(self.checkpoints)
        write_json(self.recipe, recipe_dict(recipe))
        return newest_checkpoint(self.checkpoints)

    def finished(self, recipe: Recipe) -> bool:
        """Whether the folder holds a run of this recipe that came to its end.

        Raises:
            ValueError: it holds a finished run of another recipe.
        """
        if not self.summary.exists():
            return False
        self.refuse_other(recipe)
        return True

    def refuse_other(self, recipe: Recipe, written: bytes | None = None, place: str = "") -> None:
        """
        Args:
            recipe: That of this run.
            written: The recipe to compare it with; by default that of the folder.
            place: Where it stands.

        Raises:
            ValueError: they differ in what moves the curve.
        """
        there = flat(_with_new_fields(json.loads(written or self.recipe.read_bytes()), recipe))
        # Through JSON, so that both sides have lists where one had tuples.
        here = flat(json.loads(json.dumps(recipe_dict(recipe))))
        free = {f"{part}.{name}" for part, names in FREE.items() for name in names}
        names = sorted((there.keys() | here.keys()) - free)
        changed = [name for name in names if _of_file(name, there.get(name)) != _of_file(name, here.get(name))]
        if changed:
            listed = "; ".join(f"{k} was {there.get(k)!r} and is {here.get(k)!r}" for k in changed[:5])
            where, choose = (place, "place (--train.store)") if place else (self.path, "run folder")
            raise ValueError(f"{where} holds a run of another recipe ({listed}); choose another {choose}")


def _of_file(name: str, value: Any) -> Any:
    """Files of first weights may have moved since the run began: their own names count, not their folders'."""
    return Path(value).name if name.startswith("init.") and isinstance(value, str) else value


def _with_new_fields(values: dict[str, Any], recipe: Recipe) -> dict[str, Any]:
    """A recipe as written, with the defaults of settings that came into the library since then."""
    values = {**values, **{part: without_foreign(values[part]) for part in ("data", "val") if values.get(part)}}
    if values.get("family") != type(recipe.model).family:
        return values
    kinds: dict[str, type[Any]] = {f.name: type(getattr(recipe, f.name) or recipe.data) for f in fields(recipe)}
    try:
        parts: dict[str, Any] = {
            name: values[name] and (read_config if issubclass(kind, DataConfig) else from_dict)(kind, values[name])
            for name, kind in kinds.items()
            if name in values
        }
        old = Recipe(**parts)
    except ValueError:  # a setting that is no longer there; the comparison names it
        return values
    written: dict[str, Any] = json.loads(json.dumps(recipe_dict(old)))
    return written


def recipe_dict(recipe: Recipe) -> dict[str, Any]:
    """The resolved recipe as plain types, with the family's name and the data sets' own options."""
    recipe = replace(recipe, data=own_config(recipe.data), val=recipe.val and own_config(recipe.val))
    return {"family": type(recipe.model).family, **to_dict(recipe)}


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested dicts as one with dotted names."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        inner = flat(value, f"{prefix}{key}.") if isinstance(value, dict) and value else {f"{prefix}{key}": value}
        found.update(inner)
    return found


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Readable JSON, whole or absent."""
    write_text(path, json.dumps(values, indent=2, ensure_ascii=False) + "\n")
