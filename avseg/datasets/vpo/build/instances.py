"""Pictures and instances of COCO's form: what could sound in them, and what else could be taken for it."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avseg.datasets.vpo.build.persons import PERSON_CLASSES, Persons
from avseg.datasets.vpo.build.splits import SPLITS

Record = dict[str, Any]


@dataclass(frozen=True)
class Instance:
    """An annotated object that could sound."""

    annotation: int
    category: str
    """Its VPO class."""
    position: float
    """Middle of its box, 0 left to 1 right."""
    segmentation: Any
    """Polygons or run lengths of COCO's form."""


@dataclass(frozen=True)
class Bystander:
    """An annotated object that never sounds but may be taken for one of these classes."""

    categories: tuple[str, ...]
    position: float | None
    """None: a crowd, which is everywhere."""


@dataclass(frozen=True)
class AnnotatedPicture:
    """A picture and its objects of VPO's classes."""

    id: int
    file: str
    size: tuple[int, int]
    """(H, W)."""
    split: str | None
    """Where the file names one."""
    instances: tuple[Instance, ...]
    bystanders: tuple[Bystander, ...] = ()

    def of(self, category: str) -> list[Instance]:
        return [instance for instance in self.instances if instance.category == category]

    def rivals(self, category: str) -> list[Bystander]:
        return [bystander for bystander in self.bystanders if category in bystander.categories]


def read_instances(
    path: Path, categories: Sequence[str], persons: Persons, min_area: float
) -> tuple[list[AnnotatedPicture], Counter[str]]:
    """Pictures with at least one instance that could sound, and how many annotations were passed over, by reason.

    Args:
        path: COCO instances JSON. Categories are known by name; `person` is split by `persons`.
        categories: VPO classes that are wanted.
        persons: What is known of people.
        min_area: Smallest share of the picture.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not of COCO's form, or an id that is no whole number.
    """
    content = _load(Path(path))
    names = {row["id"]: str(row["name"]) for row in content["categories"]}
    by_image: dict[Any, list[Record]] = defaultdict(list)
    for row in content["annotations"]:
        by_image[_checked_annotation(Path(path), row)["image_id"]].append(row)
    passed: Counter[str] = Counter()
    pictures = []
    for image in content["images"]:
        rows = by_image.pop(image["id"], [])
        picture = _picture(_checked(path, image), rows, names, _Judge(set(categories), persons, min_area, passed))
        if picture.instances:
            pictures.append(picture)
    if by_image:
        passed["of pictures that are not listed"] = sum(map(len, by_image.values()))
    return sorted(pictures, key=lambda picture: picture.id), passed


def _load(path: Path) -> Record:
    if not path.is_file():
        raise FileNotFoundError(f"the instances {path} are missing")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON ({error})") from error
    wanted = {"images": ("id", "file_name", "height", "width"), "annotations": ("id", "image_id", "category_id")}
    wanted["categories"] = ("id", "name")
    for part, keys in wanted.items():
        rows = content.get(part) if isinstance(content, dict) else None
        if not isinstance(rows, list):
            raise ValueError(f"{path} has no list {part!r}; wanted instances in the COCO format")
        for number, row in enumerate(rows):
            if not isinstance(row, dict) or any(key not in row for key in keys):
                raise ValueError(f"{path}: entry {number} of {part!r} lacks one of {', '.join(keys)}")
        (first, times), *_ = Counter(str(row["id"]) for row in rows).most_common(1) or [("", 0)]
        if times > 1:
            raise ValueError(f"{path}: two {part} have the id {first}; ids must differ")
    return dict(content)


def _checked(path: Path, image: Record) -> Record:
    number, split = image["id"], image.get("split")
    if not isinstance(number, int) or not 0 <= number < 10**12:
        raise ValueError(
            f"{path} has the image id {number!r}; the layout of VPO needs whole numbers of up to 12 digits"
        )
    if split is not None and split not in SPLITS:
        raise ValueError(f"{path} puts image {number} into the split {split!r}; wanted one of {', '.join(SPLITS)}")
    if not all(isinstance(image[side], int) and image[side] >= 1 for side in ("height", "width")):
        raise ValueError(
            f"{path} gives image {number} the size {image['height']!r} x {image['width']!r}, wanted whole numbers"
        )
    if not isinstance(image["file_name"], str):
        raise ValueError(f"{path} gives image {number} the file_name {image['file_name']!r}, wanted a text")
    return image


def _checked_annotation(path: Path, row: Record) -> Record:
    """An annotation whose numbers are numbers; what its segmentation is worth is judged later, one by one."""
    number, box, covered = row["id"], row.get("bbox"), row.get("area", 0)
    if not isinstance(number, int) or not 0 <= number < 10**12:
        raise ValueError(
            f"{path} has the annotation id {number!r}; the layout of VPO needs whole numbers of up to 12 digits"
        )
    for key in ("image_id", "category_id"):
        if not isinstance(row[key], int | str):
            raise ValueError(f"{path} gives annotation {number} the {key} {row[key]!r}, wanted one of its list")
    if box and not (isinstance(box, list) and len(box) == 4 and all(isinstance(n, int | float) for n in box)):
        raise ValueError(f"{path} gives annotation {number} the bbox {box!r}; wanted left, top, width, height")
    if not isinstance(covered, int | float):
        raise ValueError(f"{path} gives annotation {number} the area {covered!r}; wanted pixels, or no area at all")
    return row


