"""The models that the page offers: given files, names that open without a file, and the demo's model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from avseg.models.header import read_header
from avseg.models.opening import ModelSource, opening_names, opening_of, openings, settled
from avseg.models.places import DEMO


@dataclass(frozen=True)
class Offer:
    """A model on the page."""

    label: str
    """Its label on the page."""
    source: str
    """The value for `avseg.jobs.Order.model`."""
    takes_words: bool = False
    """Whether the user may set its vocabulary."""
    classes: tuple[str, ...] = ()
    """Its classes; empty if they depend on a vocabulary or the task is binary."""


_DEMO = Offer(f"{DEMO}: synthetic shapes only", DEMO)


def offers(given: Sequence[str]) -> list[Offer]:
    """Return the given models, then all names with cached weights, then the demo's model.

    Args:
        given: model files, or names.

    Raises:
        FileNotFoundError: no such file, or weights of a name that are not in the cache.
        ImportError: packages that a name needs are not installed.
        ValueError: no model file.
    """
    found = [_of_name(name) or _of_file(name) for name in given]
    found += [offer for family in openings() for offer in _ready(family)]
    found.append(_DEMO)
    sources = {offer.source: offer for offer in reversed(found)}
    return [offer for offer in _told_apart(found) if sources.pop(offer.source, None)]


def _of_file(name: str) -> Offer:
    header = read_header(Path(name))
    classes = header.task.get("classes") or ()
    return Offer(f"{Path(name).name} ({header.family})", str(Path(name).resolve()), classes=tuple(map(str, classes)))


def _of_name(name: str) -> Offer | None:
    """Return the offer of a name that opens a model; None for a path.

    Raises:
        FileNotFoundError, ImportError: it does not open here and now.
    """
    if name == DEMO:
        return _DEMO
    found = opening_of(name)
    if found is None:
        return None
    spec, preset = found
    settled(ModelSource(name), spec, preset, None)
    assert spec.opening is not None
    return Offer(name, name, any(choice.name == "vocabulary" for choice in fields(spec.opening.choices)))


def _ready(family: str) -> Iterator[Offer]:
    """Return the names of a family that open here: its own, or else those of presets with cached weights."""
    if openings()[family].missing:
        return
    for name in opening_names():
        if opening_of(name) is None or not name.startswith(family):
            continue
        try:
            offer = _of_name(name)
        except (OSError, ImportError, ValueError):
            continue
        if offer is not None:
            yield offer
        if name == family:
            return


def _told_apart(found: Sequence[Offer]) -> Iterator[Offer]:
    """Add the folder of the file to equal labels."""
    labels = [offer.label for offer in found]
    for offer in found:
        alike = labels.count(offer.label) > 1 and Path(offer.source).is_absolute()
        folder = f", in {Path(offer.source).parent}" if alike else ""
        yield Offer(f"{offer.label}{folder}", offer.source, offer.takes_words, offer.classes)
