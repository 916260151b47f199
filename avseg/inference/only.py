"""Selection of the reported objects by class and score."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

from avseg.config import SessionOptions, as_number, did_you_mean
from avseg.inference.records import Detection, Track, class_names
from avseg.types import Task

Told = TypeVar("Told", Detection, Track)


@dataclass(frozen=True)
class Only:
    """A selection of the objects of a prediction; by default all."""

    names: tuple[str, ...] = ()
    """Classes, in the order of their ids; empty: all."""
    ids: frozenset[int] = frozenset()
    """Ids of these classes."""
    threshold: float | None = None
    """Objects with a score at or below this are left out."""

    @classmethod
    def of(cls, task: Task, classes: str | Sequence[str] | None, threshold: float | None) -> Only:
        """See `avseg.inference.Segmenter`.

        Raises:
            ValueError: if the task does not have a class, or the threshold is out of range.
        """
        if threshold is not None and not 0 <= as_number(threshold) < 1:
            raise ValueError(f"threshold is {threshold!r}, wanted 0 or more and below 1")
        if classes is None:
            return cls(threshold=threshold)
        known = class_names(task)
        if not isinstance(classes, (str, Iterable)):
            raise ValueError(
                f"classes is {classes!r}, wanted a list of names, or one text with names separated by commas"
            )
        given = _named(classes, known) if isinstance(classes, str) else list(classes)
        for name in given:
            if name not in known:
                raise ValueError(f"this model has no class {name!r}; {did_you_mean(str(name), known)}")
        if not given:
            raise ValueError("classes is empty; name at least one class, or leave it out for all classes")
        ids = sorted({known.index(name) + 1 for name in given})
        return cls(tuple(known[i - 1] for i in ids), frozenset(ids), threshold)

    def within(self, options: SessionOptions) -> tuple[SessionOptions, Only]:
        """Split off the threshold into the options of a session that have one; returns the options and the remaining
        choice.
        """
        if self.threshold is None or "score" not in {field.name for field in fields(options)}:
            return options, self
        return options.changed("", score=self.threshold), replace(self, threshold=None)

    def of_all(self, objects: tuple[Told, ...]) -> tuple[Told, ...]:
        """Return the selected objects."""
        least = -1.0 if self.threshold is None else self.threshold
        return tuple(one for one in objects if one.score > least and (not self.ids or one.class_id in self.ids))

    def of_notes(self, notes: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return an explanation without tracks of other classes; tracks without a class are kept."""
        tracks = notes.get("tracks")
        if not self.ids or not isinstance(tracks, Sequence):
            return notes
        kept = [track for track in tracks if not isinstance(track, Mapping) or self._has(track.get("class_id"))]
        return {**notes, "tracks": kept}

    def _has(self, class_id: object) -> bool:
        return class_id is None or class_id in self.ids

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types; empty if all objects are selected."""
        classes = {"classes": list(self.names)} if self.ids else {}
        return {**classes, **({} if self.threshold is None else {"threshold": self.threshold})}


def _named(text: str, known: Sequence[str]) -> list[str]:
    """Split a text into names at commas; a name may itself contain commas."""
    parts, names = [part.strip() for part in text.split(",")], []
    while parts:
        joined = [", ".join(parts[:count]) for count in range(len(parts), 0, -1)]
        name = next((name for name in joined if name in known), parts[0])
        parts = parts[name.count(",") + 1 :]
        if name:
            names.append(name)
    return names
