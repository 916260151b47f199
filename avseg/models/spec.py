"""The record of a model family: what the library and its command line know of it. Imports no torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeAlias

from avseg.config import ModelConfig, did_you_mean
from avseg.lazy import imported

if TYPE_CHECKING:
    from avseg.models.base import Model
    from avseg.types import Task


@dataclass(frozen=True)
class Preset:
    """A published setting: a config, and the task that it is for where there is one alone."""

    make: Callable[..., ModelConfig]
    """The config, with fields that depart from the published ones as keywords."""
    kind: str = ""
    """Kind of the task; empty: the caller gives the task."""
    classes: Callable[[], tuple[str, ...]] | None = None
    """Names of the task's classes, without background."""

    def __call__(self, **changes: Any) -> ModelConfig:
        return self.make(**changes)

    @property
    def task(self) -> Task | None:
        """The task that the setting fixes."""
        from avseg.types import Task

        if not self.kind:
            return None
        return Task(self.kind, self.classes() if self.classes else ())  # type: ignore[arg-type]


Ask: TypeAlias = Callable[[str], "bool | None"]
"""Whether somebody agrees to a download that the text tells of; None: there is nobody to ask."""
OF_WEIGHTS = {"weights": True}
"""Metadata of fields of `Opening.choices`."""


@dataclass(frozen=True)
class Opening:
    """How models of a family open by name, without a file: by the family's name, or NAME-PRESET."""

    choices: type
    """A dataclass of what a user may choose beside, all with defaults: they become options of the commands."""
    setting: str
    """"module:function" of (preset or None, task or None, choices) -> (config, task)."""
    ready: str
    """"module:function" of (config, ask, source) -> config. It sees that all weights are in the cache, downloads what
    is missing where `ask` agrees, and gives the config with the commits of what is there. `source` is the argument of
    `avseg weights fetch` in its messages."""
    holds: str
    """"module:function" of () -> rows of the weights that models may take: part, weights, licence, size, in the cache.
    Imports no torch."""
    needs: tuple[str, ...]
    """Packages that the extra brings."""
    extra: str
    """`pip install "avseg[EXTRA]"`."""

    @property
    def of_weights(self) -> set[str]:
        """The names of the choices on which it depends which weights are needed."""
        return {own.name for own in dataclasses.fields(self.choices) if own.metadata == OF_WEIGHTS}

    @property
    def missing(self) -> tuple[str, ...]:
        """The packages that are not installed."""
        return tuple(package for package in self.needs if find_spec(package) is None)


@dataclass(frozen=True)
class FamilySpec:
    """One family; `avseg.models.FAMILIES` has them by name (docs/how-to/extending.md)."""

    name: str
    config: type[ModelConfig]
    model: str
    """The class, "module:Class", imported on use."""
    paper: str
    settings: str
    """Published settings, for `avseg models`."""
    backbones: str
    presets: Mapping[str, Callable[..., ModelConfig]]
    """Published settings by name: `Preset`s, or functions of the fields that depart from them. The first one is the
    default."""
    convert: str | None = None
    """"module:function" of (checkpoint, out, *, more) -> Path, which makes a model file of a published checkpoint:
    typed and documented, since `avseg convert NAME` shows it."""
    commands: Mapping[str, str] = field(default_factory=dict)
    """Own commands of the command line: name -> "module:function"."""
    checkpoints: str | None = None
    """"module:ATTRIBUTE", the `avseg.weights.Record`s of official files, for `avseg weights list`."""
    opening: Opening | None = None
    """Opening of a family whose models need no file."""

    def model_class(self) -> type[Model[Any]]:
        """The class of the models."""
        found: type[Model[Any]] = imported(self.model)
        return found

    def preset(self, name: str | None, **changes: Any) -> ModelConfig:
        """The config of a published setting, with fields that depart from it.

        Args:
            name: of the setting; None: the first one, or the config's defaults where the family has no setting.
            changes: fields of the config.

        Raises:
            ValueError: a setting or a field that the family does not have.
        """
        known = {own.name for own in dataclasses.fields(self.config)}
        for given in changes:
            if given not in known:
                raise ValueError(f"{self.config.__name__} has no field {given!r}; {did_you_mean(given, known)}")
        return self.find_preset(name)(**changes)

    def find_preset(self, name: str | None) -> Callable[..., ModelConfig]:
        """The published setting of that name; see `preset`.

        Raises:
            ValueError: there is none.
        """
        if name is None:
            return next(iter(self.presets.values()), self.config)
        if name not in self.presets:
            raise ValueError(f"{self.name} has no preset {name!r}; {did_you_mean(name, self.presets)}")
        return self.presets[name]