@dataclass(frozen=True)
class _Judge:
    categories: set[str]
    persons: Persons
    min_area: float
    passed: Counter[str]

    def fault(self, row: Record, size: tuple[int, int], position: float | None) -> str:
        """Why an object of a wanted class never sounds; empty where it may."""
        if row.get("iscrowd"):
            return "crowd"
        if not has_segmentation(row.get("segmentation"), size):
            return "without a usable segmentation"
        if position is None:
            return "with a box outside the picture"
        return "too small" if area(row, size) < self.min_area * size[0] * size[1] else ""


def _picture(image: Record, rows: Sequence[Record], names: Mapping[Any, str], judge: _Judge) -> AnnotatedPicture:
    size = (int(image["height"]), int(image["width"]))
    people = sum(names.get(row["category_id"]) == "person" for row in rows)
    instances, bystanders = [], []
    for row in sorted(rows, key=lambda row: int(row["id"])):
        classes = _classes(row, image["id"], names, people, judge.persons)
        if not judge.categories & set(classes):
            continue
        position = None if row.get("iscrowd") else box_position(row, size)
        fault = "person without a sub-class" if len(classes) > 1 else judge.fault(row, size, position)
        if fault or position is None:
            judge.passed[fault] += 1
            bystanders.append(Bystander(classes, position))
        else:
            instances.append(Instance(int(row["id"]), classes[0], position, row["segmentation"]))
    return AnnotatedPicture(
        image["id"], str(image["file_name"]), size, image.get("split"), tuple(instances), tuple(bystanders)
    )


def _classes(row: Record, image: int, names: Mapping[Any, str], people: int, persons: Persons) -> tuple[str, ...]:
    """The VPO classes that an annotation may be of: one, or all three of an unknown person."""
    name = names.get(row["category_id"], "")
    if name != "person":
        return (name,)
    known = persons.of(int(row["id"]), image, people)
    return (known,) if known else PERSON_CLASSES


def has_segmentation(segmentation: Any, size: tuple[int, int]) -> bool:
    """Whether there are polygons of three points at least, or run lengths of the picture's size."""
    if isinstance(segmentation, dict):
        return _are_runs(segmentation.get("counts")) and list(segmentation.get("size", ())) == list(size)
    return bool(_polygons(segmentation))


def _are_runs(counts: Any) -> bool:
    """Compressed run lengths, or a list of them."""
    if isinstance(counts, list):
        return bool(counts) and all(isinstance(run, int) and run >= 0 for run in counts)
    return isinstance(counts, str | bytes) and len(counts) > 0


def _polygons(segmentation: Any) -> list[list[float]]:
    if not isinstance(segmentation, list):
        return []
    return [part for part in segmentation if _is_polygon(part)]


def _is_polygon(part: Any) -> bool:
    """Three points or more, as x, y, x, y, ..."""
    if not isinstance(part, list) or len(part) < 6 or len(part) % 2:
        return False
    return all(isinstance(value, int | float) and math.isfinite(value) for value in part)


def run_lengths(segmentation: Any, size: tuple[int, int]) -> Any:
    """Compressed run lengths of polygons, of run lengths as a list, or of compressed ones."""
    from pycocotools import mask as coco

    height, width = size
    if isinstance(segmentation, dict):
        counts = segmentation["counts"]
        return coco.frPyObjects(segmentation, height, width) if isinstance(counts, list) else segmentation
    return coco.merge(coco.frPyObjects(_polygons(segmentation), height, width))


def decode(segmentation: Any, size: tuple[int, int]) -> NDArray[np.bool_]:
    """(H, W) bool of a segmentation."""
    from pycocotools import mask as coco

    mask: NDArray[np.bool_] = coco.decode(run_lengths(segmentation, size)).astype(bool)
    return mask


def area(row: Record, size: tuple[int, int]) -> float:
    """Pixels of an annotation, by its own word where it gives one."""
    if "area" in row:
        return float(row["area"])
    from pycocotools import mask as coco

    return float(coco.area(run_lengths(row["segmentation"], size)))


def box_position(row: Record, size: tuple[int, int]) -> float | None:
    """Middle of the box, cut at the picture's borders, as a share of the width; None where nothing is left."""
    box = row.get("bbox")
    if not box:
        if not has_segmentation(row.get("segmentation"), size):
            return None
        from pycocotools import mask as coco

        box = coco.toBbox(run_lengths(row["segmentation"], size))
    left, right = max(float(box[0]), 0.0), min(float(box[0]) + float(box[2]), float(size[1]))
    return (left + right) / 2 / size[1] if right > left else None
