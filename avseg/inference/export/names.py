"""Names of classes and files as other formats take them."""

from __future__ import annotations

import re

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
"""What XML cannot hold, and what ends a line or a text for other readers."""


def one_line(name: str) -> str:
    """A name without control characters and with single blanks."""
    return " ".join(_CONTROL.sub(" ", name).split())


def class_label(number: int, name: str) -> str:
    """The name of a class on one line; `class 3` for one that is nothing but blanks."""
    return one_line(name) or f"class {number}"
