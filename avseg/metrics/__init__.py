"""Metric suites under named protocols. Importing this loads no torch; formulas are in docs/metrics.md."""

from __future__ import annotations

from avseg.metrics.suites import SuiteSpec as SuiteSpec
from avseg.registry import Registry

SUITES: Registry[SuiteSpec] = Registry(
    "metric suite",
    "avseg.suites",
    {
        "avsbench_object": "avseg.metrics.suites.avsbench_object:SPEC",
        "avsbench_semantic": "avseg.metrics.suites.avsbench_semantic:SPEC",
        "vpo": "avseg.metrics.suites.vpo:SPEC",
        "aviseg": "avseg.metrics.suites.aviseg:SPEC",
    },
)
"""Suites by name, one line each: `SUITES[name](task, protocol)` gives fresh metrics."""

__all__ = ["SUITES", "SuiteSpec", "describe_protocols", "known_protocols"]


def known_protocols() -> tuple[str, ...]:
    """The protocols of all suites, names that several suites have for different ones once."""
    return tuple(dict.fromkeys(name for suite in SUITES.values() for name in (*suite.aliases, *suite.protocols)))


def describe_protocols() -> str:
    """Which protocols each suite has, in a line for a help text."""
    return "; ".join(f"{name}: {', '.join(suite.protocols)}{_also(suite)}" for name, suite in SUITES.items())


def _also(suite: SuiteSpec) -> str:
    return f" (also called {' and '.join(suite.aliases)})" if suite.aliases else ""
