"""Models that open by name and need no file: names, choices, and their weights, which are never fetched unasked."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from avseg.config import ModelConfig, did_you_mean
from avseg.lazy import imported
from avseg.models import FAMILIES
from avseg.models.spec import Ask, FamilySpec, Opening

if TYPE_CHECKING:
    from avseg.types import Task

Download: TypeAlias = "bool | Ask"
"""Whether missing weights are fetched, or what asks somebody."""


@dataclass(frozen=True)
class ModelSource(os.PathLike[str]):
    """An argument of `load_model` with chosen options; behaves like the name or path."""

    name: str | Path
    choices: Mapping[str, Any] = field(default_factory=dict)
    """Options of a model that opens by name, such as {"vocabulary": "dog,guitar"}."""
    download: Download = False
    """Whether weights that are missing are fetched; a function is asked first, with a text that tells which."""

    def __str__(self) -> str:
        return str(self.name)

    def __fspath__(self) -> str:
        return str(self.name)

    @property
    def ask(self) -> Ask:
        """`download` as a function."""
        download = self.download
        return download if callable(download) else lambda _: download or None

    @property
    def words(self) -> str:
        """Return the argument for `avseg weights fetch`."""
        of_weights = {name for opening in openings().values() for name in opening.of_weights}
        chosen = [f"--{name} {shlex.quote(str(self.choices[name]))}" for name in self.choices if name in of_weights]
        return " ".join([shlex.quote(str(self)), *chosen])


def openings() -> dict[str, Opening]:
    """The families whose models open by name."""
    found = {name: FAMILIES[name].opening for name in FAMILIES}
    return {name: opening for name, opening in found.items() if opening is not None}


def opening_names() -> list[str]:
    """All names that open a model: of each family its own, then those with a preset."""
    return [name for family in openings() for name in (family, *(f"{family}-{p}" for p in FAMILIES[family].presets))]


def opening_of(source: object) -> tuple[FamilySpec, str | None] | None:
    """The family and the preset that a name opens; None for paths and all other names. A path begins with `./`.

    Raises:
        ValueError: a preset that the family does not have, where there is no file of that name either.
    """
    name = str(source.name) if isinstance(source, ModelSource) else source
    if not isinstance(name, str):
        return None
    for family in FAMILIES:
        if name != family and not name.startswith(f"{family}-"):
            continue
        spec, preset = FAMILIES[family], name[len(family) + 1 :] or None
        if spec.opening is None:
            continue
        if preset in (None, *spec.presets) and not name.endswith("-"):
            return spec, preset
        if not Path(name).suffix and "/" not in name and not Path(name).exists():
            raise ValueError(f"no model opens as {name!r}; {did_you_mean(name, opening_names())}")
    return None


def choices_of(spec: FamilySpec, given: Mapping[str, Any]) -> Any:
    """The choices of a family with some that are given.

    Raises:
        ValueError: one that the family does not have.
    """
    assert spec.opening is not None
    known = [own.name for own in fields(spec.opening.choices)]
    for name in given:
        if name not in known:
            raise ValueError(f"models of {spec.name} have no choice {name!r}; {did_you_mean(name, known)}")
    return spec.opening.choices(**given)


def refuse_choices(source: object) -> None:
    """Refuse choices for a source that is not a name.

    Raises:
        ValueError: choices are given with it.
    """
    if isinstance(source, ModelSource) and source.choices:
        raise ValueError(
            f"{', '.join(source.choices)} can be chosen of a model that opens by name ({', '.join(opening_names())}); "
            f"{source} is settled, so leave it out"
        )


def settled(source: ModelSource, spec: FamilySpec, preset: str | None, task: Task | None) -> tuple[ModelConfig, Task]:
    """Config and task of a name, with all weights that they want at known commits.

    Raises:
        ImportError: packages of the extra are missing.
        FileNotFoundError: weights are missing and nobody agrees to a download.
        ValueError: choices that the family does not have.
    """
    assert spec.opening is not None
    config, task = imported(spec.opening.setting)(preset, task, choices_of(spec, source.choices))
    return ready(source, spec, config), task


def ready(source: ModelSource, spec: FamilySpec, config: ModelConfig) -> ModelConfig:
    """The config of a name or a file, with all weights that it wants at known commits; see `settled`."""
    if spec.opening is None:
        return config
    found: ModelConfig = imported(spec.opening.ready)(config, source.ask, source.words)
    return found
