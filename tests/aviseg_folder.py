"""A small folder of AVISeg, written by hand so that readers are judged without the library's own writer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as coco
from scipy.io import wavfile

SIZE = (24, 32)
CATEGORIES = {7: "violin", 3: "person", 5: "guitar"}
"""In the order of the files; by number: person, guitar, violin."""
Box = tuple[int, int, int, int]
"""Left, top, right, bottom; the last two are outside."""


def polygon(box: Box) -> list[list[float]]:
    left, top, right, bottom = box
    return [[left, top, right, top, right, bottom, left, bottom]]


def mask(box: Box, size: tuple[int, int] = SIZE) -> np.ndarray:
    filled = np.zeros(size, bool)
    filled[box[1] : box[3], box[0] : box[2]] = True
    return filled


def compressed(box: Box, size: tuple[int, int] = SIZE) -> dict[str, Any]:
    rle = coco.encode(np.asfortranarray(mask(box, size).astype(np.uint8)))
    return {"size": list(size), "counts": rle["counts"].decode()}


def uncompressed(box: Box, size: tuple[int, int] = SIZE) -> dict[str, Any]:
    flat = mask(box, size).T.ravel()
    edges = np.flatnonzero(np.diff(flat.astype(int), prepend=0))
    return {"size": list(size), "counts": np.diff([0, *edges, flat.size]).tolist()}


FORMS = {"polygon": polygon, "compressed": compressed, "uncompressed": uncompressed}


class AVISegFolder:
    """Three splits: `truth[split]` may be changed and written again by `save`."""

    def __init__(self, root: Path) -> None:
        self.root, self.random = root, np.random.default_rng(0)
        self.truth: dict[str, dict[str, Any]] = {}
        for split in ("train", "val", "test"):
            categories = [{"id": number, "name": name} for number, name in CATEGORIES.items()]
            self.truth[split] = {"info": {"é": [1, {"a": "]}"}]}, "videos": [], "categories": categories}
            self.truth[split]["annotations"] = []

    def video(self, split: str, name: str, frames: int, size: tuple[int, int] = SIZE, rate: int = 16000) -> None:
        """Frame k is all of the grey 20 k (and a little to the right brighter); sound of two channels; features."""
        table = self.truth[split]["videos"]
        names = [f"{name}/{k:05d}.jpg" for k in range(frames)]
        stated = {"id": 10 * len(table) + 4, "width": size[1], "height": size[0], "length": frames}
        table.append(stated | {"file_names": names})
        for k, file in enumerate(names):
            path = self.root / split / "JPEGImages" / file
            path.parent.mkdir(parents=True, exist_ok=True)
            shade = np.broadcast_to(20 * k + np.arange(size[1])[None, :, None] // 4, (*size, 3)).astype(np.uint8)
            Image.fromarray(shade).save(path, quality=95)
        sound = self.root / split / "WAVAudios" / f"{name}.wav"
        sound.parent.mkdir(exist_ok=True)
        wavfile.write(sound, rate, self.random.integers(-9000, 9000, (frames * rate, 2), dtype=np.int16))
        features = self.root / split / "FEATAudios" / f"{name}.npy"
        features.parent.mkdir(exist_ok=True)
        np.save(features, self.random.random((frames, 128), dtype=np.float32))

    def track(self, split: str, name: str, category: int, boxes: list[Box | None], form: str = "polygon") -> dict:
        """An annotation, which may still be changed."""
        annotations = self.truth[split]["annotations"]
        video = next(video for video in self.truth[split]["videos"] if video["file_names"][0].startswith(f"{name}/"))
        size = (video["height"], video["width"])
        make = FORMS[form]
        masks = [box and (make(box) if form == "polygon" else make(box, size)) for box in boxes]
        annotations.append(
            {
                "id": len(annotations) + 11,
                "video_id": video["id"],
                "category_id": category,
                "iscrowd": 0,
                "height": size[0],
                "width": size[1],
                "bboxes": [box and [box[0], box[1], box[2] - box[0], box[3] - box[1]] for box in boxes],
                "areas": [box and (box[2] - box[0]) * (box[3] - box[1]) + 0.5 for box in boxes],
                "segmentations": masks,
            }
        )
        return annotations[-1]

    def save(self) -> None:
        for split, truth in self.truth.items():
            (self.root / f"{split}.json").write_text(json.dumps(truth, ensure_ascii=False), encoding="utf-8")


A, B, C = (2, 3, 10, 9), (12, 5, 30, 20), (0, 0, 5, 24)


def make(root: Path) -> AVISegFolder:
    """train: aa (6 frames, three forms, a silent track between) and quiet; val: cc; test: dd and, silent, ee."""
    folder = AVISegFolder(root)
    folder.video("train", "aa", 6)
    folder.video("train", "quiet", 3)
    folder.track("train", "aa", 7, [A, A, None, B, None, None])
    folder.track("train", "aa", 3, [None, B, B, None, None, None], "compressed")
    folder.track("train", "aa", 5, [None, None, None, None, None, C], "uncompressed")
    folder.video("val", "cc", 1)
    folder.track("val", "cc", 3, [A])
    folder.video("test", "dd", 4)
    folder.video("test", "ee", 2)
    folder.track("test", "dd", 7, [A, None, C, None])
    folder.track("test", "dd", 7, [None, None, B, B], "compressed")
    folder.save()
    return folder
