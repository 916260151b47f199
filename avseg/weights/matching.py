"""What a state dict is, by its names and shapes alone. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from avseg.models.keys import Keys
from avseg.models.record import Record
from avseg.weights.records import known

LEAST_ALIKE = 0.7
"""Share of a method's own tensors, of those that file and record have together, that must agree for it to be known."""


@dataclass(frozen=True)
class Differences:
    """What sets a list of tensors apart from the one that it should be."""

    missing: tuple[str, ...] = ()
    superfluous: tuple[str, ...] = ()
    misshaped: tuple[str, ...] = ()
    """`name (5, 256), wanted (71, 256)`"""

    @property
    def count(self) -> int:
        """How many tensors differ."""
        return len(self.missing) + len(self.superfluous) + len(self.misshaped)


@dataclass(frozen=True)
class Match:
    """The record that a state dict comes nearest, and what sets them apart."""

    record: Record
    tensors: int
    """How many the state dict has."""
    differences: Differences
    also: tuple[Record, ...] = ()
    """Other records that it comes as near."""

    @property
    def fits(self) -> bool:
        """Whether names and shapes are the record's."""
        return not self.differences.count


def recognise(state: Mapping[str, Any]) -> Match | None:
    """What published weights a state dict is, by its names and shapes alone.

    A checkpoint of a known method with other sizes is recognised too: `Match.fits` tells, and `Match.differences` names
    what is missing, superfluous and misshaped. `Match.record.command` is the command that takes such a file.

    Args:
        state: name -> anything with a `shape`: tensors or arrays, bare and without `module.` before the names, as
            `avseg.models.convert.read_checkpoint` and `unwrapped` give them. Nothing is computed with them.

    Returns:
        The nearest record; None where fewer than seven tenths of the method's own tensors agree with any record.
    """
    return nearest({name: tuple(int(size) for size in tensor.shape) for name, tensor in state.items()})


def nearest(shapes: Keys) -> Match | None:
    """`recognise` for shapes by name."""
    alike = [record for record in known() if _alike(record, shapes) >= LEAST_ALIKE]
    if not alike:
        return None
    found = [(record, compared(shapes, record.keys, record.may_have)) for record in alike]
    least = min(differences.count for _, differences in found)
    best = [(record, differences) for record, differences in found if differences.count == least]
    return Match(best[0][0], len(shapes), best[0][1], tuple(record for record, _ in best[1:]))


def compared(shapes: Keys, wanted: Keys, may_have: Callable[[str], bool] = lambda _: False) -> Differences:
    """What sets `shapes` apart from `wanted`; names that it may have count in neither way."""
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
    """How much of a record's own tensors and of those of `shapes` beside its shared parts are the same."""
    own = record.own_keys
    there = {name for name in shapes if not record.may_have(name) and not record.is_shared(name)}
    agreed = sum(shapes.get(name) == shape for name, shape in own.items())
    return agreed / len(there | own.keys())
