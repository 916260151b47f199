"""COCO, YouTube-VIS, CVAT and Label Studio: every mask comes back. `test_foreign_readers.py` asks the readers of
others, which cannot be installed beside avseg; what they agreed to is pinned here."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from avseg.inference.export.label_studio import brush
from avseg.io.rle import decode
from inference.known import COUNT, FPS, NAMES, SIZE, SOUNDS, clip_result, mask, pictures, result

MARKED = {(index, number) for number, of in SOUNDS.items() for index in of}


@pytest.mark.parametrize("kind", ["semantic", "instance"])
def test_pycocotools_reads_every_mask(kind: str, tmp_path: Path) -> None:
    known = result(tmp_path, kind)
    folder = known.save(tmp_path / "good.mp4.out", save=["coco"])
    read = COCO(folder / "coco.json")
    assert {i: one["name"] for i, one in read.cats.items()} == dict(enumerate(NAMES, start=1))
    assert len(read.imgs) == COUNT and len(read.anns) == len(MARKED)
    for one in read.anns.values():
        assert (read.annToMask(one) == mask(one["track_id"], one["image_id"] - 1)).all()
    stored, whole = json.loads((folder / "coco.json").read_text(encoding="utf-8")), known.to_coco()
    assert stored["annotations"] == whole["annotations"] and stored["categories"] == whole["categories"]


@pytest.mark.parametrize("kind", ["semantic", "instance"])
def test_every_object_goes_through_the_video(kind: str, tmp_path: Path) -> None:
    folder = result(tmp_path, kind).save(tmp_path / "out", save=["youtube_vis"])
    read = json.loads((folder / "youtube_vis.json").read_text(encoding="utf-8"))
    (video,) = read["videos"]
    assert (video["height"], video["width"], video["length"], len(video["file_names"])) == (*SIZE, COUNT, COUNT)
    assert [one["category_id"] for one in read["annotations"]] == list(SOUNDS)
    for one in read["annotations"]:
        of = SOUNDS[one["category_id"]]
        assert [i for i, rle in enumerate(one["segmentations"]) if rle is not None] == list(of)
        assert all((decode(one["segmentations"][i]) == mask(one["category_id"], i)).all() for i in of)
        assert [bool(box) for box in one["bboxes"]] == [area is not None for area in one["areas"]]
        assert one["areas"][of[0]] == mask(one["category_id"], of[0]).sum()


def test_cvat_numbers_frames_as_the_video_does(tmp_path: Path) -> None:
    folder = result(tmp_path).save(tmp_path / "out", save=["cvat"])
    root = ElementTree.parse(folder / "cvat.xml").getroot()
    assert [label.findtext("name") for label in root.iter("label")] == list(NAMES)
    assert root.findtext("meta/task/size") == "30" and root.findtext("version") == "1.1"
    images = list(root.iter("image"))
    assert [int(image.attrib["id"]) for image in images] == [int((i + 0.5) / FPS * 10 + 1e-6) for i in range(COUNT)]
    seen = set()
    for index, image in enumerate(images):
        for one in image.iter("mask"):
            left, top, width, height = (int(one.attrib[side]) for side in ("left", "top", "width", "height"))
            runs = [int(run) for run in one.attrib["rle"].split(",")]
            whole = np.zeros(SIZE, bool)
            inside = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(height, width)
            whole[top : top + height, left : left + width] = inside
            number = NAMES.index(one.attrib["label"]) + 1
            assert (whole == mask(number, index)).all() and one.attrib["group_id"] == str(number)
            seen.add((index, number))
    assert seen == MARKED


def test_cvat_of_a_clip_counts_its_own_frames(tmp_path: Path) -> None:
    root = ElementTree.parse(clip_result().save(tmp_path / "out", save=["cvat"]) / "cvat.xml").getroot()
    assert [image.attrib["id"] for image in root.iter("image")] == [str(index) for index in range(COUNT)]


def unpacked(packed: list[int]) -> np.ndarray:
    """The values of Label Studio's run lengths, read by the description of the format."""
    bits = "".join(f"{byte:08b}" for byte in packed)
    at = 0

    def take(count: int) -> int:
        nonlocal at
        at += count
        return int(bits[at - count : at], 2)

    total, word = take(32), take(5) + 1
    sizes = [take(4) + 1 for _ in range(4)]
    values: list[int] = []
    while len(values) < total:
        repeated, length = take(1), take(sizes[take(2)]) + 1
        values += [take(word)] * length if repeated else [take(word) for _ in range(length)]
    assert 0 <= len(bits) - at < 8
    return np.array(values, np.uint8)


@pytest.mark.parametrize("shape", [(1, 1), (5, 7), (130, 260)])
def test_brush_masks_come_back(shape: tuple[int, int]) -> None:
    random = np.random.default_rng(0)
    noise = random.random(shape) < 0.5
    for inside in (noise, np.zeros(shape, bool), np.ones(shape, bool)):
        values = unpacked(brush(inside)).reshape(*shape, 4)
        assert ((values == 255) == inside[..., None]).all() and set(np.unique(values)) <= {0, 255}


def test_brush_bytes_that_label_studio_reads() -> None:
    inside = np.array([[0, 1, 1], [0, 0, 1]], bool)
    assert brush(inside) == [0, 0, 0, 24, 57, 27, 252, 96, 19, 255, 206, 1, 31, 248]


def test_label_studio_gets_pictures_tasks_and_labels(tmp_path: Path) -> None:
    folder = result(tmp_path).save(tmp_path / "my result", save=["label_studio"])
    tasks = json.loads((folder / "label_studio" / "tasks.json").read_text(encoding="utf-8"))
    assert len(tasks) == COUNT
    config = ElementTree.parse(folder / "label_studio" / "config.xml").getroot()
    assert [label.attrib["value"] for label in config.iter("Label")] == list(NAMES)
    seen = set()
    for index, task in enumerate(tasks):
        (place,) = parse_qs(urlsplit(task["data"]["image"]).query)["d"]
        shown = np.array(Image.open(tmp_path / place), float)
        assert np.abs(shown - pictures()[int((index + 0.5) / FPS * 10 + 1e-6)]).mean() < 6
        for region in task["predictions"][0]["result"]:
            number = NAMES.index(region["value"]["brushlabels"][0]) + 1
            values = unpacked(region["value"]["rle"]).reshape(*SIZE, 4)
            assert ((values[..., 3] > 0) == mask(number, index)).all()
            seen.add((index, number))
    assert seen == MARKED
