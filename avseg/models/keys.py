"""Names and shapes of published weights, written shortly: `block{1-3}.{0,2}.weight` stands for six names."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files

Shape = tuple[int, ...]
Keys = dict[str, Shape]

_NUMBERS = re.compile(r"\{([^}]*)\}")


def expand(part: str, sizes: Mapping[str, int] | None = None) -> Keys:
    """Every tensor of a part: name -> shape.

    Args:
        part: a name in the `keys.json` of a package, such as `avseg.models.tpavi:r50`; without a package that of
            `avseg.models`, as `vggish`.
        sizes: what letters in its shapes stand for, such as `{"K": 71}`.

    Raises:
        KeyError: a part that is not there, or a letter without a size.
    """
    return {
        name: tuple(size if isinstance(size, int) else (sizes or {})[size] for size in shape)
        for pattern, shape in _parts(part.rpartition(":")[0] or "avseg.models")[part.rpartition(":")[2]].items()
        for name in _names(pattern)
    }


@cache
def _parts(package: str) -> dict[str, dict[str, list[int | str]]]:
    text = files(package).joinpath("keys.json").read_text(encoding="utf-8")
    found: dict[str, dict[str, list[int | str]]] = json.loads(text)
    return found


def _names(pattern: str) -> Iterable[str]:
    """The names that a pattern stands for."""
    pieces = _NUMBERS.split(pattern)  # text and numbers take turns
    choices = [_listed(piece) if place % 2 else [piece] for place, piece in enumerate(pieces)]
    return ("".join(words) for words in itertools.product(*choices))


def _listed(numbers: str) -> list[str]:
    """`0,2-4` -> 0, 2, 3, 4."""
    found: list[str] = []
    for piece in numbers.split(","):
        first, _, last = piece.partition("-")
        found += [str(number) for number in range(int(first), int(last or first) + 1)]
    return found
