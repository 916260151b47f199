"""Names that the command line knows."""

from __future__ import annotations

from avseg.metrics import SUITES, describe_protocols


def protocols_help() -> str:
    """What the help page says of `--protocol`, suites of plug-ins included."""
    return f"One or several protocols (docs/reference/metrics.md). {describe_protocols()}."


def suites_help() -> str:
    """The same of `--suites`."""
    return f"Metric suites, all in one pass: {', '.join(SUITES)}. The default is the data set's own."


def model_path(source: str) -> str:
    """`demo` is the model that ships with the package; everything else goes to `load_model` as it is."""
    if source != "demo":
        return source
    from avseg.demo import MODEL_FILE

    return str(MODEL_FILE)
