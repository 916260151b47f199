"""Metrics of several suites and protocols side by side: which there are, and how their scores are told apart."""

from __future__ import annotations

from collections.abc import Sequence

from avseg.config import did_you_mean
from avseg.metrics import PROTOCOLS, PROTOCOLS_OF, SUITES, own_name
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
    suites, protocols = list(dict.fromkeys(suites)), list(dict.fromkeys(protocols))
    if not suites or not protocols:
        raise ValueError(f"give one or more suites ({', '.join(SUITES)}) and protocols ({', '.join(PROTOCOLS)})")
    for suite in suites:
        if suite not in SUITES:
            raise ValueError(f"no metric suite is called {suite!r}; {did_you_mean(suite, SUITES)}")
    unknown = next((protocol for protocol in protocols if protocol not in PROTOCOLS), None)
    if unknown is not None:
        raise ValueError(f"no protocol is called {unknown!r}; {did_you_mean(unknown, PROTOCOLS)}")
    for protocol in protocols:
        if len(protocols) > 1 and not any(_has(suite, protocol) for suite in suites):
            raise ValueError(f"none of the suites {', '.join(suites)} has the protocol {protocol!r} (docs/metrics.md)")
    return [
        metric for suite in suites for protocol in _own(suite, protocols) for metric in SUITES[suite](task, protocol)
    ]


def _has(suite: str, protocol: str) -> bool:
    return own_name(suite, protocol) in PROTOCOLS_OF[suite]


def _own(suite: str, protocols: Sequence[str]) -> Sequence[str]:
    """Those of the protocols that a suite has, by its own names for them; where it has none of them, all, so that it
    refuses them itself.
    """
    own = dict.fromkeys(own_name(suite, protocol) for protocol in protocols if _has(suite, protocol))
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
