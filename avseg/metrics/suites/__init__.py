"""Metric suites: tasks, protocols and metrics. Imports no torch."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from avseg.metrics.base import Metric
    from avseg.types import Task


@dataclass(frozen=True)
class SuiteSpec:
    """The record of a suite. Called with a task and a protocol it makes fresh metrics."""

    name: str
    """As `avseg.metrics.SUITES` and `ClipDataset.suite` have it."""
    kinds: tuple[str, ...]
    """Kinds of task that it judges: binary, semantic, instance."""
    protocols: Mapping[str, str]
    """Name of each protocol and what it is."""
    make: str
    """"module:function" of (task, protocol, **options) that makes the metrics; imported on use."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Names of protocols in other suites, and their names here."""
    clips_per_group: Mapping[str, int] = field(default_factory=dict)
    """Clips over which curves are averaged before their maximum is taken, by protocol; elsewhere none are grouped."""
    sizes: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """(H, W) at which truth and prediction are judged, by protocol; elsewhere the data set says it."""
    foreground_only: bool = False
    """Whether classes play no part, so that a model of other classes than the data set's may be judged."""
    by_scenario: bool = False
    """Whether the suite scores clips under scenarios of sound, called `ID@SCENARIO` (`avseg.data.heard.Scenarios`)."""

    def own_name(self, protocol: str) -> str:
        """The name here of a protocol that other suites may call otherwise; an unknown one stays as it is."""
        return self.aliases.get(protocol, protocol)

    def has(self, protocol: str) -> bool:
        """Whether there is a protocol of that name, or one that other suites call so."""
        return self.own_name(protocol) in self.protocols

    def checked(self, protocol: str) -> str:
        """The name here of a protocol that the suite has.

        Raises:
            ValueError: it has none of that name.
        """
        if not self.has(protocol):
            raise ValueError(
                f"the suite {self.name} has no protocol {protocol!r}; use {' or '.join(self.protocols)} "
                "(docs/reference/metrics.md)"
            )
        return self.own_name(protocol)

    def __call__(self, task: Task, protocol: str = "published", **options: Any) -> list[Metric]:
        """Fresh metrics of the suite.

        Args:
            task: Of the data set.
            protocol: One of `protocols` or `aliases`.
            options: Of the suite's own; its metrics say which.

        Raises:
            ValueError: a protocol that the suite does not have, or a kind of task that it does not judge.
        """
        own = self.checked(protocol)
        if task.kind not in self.kinds:
            raise ValueError(
                f"the suite {self.name} judges {' and '.join(self.kinds)} tasks, got "
                f"{'an' if task.kind == 'instance' else 'a'} {task.kind} one; choose another suite"
            )
        module, function = self.make.split(":")
        metrics: list[Metric] = getattr(importlib.import_module(module), function)(task, own, **options)
        return metrics
