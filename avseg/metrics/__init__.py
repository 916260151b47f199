"""Metric suites under named protocols. Importing this loads no torch; formulas are in docs/metrics.md."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from avseg.config import did_you_mean

if TYPE_CHECKING:
    from avseg.metrics.base import Metric
    from avseg.types import Task

PROTOCOLS: dict[str, str] = {
    "published": "the arithmetic of the published code, its groups of clips and its slips included",
    "repaired": "every annotated frame counts once; nothing depends on batches, padding or unseen classes",
}
"""Name of each protocol and what it is."""

CLIPS_PER_GROUP = 4
"""Clips of one test batch of the published object scores."""


def avsbench_object(task: Task, protocol: str = "published", *, group: int = CLIPS_PER_GROUP) -> list[Metric]:
    """J and F of the foreground; semantic clips are judged by their foreground (every class but 0).

    `group`: clips whose F curves the published protocol averages before it takes the maximum, in data-set order.
    """
    from avseg.metrics.object import F, J

    _check(task, ("binary", "semantic"), "avsbench_object", protocol)
    return [J(protocol, group), F(protocol, group)]


def avsbench_semantic(task: Task, protocol: str = "published") -> list[Metric]:
    """mIoU and F over the classes of `task`, background included."""
    from avseg.metrics.semantic import SemanticScores

    _check(task, ("semantic",), "avsbench_semantic", protocol)
    return [SemanticScores(task.channels, protocol)]


SUITES: dict[str, Callable[[Task, str], list[Metric]]] = {
    "avsbench_object": avsbench_object,
    "avsbench_semantic": avsbench_semantic,
}
"""Metrics by the name of the suite: `SUITES[name](task, protocol)`."""


def _check(task: Task, kinds: tuple[str, ...], suite: str, protocol: str) -> None:
    if protocol not in PROTOCOLS:
        raise ValueError(f"no protocol is called {protocol!r}; {did_you_mean(protocol, PROTOCOLS)}")
    if task.kind not in kinds:
        raise ValueError(
            f"the suite {suite} judges {' and '.join(kinds)} tasks, got a {task.kind} one; choose another suite"
        )
