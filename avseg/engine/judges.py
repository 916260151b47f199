"""Metrics of several suites and protocols side by side: which there are, and how their scores are told apart."""

from __future__ import annotations

from collections.abc import Sequence

from avseg.config import did_you_mean
from avseg.metrics import SUITES, SuiteSpec, known_protocols
from avseg.metrics.base import Metric, Row
from avseg.types import Task

OF_THE_CLIP = ("index", "id")
"""Entries of a row that are no scores."""


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
            raise ValueError(f"no protocol is called {protocol!r}; {did_you_mean(protocol, known_protocols())}")
        if len(wanted) > 1 and not any(suite.has(protocol) for suite in records):
            names = ", ".join(suite.name for suite in records)
            raise ValueError(f"none of the suites {names} has the protocol {protocol!r} (docs/metrics.md)")
    return [metric for suite in records for protocol in _own(suite, wanted) for metric in suite(task, protocol)]


def _own(suite: SuiteSpec, protocols: Sequence[str]) -> Sequence[str]:
    """Those of the protocols that a suite has, by its own names for them; where it has none of them, all, so that it
    refuses them itself.
    """
    own = dict.fromkeys(suite.own_name(protocol) for protocol in protocols if suite.has(protocol))
    return list(own) or protocols


def computed(metrics: Sequence[Metric]) -> dict[str, float]:
    """All scores by name: `suite/protocol/score`, without the suite where there is one, nor the protocol.

    Raises:
        ValueError: two metrics give one name, or there is no metric.
    """
    if not metrics:
        raise ValueError("no metric was given; take them from avseg.metrics.SUITES")
    scores: dict[str, float] = {}
    for metric, prefix in zip(metrics, _prefixes(metrics), strict=True):
        for name, value in metric.compute().items():
            if prefix + name in scores:
                raise ValueError(f"two metrics give the score {prefix + name!r}; evaluate them one after the other")
            scores[prefix + name] = value
    return scores


def merged_rows(metrics: Sequence[Metric]) -> list[Row]:
    """The rows of several metrics, one per clip, their scores named as those of `computed`."""
    rows: dict[float | int | str, Row] = {}
    for metric, prefix in zip(metrics, _prefixes(metrics), strict=True):
        for row in metric.rows():
            named = {name if name in OF_THE_CLIP else prefix + name: value for name, value in row.items()}
            rows.setdefault(row["index"], {}).update(named)
    return list(rows.values())


def _prefixes(metrics: Sequence[Metric]) -> list[str]:
    """What goes before the scores of each metric, so that suites and protocols keep apart."""
    several_suites = len({metric.suite for metric in metrics}) > 1
    several_protocols = len({metric.protocol for metric in metrics}) > 1
    return [
        (f"{metric.suite}/" if several_suites else "") + (f"{metric.protocol}/" if several_protocols else "")
        for metric in metrics
    ]
