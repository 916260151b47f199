"""Masks come back by datumaro (COCO, CVAT) and label-studio-sdk (tasks, brush strokes): readers of others."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from extras import readers
from inference.known import result

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "foreign_readers.py"
FILES = {"datumaro": ("coco.json", "cvat.xml"), "label-studio": ("label_studio/tasks.json",)}


def told(reader: str, folder: Path) -> tuple[int, str]:
    """Exit status and words of a reader, in the environment that has it."""
    words = [readers(), str(SCRIPT), reader, str(folder)]
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
    return done.returncode, done.stdout


@pytest.mark.extra
@pytest.mark.parametrize("reader", FILES)
@pytest.mark.parametrize("kind", ["semantic", "instance"])
def test_readers_of_others_find_every_mask(reader: str, kind: str, tmp_path: Path) -> None:
    folder = result(tmp_path, kind).save(tmp_path / "out", save=["masks", "coco", "cvat", "label_studio"])
    status, words = told(reader, folder)
    assert status == 0, words
    assert all(f"{name}: 6 of 6 masks agree, 0 are not in the result" in words for name in FILES[reader]), words
    if kind == "instance":
        return
    path = folder / "masks" / "000001.png"
    with Image.open(path) as image:
        labels = np.array(image)
    labels[0, 0] = 2  # a pixel that the other files do not know of
    Image.fromarray(labels).save(path)
    status, words = told(reader, folder)
    assert status == 1 and all(f"{name}: 5 of 6 masks agree" in words for name in FILES[reader]), words
