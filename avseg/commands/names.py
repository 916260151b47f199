"""Names on the command line: protocols, suites and models."""

from __future__ import annotations

from avseg.metrics import SUITES, describe_protocols


def protocols_help() -> str:
    """Return the help text of `--protocol`, including suites of plug-ins."""
    return f"One or several protocols (docs/reference/metrics.md). {describe_protocols()}."


def suites_help() -> str:
    """Return the help text of `--suites`, including suites of plug-ins."""
    return f"Metric suites to compute in one pass: {', '.join(SUITES)}. The default is the data set's own."


def model_path(source: str) -> str:
    """Return the path of the demo model for `demo`, and any other name unchanged for `load_model`."""
    if source != "demo":
        return source
    from avseg.demo import MODEL_FILE

    return str(MODEL_FILE)
