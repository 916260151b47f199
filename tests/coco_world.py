"""A small folder of pictures, instances of COCO's form and labelled clips, for the tests of the VPO builder."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from avseg.io.audio import write_wav
from avseg.io.image import write_jpeg

HEIGHT, WIDTH = 40, 60
CATEGORIES = {"person": 1, "car": 3, "airplane": 5, "cat": 17, "dog": 18, "chair": 62}
LABELS = {"dog": "dog barking", "cat": "cat meowing", "car": "car passing by", "airplane": "airplane"}


def square(x: float, y: float = 5, side: float = 12) -> list[list[float]]:
    """The polygon of a square."""
    return [[x, y, x + side, y, x + side, y + side, x, y + side]]


@dataclass
class World:
    """Gathers pictures and clips, then writes them."""

    root: Path
    images: list[dict[str, Any]] = field(default_factory=list)
    annotations: list[dict[str, Any]] = field(default_factory=list)
    clips: list[tuple[str, ...]] = field(default_factory=list)

    @property
    def inputs(self) -> tuple[Path, Path, Path]:
        """Instances, pictures, index of sounds."""
        return self.root / "instances.json", self.root / "images", self.root / "index.csv"

    def picture(self, *objects: tuple[str, float], file: bool = True, **extra: Any) -> int:
        """A picture with (category, x) squares; gives its id."""
        number = 1000 + len(self.images)
        name = f"{number:012d}.jpg"
        self.images.append({"id": number, "file_name": name, "height": HEIGHT, "width": WIDTH, **extra})
        if file:
            noise = np.random.default_rng(number).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
            write_jpeg(self.root / "images" / name, noise)
        for category, x in objects:
            self.annotate(number, category, x)
        return number

    def annotate(self, image: int, category: str, x: float, **changes: Any) -> int:
        """A square of 12 pixels; gives the annotation's id."""
        row = {
            "id": 50 + len(self.annotations),
            "image_id": image,
            "category_id": CATEGORIES[category],
            "bbox": [x, 5, 12, 12],
            "area": 144,
            "iscrowd": 0,
            "segmentation": square(x),
        }
        self.annotations.append({**row, **changes})
        return int(row["id"])

    def sounds(self, category: str, count: int, *, seconds: float = 4, rate: int = 16000, channels: int = 1) -> None:
        """So many clips of a class."""
        for _ in range(count):
            name = f"{category.replace(' ', '')}{len(self.clips):03d}"
            noise = torch.rand(
                (channels, int(seconds * rate)), generator=torch.Generator().manual_seed(len(self.clips))
            )
            write_wav(self.root / "audios" / f"{name}.wav", 0.2 * (noise - 0.5), rate)
            self.clips.append((name, LABELS[category]))

    def save(self, clips: Sequence[Sequence[str]] | None = None) -> tuple[Path, Path, Path]:
        """Write instances and index."""
        instances, _, index = self.inputs
        content = {
            "images": self.images,
            "annotations": self.annotations,
            "categories": [{"id": number, "name": name} for name, number in CATEGORIES.items()],
        }
        instances.parent.mkdir(parents=True, exist_ok=True)
        instances.write_text(json.dumps(content))
        with index.open("w", newline="") as file:
            csv.writer(file).writerows(self.clips if clips is None else clips)
        return self.inputs


def usual(root: Path, pictures: int = 24) -> World:
    """Pictures of a dog and a cat, of a dog and a car, and of two dogs left and right with a cat between them."""
    world = World(root)
    for number in range(pictures):
        first = 1.0 + number % 5
        if number % 3 == 0:
            world.picture(("dog", first), ("cat", 30))
        elif number % 3 == 1:
            world.picture(("dog", 40), ("car", first), ("chair", 20))
        else:
            world.picture(("dog", first), ("dog", 45), ("cat", 24))
    for category in ("dog", "cat", "car"):
        world.sounds(category, 6)
    world.save()
    return world
