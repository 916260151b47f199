"""Identification of a state dict by names and shapes of its tensors. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from avseg.models.keys import Keys
from avseg.models.record import Record
from avseg.weights.records import known

LEAST_ALIKE = 0.7
"""Smallest share of a method's own tensors, among those of file or record, that must agree for a match."""


@dataclass(frozen=True)
class Differences:
    """The differences between a list of tensors and the expected one."""

    missing: tuple[str, ...] = ()
    superfluous: tuple[str, ...] = ()
    misshaped: tuple[str, ...] = ()
    """`name (5, 256), wanted (71, 256)`"""

    @property
    def count(self) -> int:
        """Number of different tensors."""
        return len(self.missing) + len(self.superfluous) + len(self.misshaped)


@dataclass(frozen=True)
class Match:
    """The nearest record to a state dict, and their differences."""

    record: Record
    tensors: int
    """Number of tensors in the state dict."""
    differences: Differences
    also: tuple[Record, ...] = ()
    """Other records that are equally near."""

    @property
    def fits(self) -> bool:
        """Whether names and shapes equal those of the record."""
        return not self.differences.count


def recognise(state: Mapping[str, Any]) -> Match | None:
    """Identify published weights by the names and shapes of a state dict.

    A checkpoint of a known method with other sizes is recognised too: `Match.fits` is then false, and
    `Match.differences` lists missing, extra and misshaped tensors. `Match.record.command` is the command for such a
    file.

    Args:
        state: name -> anything with a `shape`: tensors or arrays, bare and without `module.` before the names, as
            `avseg.models.convert.read_checkpoint` and `unwrapped` give them. Nothing is computed with them.

    Returns:
        The nearest record; None where fewer than seven tenths of the method's own tensors agree with any record.
    """
    return nearest({name: tuple(int(size) for size in tensor.shape) for name, tensor in state.items()})


def nearest(shapes: Keys) -> Match | None:
    """Like `recognise`, for shapes by name."""
    alike = [record for record in known() if _alike(record, shapes) >= LEAST_ALIKE]
    if not alike:
        return None
    found = [(record, compared(shapes, record.keys, record.may_have)) for record in alike]
    least = min(differences.count for _, differences in found)
    best = [(record, differences) for record, differences in found if differences.count == least]
    return Match(best[0][0], len(shapes), best[0][1], tuple(record for record, _ in best[1:]))


def compared(shapes: Keys, wanted: Keys, may_have: Callable[[str], bool] = lambda _: False) -> Differences:
    """Compare `shapes` with `wanted`; optional names are ignored."""
    return Differences(
        missing=tuple(name for name in wanted if name not in shapes),
        superfluous=tuple(name for name in shapes if name not in wanted and not may_have(name)),
        misshaped=tuple(
            f"{name} {shapes[name]}, wanted {shape}"
            for name, shape in wanted.items()
            if name in shapes and shapes[name] != shape
        ),
    )


def _alike(record: Record, shapes: Keys) -> float:
    """Return the share of equal tensors, among a record's own ones and those of `shapes` outside shared parts."""
    own = record.own_keys
    there = {name for name in shapes if not record.may_have(name) and not record.is_shared(name)}
    agreed = sum(shapes.get(name) == shape for name, shape in own.items())
    return agreed / len(there | own.keys())
