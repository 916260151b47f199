"""Names that the command line knows."""

from __future__ import annotations


def model_path(source: str) -> str:
    """`demo` is the model that ships with the package; everything else goes to `load_model` as it is."""
    if source != "demo":
        return source
    from avseg.demo import MODEL_FILE

    return str(MODEL_FILE)
