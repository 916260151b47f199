"""What a run says of itself: `metrics.jsonl` row by row, and lines or a progress bar on the console."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


class MetricsFile:
    """`metrics.jsonl`, one JSON object a line; opening it cuts it back to `size` bytes."""

    def __init__(self, path: Path, size: int = 0) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.file = path.open("ab")
        self.file.truncate(size)
        self.file.seek(0, os.SEEK_END)

    def write(self, row: dict[str, Any]) -> None:
        """Append one row. A figure that is no number (a class never seen) is written as null: JSON has no NaN."""
        self.file.write(json.dumps(_jsonable(row), allow_nan=False).encode() + b"\n")
        self.file.flush()

    def settle(self) -> int:
        """Bring every row to the disk; the size in bytes."""
        self.file.flush()
        os.fsync(self.file.fileno())
        return self.file.tell()

    def close(self) -> None:
        self.file.close()


def _jsonable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _jsonable(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


class Meter:
    """Loss terms of the latest steps, kept on the device so that nothing waits for it until `rows` is asked for."""

    def __init__(self) -> None:
        self._open: dict[str, Tensor] = {}
        self._steps: list[tuple[dict[str, Any], dict[str, Tensor]]] = []

    def add(self, terms: dict[str, Tensor], weight: float) -> None:
        """Terms of one batch; `weight` is the batch's share in its step."""
        for name, value in terms.items():
            share = value.detach().double() * weight
            self._open[name] = self._open[name] + share if name in self._open else share

    def end_step(self, facts: dict[str, Any]) -> None:
        self._steps.append((facts, self._open))
        self._open = {}

    def rows(self, reduce: Callable[[Tensor], Tensor]) -> list[dict[str, Any]]:
        """One row a step since the last call; `reduce` sums a tensor over the processes.

        Raises:
            FloatingPointError: a term is not finite; says which and at what step.
        """
        if not self._steps:
            return []
        flat = reduce(torch.stack([value for _, terms in self._steps for value in terms.values()])).tolist()
        values = iter(flat)
        rows = [{**facts, "terms": {name: next(values) for name in terms}} for facts, terms in self._steps]
        self._steps = []
        for row in rows:
            _check_finite(row)
            row["loss"] = sum(row["terms"].values())
        return rows


def _check_finite(row: dict[str, Any]) -> None:
    for name, value in row["terms"].items():
        if not math.isfinite(value):
            raise FloatingPointError(
                f"the loss term {name!r} became {value} at step {row['step']} (epoch {row['epoch']}); "
                "no checkpoint holds it. Lower optim.lr, set optim.clip_norm, or look at the clips of that step"
            )


class Console:
    """A progress bar on a terminal, plain lines elsewhere, silence in all processes but the first."""

    def __init__(self, total: int, quiet: bool) -> None:
        self.bar: Any = None
        self.console: Any = None
        if quiet:
            return
        from rich.console import Console as RichConsole
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self.console = RichConsole(stderr=True, highlight=False, markup=False, soft_wrap=True)
        if self.console.is_terminal:
            columns = (TextColumn("training"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self.bar = Progress(*columns, console=self.console)
            self.task = self.bar.add_task("training", total=total)

    def __enter__(self) -> Console:
        if self.bar:
            self.bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self.bar:
            self.bar.stop()

    def at(self, step: int) -> None:
        if self.bar:
            self.bar.update(self.task, completed=step)

    def line(self, text: str) -> None:
        if self.console:
            self.console.print(text)


def step_line(row: dict[str, Any], steps: int) -> str:
    """The row of a step for people to read."""
    terms = "  ".join(f"{name} {value:.4f}" for name, value in row["terms"].items())
    rates = {f"{rate:.3g}" for rate in row["lr"].values()}
    by_part = "  ".join(f"{name} {rate:.3g}" for name, rate in row["lr"].items())
    place = f"epoch {row['epoch']}  step {row['step']}/{steps}"
    return f"{place}  loss {row['loss']:.4f}  ({terms})  lr {rates.pop() if len(rates) == 1 else by_part}"


def for_tracker(values: dict[str, Any]) -> dict[str, Any]:
    """What a tracker takes: numbers and strings."""
    return {key: value if isinstance(value, (int, float, str)) else str(value) for key, value in values.items()}
