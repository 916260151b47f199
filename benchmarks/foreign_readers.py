"""Read a result folder back with the readers of others, and compare every mask with the PNG of `--save masks`.

    avseg predict band.mp4 --model FILE --out results --masks png --save masks coco cvat label_studio
    python benchmarks/foreign_readers.py datumaro results/band          # where datumaro is installed
    python benchmarks/foreign_readers.py label-studio results/band      # where label-studio-sdk is installed

Neither is installed beside avseg: both pin packages that avseg wants newer, and `.ci/readers.txt` is an environment for
them, in which tests/inference/test_foreign_readers.py runs this. This file imports nothing of avseg, so a
virtual environment with the one reader is enough. It prints how many masks agree, and ends with 1 where one does not.
Results of models that track are compared where masks do not overlap, since a PNG has one label a pixel.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from PIL import Image

Found = dict[tuple[int, str], Any]
"""By frame and name of the class: (H, W) bool, everything of that class."""


def truth_of(folder: Path) -> Found:
    """What the PNGs and result.json say."""
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    found: Found = {}
    for frame in result["frames"]:
        labels = np.array(Image.open(folder / "masks" / f"{frame['index']:06d}.png"))
        for one in frame["objects"]:
            join(found, (frame["index"], one["class"]), labels == one["id"])
    return found


def join(found: Found, key: tuple[int, str], mask: Any) -> None:
    """Add a mask to those of its class and frame."""
    found[key] = found[key] | mask if key in found else mask


def frame_numbers(folder: Path) -> dict[int, int]:
    """Index of the mask by the number of the video's frame, as CVAT counts them."""
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    return {int((frame["time"] + 1e-6) * result["video"]["fps"]): frame["index"] for frame in result["frames"]}


def by_datumaro(folder: Path) -> Iterator[tuple[str, Found]]:
    """`coco.json` and `cvat.xml`."""
    from datumaro.components.annotation import AnnotationType
    from datumaro.components.dataset import Dataset

    numbers = frame_numbers(folder)
    for name, form in (("coco.json", "coco_instances"), ("cvat.xml", "cvat")):
        with tempfile.TemporaryDirectory() as work:
            place = Path(work) / ("annotations" if form.startswith("coco") else "")
            place.mkdir(exist_ok=True)
            (Path(work) / "images").mkdir()  # datumaro reads no COCO without it, and no CVAT without its pictures
            for image in ElementTree.parse(folder / "cvat.xml").iter("image") if form == "cvat" else ():
                blank = Image.new("L", (int(image.attrib["width"]), int(image.attrib["height"])))
                blank.save(Path(work) / "images" / image.attrib["name"])
            copy = place / ("instances_all.json" if form.startswith("coco") else name)
            copy.write_bytes((folder / name).read_bytes())
            data = Dataset.import_from(work if form.startswith("coco") else str(copy), form)
            labels = data.categories()[AnnotationType.label]
            found: Found = {}
            for item in data:
                index = numbers[int(item.attributes["frame"])] if form == "cvat" else int(Path(item.id).name)
                for one in item.annotations:
                    if one.type == AnnotationType.mask:
                        join(found, (index, labels[one.label].name), np.asarray(one.image).astype(bool))
        yield name, found


def by_label_studio(folder: Path) -> Iterator[tuple[str, Found]]:
    """`label_studio/tasks.json`, against the settings of its project."""
    from label_studio_sdk.converter.brush import decode_rle
    from label_studio_sdk.label_interface import LabelInterface

    interface = LabelInterface((folder / "label_studio" / "config.xml").read_text(encoding="utf-8"))
    found: Found = {}
    for task in json.loads((folder / "label_studio" / "tasks.json").read_text(encoding="utf-8")):
        # `validate_task` calls `validate_prediction` without its argument where a task has predictions.
        (prediction,) = task.pop("predictions")
        assert interface.validate_task(task), task
        assert not interface.validate_prediction(prediction, return_errors=True), prediction
        for region in prediction["result"]:
            size = region["original_height"], region["original_width"], 4
            values = np.asarray(decode_rle(region["value"]["rle"]), np.uint8).reshape(size)
            index = int(region["id"].split("-")[0])
            join(found, (index, region["value"]["brushlabels"][0]), values[..., 3] > 0)
    yield "label_studio/tasks.json", found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reader", choices=("datumaro", "label-studio"))
    parser.add_argument("folder", type=Path)
    words = parser.parse_args()
    truth = truth_of(words.folder)
    good = True
    for name, found in (by_datumaro if words.reader == "datumaro" else by_label_studio)(words.folder):
        same = [key for key in truth if key in found and (found[key] == truth[key]).all()]
        more = [key for key in found if key not in truth]
        print(f"{name}: {len(same)} of {len(truth)} masks agree, {len(more)} are not in the result")
        good &= bool(truth) and len(same) == len(truth) and not more
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
