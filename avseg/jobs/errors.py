"""How a job may end other than well."""

from __future__ import annotations

EXPECTED = (ValueError, OSError, RuntimeError, ArithmeticError, ImportError)
"""Kinds of errors whose message is a sentence about a file, an option or the machine."""


class JobError(ValueError):
    """The job cannot be done; the message is one sentence for the user."""


class JobStopped(Exception):  # noqa: N818  it is no error
    """The job was stopped because somebody asked for it, or together with another one in its process."""


class WorkerDied(RuntimeError):  # noqa: N818  what happened, not what is wrong
    """The process that did the job ended by itself; the message is one sentence for the user.

    Args:
        shared: whether it did others at the same time, any of which may be why.
        first: whether no other job of the process was told so before.
    """

    def __init__(self, sentence: str, *, shared: bool = False, first: bool = True) -> None:
        super().__init__(sentence)
        self.shared, self.first = shared, first


def sentence_of(error: BaseException) -> str:
    """What an error says to the user, in one line."""
    if isinstance(error, MemoryError):
        return "the memory of this machine is not enough"
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    text = " ".join(str(error).split())[:1000]
    if isinstance(error, EXPECTED) and text:
        return text
    return f"unexpected {type(error).__name__}{text and f': {text}'}"
