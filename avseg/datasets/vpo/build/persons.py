"""COCO's `person` as VPO's male, female and baby: by a table, or by captions of pictures with one person."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from avseg.config import did_you_mean
from avseg.data.tables import csv_rows

PERSON_CLASSES = ("male", "female", "baby")
WORDS = {
    "male": frozenset({"man", "boy", "guy", "gentleman", "male", "father", "dad", "son", "businessman", "policeman"}),
    "female": frozenset({"woman", "girl", "lady", "female", "mother", "mom", "daughter", "businesswoman", "bride"}),
    "baby": frozenset({"baby", "infant", "toddler", "newborn"}),
}
"""Words of captions; plurals are none of them, since they tell of several people."""


@dataclass(frozen=True)
class Persons:
    """The classes of persons."""

    annotations: Mapping[int, str] = field(default_factory=dict)
    """Class by annotation id."""
    images: Mapping[int, str] = field(default_factory=dict)
    """Class by image id; holds only where the picture shows one person."""

    def __bool__(self) -> bool:
        return bool(self.annotations or self.images)

    def of(self, annotation: int, image: int, people: int) -> str | None:
        """The class of a person in a picture of so many people; None where nobody tells."""
        found = self.annotations.get(annotation)
        return found if found or people != 1 else self.images.get(image)


def read_persons(table: Path | None, captions: Path | None) -> Persons:
    """Read the user's files; the table is preferred to the captions.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a file of another form, or a class that is none of male, female and baby.
    """
    annotations: dict[int, str] = {}
    images = _from_captions(Path(captions)) if captions else {}
    if table:
        path = Path(table)
        if not path.is_file():
            raise FileNotFoundError(f"the table of persons {path} is missing")
        found = _read_json(path) if path.suffix.lower() == ".json" else _read_csv(path)
        annotations, by_image = found["annotations"], found["images"]
        images.update(by_image)
    return Persons(annotations, images)


def _read_csv(path: Path) -> dict[str, dict[int, str]]:
    header, *lines = csv_rows(path) or [[]]
    columns, rows = set(header), [dict(zip(header, line, strict=False)) for line in lines]
    if "class" not in columns or not columns & {"annotation", "image"}:
        raise ValueError(
            f"{path} has the columns {', '.join(sorted(map(str, columns))) or '(none)'}; "
            "wanted `annotation` or `image`, and `class`"
        )
    found: dict[str, dict[int, str]] = {"annotations": {}, "images": {}}
    for row in rows:
        key = "annotations" if row.get("annotation") else "images"
        found[key].update(_entry(path, row.get("annotation") or row.get("image"), row.get("class")))
    return found


def _read_json(path: Path) -> dict[str, dict[int, str]]:
    content = _load(path)
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds a {type(content).__name__}, wanted an object of annotation ids and classes")
    parts = content if set(content) <= {"annotations", "images"} else {"annotations": content}
    found: dict[str, dict[int, str]] = {"annotations": {}, "images": {}}
    for part, entries in parts.items():
        if not isinstance(entries, dict):
            raise ValueError(f"{path}: {part!r} must map ids to male, female or baby")
        for number, name in entries.items():
            found[part].update(_entry(path, number, name))
    return found


def _entry(path: Path, number: Any, name: Any) -> dict[int, str]:
    text = str(name or "").strip().lower()
    if text not in PERSON_CLASSES:
        raise ValueError(f"{path} calls {number} {name!r}; {did_you_mean(text, PERSON_CLASSES)}")
    try:
        return {int(number): text}
    except (TypeError, ValueError):
        raise ValueError(f"{path} has the id {number!r}, wanted a whole number") from None


def _from_captions(path: Path) -> dict[int, str]:
    """Class by image id, where all captions together name exactly one of the three."""
    if not path.is_file():
        raise FileNotFoundError(f"the captions {path} are missing")
    content = _load(path)
    rows = content.get("annotations") if isinstance(content, dict) else None
    if not isinstance(rows, list) or not all(map(_is_caption, rows)):
        raise ValueError(f"{path} has no captions of COCO's form: `annotations` with `image_id` and `caption`")
    texts: dict[int, list[str]] = defaultdict(list)
    for row in rows:
        texts[int(row["image_id"])].append(str(row["caption"]))
    named = {image: _named(" ".join(lines)) for image, lines in texts.items()}
    return {image: next(iter(classes)) for image, classes in named.items() if len(classes) == 1}


def _is_caption(row: Any) -> bool:
    return isinstance(row, dict) and "caption" in row and isinstance(row.get("image_id"), int)


def _named(text: str) -> set[str]:
    words = set(re.findall(r"[a-z]+", text.lower()))
    return {name for name, known in WORDS.items() if words & known}


def _load(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON ({error})") from error
