"""The errors of a job."""

from __future__ import annotations

EXPECTED = (ValueError, OSError, RuntimeError, ArithmeticError, ImportError)
"""Kinds of errors whose message is a sentence about a file, an option or the machine."""


class JobError(ValueError):
    """The job cannot be done; the message is one sentence for the user."""


class JobStopped(Exception):  # noqa: N818  it is no error
    """The job was stopped on request, or together with another job in its process."""


class WorkerDied(RuntimeError):  # noqa: N818  what happened, not what is wrong
    """The process of the job crashed; the message is one sentence for the user.

    Args:
        shared: whether the process ran other jobs at the same time, any of which may be the cause.
        first: whether this is the first job of the process that gets this error.
    """

    def __init__(self, sentence: str, *, shared: bool = False, first: bool = True) -> None:
        super().__init__(sentence)
        self.shared, self.first = shared, first


def sentence_of(error: BaseException) -> str:
    """Return the message of an error for the user, on one line."""
    if isinstance(error, MemoryError):
        return "this machine does not have enough memory"
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    text = " ".join(str(error).split())[:1000]
    if isinstance(error, EXPECTED) and text:
        return text
    return f"unexpected {type(error).__name__}{text and f': {text}'}"
