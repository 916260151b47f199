"""Which rows of a model's last layers stand for which class, so that a model can go on with another class list."""

from __future__ import annotations

from collections.abc import Callable

from avseg.types import Task

ClassRows = Callable[[Task], tuple[int, ...]]
"""Return the class id of each row of a layer's weight and bias, for a task. 0 is the background, or "no
object"; a binary task has the one class 1. An empty tuple: the task does not say what the rows are."""


def foreground_rows(task: Task) -> tuple[int, ...]:
    """One row for each class; one in all for a binary task."""
    return tuple(range(1, max(len(task.classes), 1) + 1))


def softmax_rows(task: Task) -> tuple[int, ...]:
    """The background first, also in a binary task."""
    return (0, *foreground_rows(task))


def logit_rows(task: Task) -> tuple[int, ...]:
    """As `Task.channels` counts them: the background first where there are classes, one row for a binary task."""
    return softmax_rows(task) if task.classes else foreground_rows(task)


def object_rows(task: Task) -> tuple[int, ...]:
    """ "No object" last."""
    return (*foreground_rows(task), 0)


def sounding_rows(task: Task) -> tuple[int, ...]:
    """One row for each class; a binary task does not name the classes that are to be heard."""
    return foreground_rows(task) if task.classes else ()


def kept_rows(rows: ClassRows, old: Task, new: Task) -> list[tuple[int, int]]:
    """(row of the new task, row of the old one) of each class that both tasks name; the background is one of them.

    Between a binary task and one with classes no row is kept: the foreground is no class, and the background of a
    sigmoid and of a softmax differ.
    """
    if bool(old.classes) != bool(new.classes):
        return []
    names = {row_name(old, number): row for row, number in reversed(list(enumerate(rows(old))))}
    found = [(row, names.get(row_name(new, number))) for row, number in enumerate(rows(new))]
    return [(row, other) for row, other in found if other is not None]


def row_name(task: Task, number: int) -> tuple[bool, str]:
    """The meaning of a class id in a task: whether it is foreground, and its name."""
    return number > 0, task.classes[number - 1] if number and task.classes else ""
