"""Metric suites under named protocols. Importing this loads no torch; formulas are in docs/metrics.md."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from avseg.config import did_you_mean

if TYPE_CHECKING:
    from avseg.metrics.base import Metric
    from avseg.types import Task

PROTOCOLS: dict[str, str] = {
    "published": "the arithmetic of the published code, its groups of clips and its slips included",
    "repaired": "every annotated frame counts once; nothing depends on batches, padding or unseen classes",
    "cavp": "the AVSBench scores as CAVP (Chen et al. 2024) has them: one maximum of F per video, no padded frames",
    "aviseg_upstream": "the track scores as the code of AVISM (Guo et al. 2025) has them, its slips included",
    "aviseg": "the track scores with empty masks dropped, pairs looked up rightly, and no class that occurs nowhere",
}
"""Name of each protocol and what it is."""

CLIPS_PER_GROUP = {"published": 4, "cavp": 1}
"""Clips over which F curves are averaged before the maximum is taken: a test batch, or one video."""


def avsbench_object(task: Task, protocol: str = "published", *, group: int | None = None) -> list[Metric]:
    """J and F of the foreground; semantic clips are judged by their foreground (every class but 0).

    `group`: clips whose F curves are averaged before the maximum is taken, in data-set order, where it is not that of
    the protocol (`CLIPS_PER_GROUP`).
    """
    from avseg.metrics.object import F, J

    _check(task, ("binary", "semantic"), "avsbench_object", protocol)
    group = group or CLIPS_PER_GROUP.get(protocol, 1)
    return [J(protocol, group), F(protocol, group)]


def avsbench_semantic(task: Task, protocol: str = "published") -> list[Metric]:
    """mIoU and F over the classes of `task`, background included."""
    from avseg.metrics.semantic import SemanticScores

    _check(task, ("semantic",), "avsbench_semantic", protocol)
    return [SemanticScores(task.channels, protocol)]


def vpo(task: Task, protocol: str = "published") -> list[Metric]:
    """mIoU, F, FDR, F1 and accuracy from one confusion matrix of the data set; a binary task has two classes."""
    from avseg.metrics.dataset import DatasetScores

    _check(task, ("binary", "semantic"), "vpo", protocol)
    return [DatasetScores(task, protocol)]


def aviseg(
    task: Task, protocol: str = "aviseg_upstream", *, silent: Literal["empty", "absent"] = "empty"
) -> list[Metric]:
    """FSLA, HOTA and mAP of tracks with all their parts.

    `silent`: what None in a prediction is to aviseg_upstream: an empty mask, as the published code writes it, or none.
    """
    from avseg.metrics.aviseg import TrackScores

    _check(task, ("instance",), "aviseg", protocol)
    return [TrackScores(task, own_name("aviseg", protocol), silent)]


SUITES: dict[str, Callable[[Task, str], list[Metric]]] = {
    "avsbench_object": avsbench_object,
    "avsbench_semantic": avsbench_semantic,
    "vpo": vpo,
    "aviseg": aviseg,
}
"""Metrics by the name of the suite: `SUITES[name](task, protocol)`."""

PROTOCOLS_OF: dict[str, tuple[str, ...]] = {
    "avsbench_object": ("published", "repaired", "cavp"),
    "avsbench_semantic": ("published", "repaired", "cavp"),
    "vpo": ("published", "repaired"),
    "aviseg": ("aviseg_upstream", "aviseg"),
}
"""Protocols that each suite has. That of the `vpo` suite as CAVP's authors published it is its `published` one."""

OWN_NAMES = {"aviseg": {"published": "aviseg_upstream", "repaired": "aviseg"}}
"""What a suite calls the protocols that others call so."""


def own_name(suite: str, protocol: str) -> str:
    """The suite's name of a protocol: `published` of the suite `aviseg` is `aviseg_upstream`."""
    return OWN_NAMES.get(suite, {}).get(protocol, protocol)


def _check(task: Task, kinds: tuple[str, ...], suite: str, protocol: str) -> None:
    if protocol not in PROTOCOLS:
        raise ValueError(f"no protocol is called {protocol!r}; {did_you_mean(protocol, PROTOCOLS)}")
    if own_name(suite, protocol) not in PROTOCOLS_OF[suite]:
        raise ValueError(
            f"the suite {suite} has no protocol {protocol!r}; take {' or '.join(PROTOCOLS_OF[suite])} (docs/metrics.md)"
        )
    if task.kind not in kinds:
        raise ValueError(
            f"the suite {suite} judges {' and '.join(kinds)} tasks, got "
            f"{'an' if task.kind == 'instance' else 'a'} {task.kind} one; choose another suite"
        )
