"""Names of classes and files in the form that other formats accept."""

from __future__ import annotations

import re

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
"""Characters that XML cannot hold, and those that end a line or a text for some readers."""


def one_line(name: str) -> str:
    """Return a name without control characters and with single blanks."""
    return " ".join(_CONTROL.sub(" ", name).split())


def class_label(number: int, name: str) -> str:
    """Return the name of a class on one line; `class 3` for a blank name."""
    return one_line(name) or f"class {number}"
