"""The logs of a run: `metrics.jsonl` and log lines."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
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
        """Append one row. NaN (a class never seen) is written as null, because JSON has no NaN."""
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


class Tallies:
    """How often the entries of some table were taken in the latest steps: old counts fade, and new ones are added.

    The counts of a step weigh `KEEP` times those of the next, so that a tally speaks of some hundred steps however
    often rows are written; it belongs to the state of a run.
    """

    KEEP = 0.99
    UNUSED = 0.01
    """A tally below this counts as nothing: the entry was last taken some 460 steps ago, or never."""

    def __init__(self) -> None:
        self.counts: dict[str, Tensor] = {}
        """By the name of the measure: (K,) float64 on the CPU, the same in all processes."""

    def take_in(self, name: str, counts: Tensor) -> dict[str, float]:
        """Add the counts (K,) of one step; perplexity exp(-sum p log p), largest share and number of unused entries."""
        tally = self.counts.get(name, torch.zeros_like(counts)) * self.KEEP + counts
        self.counts[name] = tally
        share = tally / tally.sum().clamp(min=torch.finfo(tally.dtype).tiny)
        return {
            f"{name}_perplexity": float(torch.special.entr(share).sum().exp()),
            f"{name}_largest_share": float(share.max()),
            f"{name}_unused": int((tally < self.UNUSED).sum()),
        }


@dataclass(frozen=True)
class _Step:
    """One step of the optimiser, on the device."""

    facts: dict[str, Any]
    terms: dict[str, Tensor]
    measures: dict[str, Tensor]


class Meter:
    """Loss terms and measures of the latest steps, on the device, so that nothing waits until `rows` is asked for."""

    def __init__(self, tallies: Tallies | None = None) -> None:
        self.tallies = tallies or Tallies()
        self._terms: dict[str, Tensor] = {}
        self._measures: dict[str, Tensor] = {}
        self._steps: list[_Step] = []

    def add(self, terms: dict[str, Tensor], weight: float, measures: dict[str, Tensor] | None = None) -> None:
        """Terms and measures of one batch; `weight` is the batch's share in its step, 0 for one that does not count."""
        for name, value in terms.items():
            _add(self._terms, name, value, weight)
        for name, value in (measures or {}).items():
            _add(self._measures, name, value, float(weight > 0) if value.ndim else weight)

    def end_step(self, facts: dict[str, Any]) -> None:
        self._steps.append(_Step(facts, self._terms, self._measures))
        self._terms, self._measures = {}, {}

    def rows(self, reduce: Callable[[Tensor], Tensor]) -> list[dict[str, Any]]:
        """One row a step since the last call; `reduce` sums a tensor over the processes.

        Raises:
            FloatingPointError: a term is not finite; says which and at what step.
        """
        if not self._steps:
            return []
        values = [value for step in self._steps for value in (*step.terms.values(), *step.measures.values())]
        flat = reduce(torch.cat([value.flatten() for value in values])).cpu()
        sums = iter(torch.split(flat, [value.numel() for value in values]))
        rows = []
        for step in self._steps:
            row = {**step.facts, "terms": {name: next(sums).item() for name in step.terms}}
            _check_finite(row)
            row["loss"] = sum(row["terms"].values())
            measured = [self._measured(name, value.ndim, next(sums)) for name, value in step.measures.items()]
            rows.append({**row, "measures": {k: v for m in measured for k, v in m.items()}} if measured else row)
        self._steps = []
        return rows

    def _measured(self, name: str, dimensions: int, value: Tensor) -> dict[str, float]:
        return self.tallies.take_in(name, value) if dimensions else {name: value.item()}


def _add(sums: dict[str, Tensor], name: str, value: Tensor, weight: float) -> None:
    share = value.detach().double() * weight
    sums[name] = sums[name] + share if name in sums else share


def _check_finite(row: dict[str, Any]) -> None:
    for name, value in row["terms"].items():
        if not math.isfinite(value):
            raise FloatingPointError(
                f"the loss term {name!r} became {value} at step {row['step']} (epoch "
                f"{row['epoch']}); checkpoints are not affected. "
                "Lower optim.lr, set optim.clip_norm, or check the clips of that step"
            )


def readers(count: int) -> str:
    """How clips are read, for people."""
    if count == 0:
        return "clips are read in the main process"
    return f"{count} processes read clips" if count > 1 else "1 process reads clips"


def in_millions(count: int) -> str:
    """`91.3 M`, or the number itself below ten thousand."""
    return f"{count / 1e6:.3g} M" if count >= 10_000 else str(count)


def step_line(row: dict[str, Any], steps: int) -> str:
    """The row of a step for people to read."""
    terms = "  ".join(f"{name} {value:.4f}" for name, value in row["terms"].items())
    rates = {f"{rate:.3g}" for rate in row["lr"].values()}
    by_part = "  ".join(f"{name} {rate:.3g}" for name, rate in row["lr"].items())
    place = f"epoch {row['epoch']}  step {row['step']}/{steps}"
    line = f"{place}  loss {row['loss']:.4f}  ({terms})  lr {rates.pop() if len(rates) == 1 else by_part}"
    measures = "  ".join(f"{name} {value:.4g}" for name, value in row.get("measures", {}).items())
    return f"{line}  ({measures})" if measures else line


def for_tracker(values: dict[str, Any]) -> dict[str, Any]:
    """Return the entries for a tracker: numbers and strings."""
    return {key: value if isinstance(value, (int, float, str)) else str(value) for key, value in values.items()}
