"""Scenarios of replaced sound, to test whether a model uses the sound: names, rules, donors. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Literal, TypeAlias

Scenario: TypeAlias = Literal["own", "silence", "noise", "offscreen", "swapped", "delayed", "mirrored"]
SCENARIOS: Mapping[Scenario, str] = {
    "own": "the clip's own sound",
    "silence": "zeros",
    "noise": "white noise",
    "offscreen": "the sound of another clip without shared classes",
    "swapped": "the sound of the next clip",
    "delayed": "the clip's own sound, 2 s later",
    "mirrored": "the clip's own sound with left and right swapped",
}
"""Every scenario of sound and what it is; all places that have scenarios take them from here."""


@dataclass(frozen=True)
class SoundRules:
    """Rules for making the sounds of scenarios."""

    seed: int = 42
    """Random seed for noise and donors."""
    noise_level: Literal["own", "published"] = "own"
    """Level of the noise: that of the clip's own sound (-30 dBFS if that is silent), or published: -5 dBFS."""
    donor_level: Literal["own", "as_is"] = "own"
    """Level of another clip's sound (offscreen): that of the clip's own sound, or unchanged."""
    rule: Literal["auto", "published", "disjoint"] = "auto"
    """Clips whose sound is used (offscreen): those of the contrasting groups published for the data set, or those
    without a shared class; `auto` is the published rule if there is one.
    """
    manifest: Path | None = None
    """The robust.json of an earlier run: its clips get the same sounds again, all others are drawn."""


@dataclass(frozen=True)
class Contrast:
    """The published rule of a data set by which donors contrast with a clip."""

    groups: Mapping[str, frozenset[str]]
    """Classes of each group."""
    avoided: Mapping[str, str]
    """The group that a group avoids beside itself."""
    by_class: bool = False
    """Whether a class is drawn first and then a clip of it; otherwise all clips are as likely."""
    clips_per_group: int = 2
    """Clips over which the published scores of negatives are averaged before their mean is taken."""

    def of(self, classes: frozenset[str]) -> frozenset[str]:
        """The groups of a clip's classes."""
        return frozenset(name for name, members in self.groups.items() if members & classes)

    def candidates(self, own: frozenset[str], clips: Sequence[frozenset[str]]) -> list[int] | None:
        """Places of the clips that may lend a clip of the classes `own` their sound; None where it has no group."""
        groups = self.of(own)
        barred = groups | {self.avoided.get(group, "") for group in groups}
        return [place for place, other in enumerate(clips) if not self.of(other) & barred] if groups else None


@dataclass(frozen=True)
class Entry:
    """The sound of one clip in one scenario: a line of the manifest."""

    scenario: str
    id: str
    """Id of the clip."""
    donor: str | None = None
    """The clip whose sound it is, where it is that of another one."""
    seed: int = SoundRules.seed
    level: str = ""
    """One of the words of `SoundRules.noise_level` or `donor_level`."""


def ranks(ids: Sequence[str]) -> list[int]:
    """The place of each clip among all by name, from which its draws follow in whatever order a table lists them."""
    found = [0] * len(ids)
    for rank, place in enumerate(sorted(range(len(ids)), key=lambda place: ids[place])):
        found[place] = rank
    return found


def draw_donors(
    ids: Sequence[str], classes: Sequence[frozenset[str]], seed: int, contrast: Contrast | None = None
) -> list[int | None]:
    """Return for each clip the index of another one with unrelated sound; None if there is none.

    Without a published rule, and for a clip of no published group, a donor is a clip that shares no class with it. As
    published, a clip that every other one shares a group with takes any other, if the rule is not by class.

    Args:
        ids: Of all clips; a clip that is called the same lends nothing.
        classes: Of all clips; none where they are not known.
        seed: A donor follows from it and from the names of the clips alone.
        contrast: The published rule of the data set.
    """
    order = sorted(range(len(ids)), key=lambda place: ids[place])
    donors: list[int | None] = [None] * len(ids)
    by_name = [classes[place] for place in order]
    for rank, place in enumerate(order):
        found = _candidates(classes[place], by_name, contrast)
        chosen = [order[other] for other in found if ids[order[other]] != ids[place]]
        donors[place] = _drawn(chosen, classes, f"{seed}:{rank}:donor", contrast is not None and contrast.by_class)
    return donors


def _candidates(own: frozenset[str], clips: Sequence[frozenset[str]], contrast: Contrast | None) -> Sequence[int]:
    """Places of the clips that may lend their sound, the clip itself perhaps among them."""
    found = contrast.candidates(own, clips) if contrast is not None else None
    if found is None:
        return [place for place, other in enumerate(clips) if not own & other]
    assert contrast is not None
    return found if found or contrast.by_class else range(len(clips))


def _drawn(chosen: list[int], classes: Sequence[frozenset[str]], key: str, by_class: bool) -> int | None:
    random = Random(key)
    if by_class:
        names = sorted({name for place in chosen for name in classes[place]})
        name = names[random.getrandbits(63) % len(names)] if names else ""
        chosen = [place for place in chosen if name in classes[place]]
    return chosen[random.getrandbits(63) % len(chosen)] if chosen else None
