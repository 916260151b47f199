"""The message of an error for the user: one sentence on one line."""

from __future__ import annotations

EXPECTED = (ValueError, OSError, RuntimeError, ArithmeticError, ImportError)
"""Kinds of errors whose messages name a problem of a file, an option or the machine."""
LONGEST = 1000
"""Maximum number of characters; messages of libraries can list hundreds of names."""
HINT = "set AVSEG_DEBUG=1 to see where it comes from"


def said(error: BaseException) -> str:
    """Return the sentence of an error; for an unexpected kind, with its type and how to see the traceback."""
    if isinstance(error, MemoryError):
        return "this machine does not have enough memory"
    sentence = _sentence(error)
    if isinstance(error, EXPECTED) and sentence and not isinstance(error, RecursionError):
        return sentence
    return f"unexpected {type(error).__name__}{sentence and f': {sentence}'}; {HINT}"


def _sentence(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if any(line.startswith(("Original Traceback", "Traceback (most recent call last)")) for line in lines):
        lines = lines[-1:]  # of another process: its last line is the error itself
    text = " ".join(lines).split(" Exception raised from ")[0]  # torch's own frames follow
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."
