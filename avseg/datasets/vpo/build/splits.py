"""Assignment to train, val and test by the rank of a hash, which depends only on the seed and the names."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

SPLITS = ("train", "val", "test")
_FIRST = ("train", "test", "val")
"""Order of the splits if there are fewer members than splits."""


def rank(*parts: object) -> str:
    """A number that looks random and follows the parts alone, as text."""
    return hashlib.sha256("/".join(map(str, parts)).encode()).hexdigest()


def quotas(count: int, fractions: Sequence[float]) -> dict[str, int]:
    """How many of `count` each split gets: at least one where there are enough, else as the fractions say."""
    shares = {split: share for split, share in zip(SPLITS, fractions, strict=True) if share > 0}
    if count < len(shares):
        served = [split for split in _FIRST if split in shares][:count]
        return {split: int(split in served) for split in SPLITS}
    ideal = {split: share * count for split, share in shares.items()}
    given = {split: max(1, int(value)) for split, value in ideal.items()}
    while sum(given.values()) != count:
        step = 1 if sum(given.values()) < count else -1
        open_to = [split for split in given if given[split] + step >= 1]
        chosen = max(open_to, key=lambda split: (step * (ideal[split] - given[split]), -_FIRST.index(split)))
        given[chosen] += step
    return {split: given.get(split, 0) for split in SPLITS}


def assign(strata: Iterable[Iterable[str]], fractions: Sequence[float], seed: int, what: str) -> dict[str, str]:
    """The split of every name; each stratum is cut by the fractions by itself.

    Args:
        strata: Groups of names, each to be spread evenly over the splits; those of a class, for example.
        fractions: Shares of train, val and test.
        seed: Another seed is another cut.
        what: Keeps pictures and sounds of one name apart.
    """
    splits = {}
    for names in strata:
        ordered = sorted(names, key=lambda name: rank(seed, what, name))
        first = 0
        for split, count in quotas(len(ordered), fractions).items():
            splits.update(dict.fromkeys(ordered[first : first + count], split))
            first += count
    return splits
