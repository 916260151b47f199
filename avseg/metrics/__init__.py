"""Metric suites under named protocols. Importing this loads no torch; formulas are in docs/reference/metrics.md."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from avseg.config import did_you_mean
from avseg.lazy import attach
from avseg.metrics.suites import SuiteSpec as SuiteSpec
from avseg.registry import Registry

if TYPE_CHECKING:
    from avseg.metrics.base import Metric
    from avseg.metrics.functional import f_score as f_score
    from avseg.metrics.functional import fsla as fsla
    from avseg.metrics.functional import hota as hota
    from avseg.metrics.functional import j_score as j_score
    from avseg.metrics.functional import miou as miou
    from avseg.metrics.functional import video_map as video_map
    from avseg.types import Task

SUITES: Registry[SuiteSpec] = Registry(
    "metric suite",
    "avseg.suites",
    {
        "avsbench_object": "avseg.metrics.suites.avsbench_object:SPEC",
        "avsbench_semantic": "avseg.metrics.suites.avsbench_semantic:SPEC",
        "vpo": "avseg.metrics.suites.vpo:SPEC",
        "avsbench_robust": "avseg.metrics.suites.avsbench_robust:SPEC",
        "aviseg": "avseg.metrics.suites.aviseg:SPEC",
    },
)
"""Suites by name, one line each: `SUITES[name](task, protocol)` gives fresh metrics."""

_HOMES = dict.fromkeys(("f_score", "fsla", "hota", "j_score", "miou", "video_map"), ".functional")

__all__ = ["SUITES", "SuiteSpec", "describe_protocols", "judged_size", "known_protocols", "metrics_of", *_HOMES]

__getattr__, __dir__ = attach(__name__, _HOMES)


def known_protocols() -> tuple[str, ...]:
    """The protocols of all suites, names that several suites have for different ones once."""
    return tuple(dict.fromkeys(name for suite in SUITES.values() for name in (*suite.aliases, *suite.protocols)))


def judged_size(protocol: str) -> tuple[int, int] | None:
    """(H, W) at which a protocol judges; None: where the data set says."""
    return next((suite.sizes[protocol] for suite in SUITES.values() if protocol in suite.sizes), None)


def describe_protocols() -> str:
    """Which protocols each suite has, in a line for a help text."""
    return "; ".join(f"{name}: {', '.join(suite.protocols)}{_also(suite)}" for name, suite in SUITES.items())


def _also(suite: SuiteSpec) -> str:
    return f" (also called {' and '.join(suite.aliases)})" if suite.aliases else ""


def metrics_of(task: Task, suites: Sequence[str], protocols: Sequence[str]) -> list[Metric]:
    """Fresh metrics of every suite, each under those of the protocols that it has.

    Raises:
        ValueError: an unknown name, none at all, a suite that has none of the protocols, or a protocol that none of
            the suites has.
    """
    wanted = list(dict.fromkeys(protocols))
    if not suites or not wanted:
        raise ValueError(
            f"give one or more suites ({', '.join(SUITES)}) and protocols ({', '.join(known_protocols())})"
        )
    records = [SUITES.find(suite) for suite in dict.fromkeys(suites)]
    for protocol in wanted:
        if protocol not in known_protocols():
            raise ValueError(f"there is no protocol {protocol!r}; {did_you_mean(protocol, known_protocols())}")
        if len(wanted) > 1 and not any(suite.has(protocol) for suite in records):
            names = ", ".join(suite.name for suite in records)
            raise ValueError(f"none of the suites {names} has the protocol {protocol!r} (docs/reference/metrics.md)")
    return [metric for suite in records for protocol in _own(suite, wanted) for metric in suite(task, protocol)]


def _own(suite: SuiteSpec, protocols: Sequence[str]) -> Sequence[str]:
    """Return the given protocols that a suite has, by its own names; if it has none of them, all, so that it
    refuses them itself.
    """
    own = dict.fromkeys(suite.own_name(protocol) for protocol in protocols if suite.has(protocol))
    return list(own) or protocols
