"""AVSBench-semantic (AVSS): clips of five or ten frames with labels of 71 classes, as colours or as class ids.

Zhou et al., Audio-Visual Segmentation with Semantics, IJCV 2024. The layout of the folders is on
docs/reference/datasets.md.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import get_worker_info

from avseg.data.base import ClipDataset
from avseg.data.geometry import Geometry, channels_first
from avseg.data.packing import ClipFile, SplitTables
from avseg.data.sound import published_buffer, read_sound
from avseg.data.tables import ClipFiles, check_names, objects_of, read_table
from avseg.datasets.avss.classes import avss_classes, avss_palette
from avseg.datasets.avss.config import AVSSConfig
from avseg.io.image import open_image
from avseg.io.packed import is_folder
from avseg.types import IGNORE, Clip, DenseTarget, Task

FRAMES = {"v1s": 5, "v1m": 5, "v2": 10}
"""Frames of a clip in the three parts: former S4 clips, former MS3 clips, new ones of ten seconds."""
LONGEST = 10
COLOURS, IDS = "labels_rgb", "labels_semantic"
"""Folders of the label pictures; that of the ids is read where there is none of the colours."""
NAMES = "label2idx.json"
COLUMNS = (("uid", None), ("label", None), ("split", None))

A = TypeVar("A")
R = TypeVar("R")


class AVSS(ClipDataset):
    """One split, or some parts of it (`config.parts`); every batch of it is padded to ten frames.

    With `config.binary` every class is foreground, but `target.sounding` still tells the classes.
    """

    config: AVSSConfig
    batch_frames = LONGEST

    def __init__(self, config: AVSSConfig, split: str, root: Path) -> None:
        path = root / "metadata.csv"
        table = read_table(path, COLUMNS)
        check_names(path, table, ["uid"])
        for number, row in enumerate(table, start=2):
            if row["label"] not in FRAMES:
                raise ValueError(
                    f"{path} line {number} has the label {row['label']!r}, wanted one of {', '.join(FRAMES)}"
                )
        self.config, self.split, self.root = config, split, root
        parts: Sequence[str] = config.parts or tuple(FRAMES)
        self.rows = [row for row in table if row["split"] == split and row["label"] in parts]
        self.ids = [row["uid"] for row in self.rows]
        self.task = Task("binary") if config.binary else Task("semantic", class_names(root)[1:])
        self._objects = objects_of(path)
        self.suite = "avsbench_object" if config.binary else "avsbench_semantic"

    def files(self, index: int) -> ClipFiles:
        """Where the parts of a clip lie; a v1s clip of training has the label of its first frame only."""
        row = self.rows[index]
        folder = self.root / row["label"] / row["uid"]
        ids_only = not is_folder(folder / COLOURS) and is_folder(folder / IDS)
        labels = folder / (IDS if ids_only else COLOURS)
        return ClipFiles(
            tuple(folder / "frames" / f"{k}.jpg" for k in range(FRAMES[row["label"]])),
            tuple(labels / f"{k}.png" for k in self.annotated(index)),
            folder / "audio.wav",
        )

    def clip_files(self, index: int) -> list[ClipFile]:
        """Frames, labels as colours and as class ids, and the sound."""
        row = self.rows[index]
        folder, labelled = f"{row['label']}/{row['uid']}", self.annotated(index)
        return [
            *(ClipFile("frame", f"{folder}/frames/{k}.jpg") for k in range(FRAMES[row["label"]])),
            *(ClipFile("label", f"{folder}/{COLOURS}/{k}.png", needed=False) for k in labelled),
            *(ClipFile("label_ids", f"{folder}/{IDS}/{k}.png", needed=False) for k in labelled),
            ClipFile("sound", f"{folder}/audio.wav"),
        ]

    def tables(self) -> SplitTables:
        """The table, and the names of the classes where they are there."""
        return SplitTables(tuple(name for name in ("metadata.csv", NAMES) if (self.root / name).is_file()))

    def annotated(self, index: int) -> range:
        """Return the annotated frames of a clip."""
        row = self.rows[index]
        return range(1 if (row["label"], row["split"]) == ("v1s", "train") else FRAMES[row["label"]])

    def length(self, index: int) -> int:
        """Return the number of frames of a clip."""
        return FRAMES[self.rows[index]["label"]]

    def sound(self, index: int) -> tuple[torch.Tensor, int]:
        """Return only the sound of a clip."""
        return self._sound(self.files(index).sound)

    def heard_classes(self, index: int) -> frozenset[str]:
        """The objects that the table names, where it has a column of them; else what the labels show."""
        return self._objects[self.ids[index]] if self._objects else super().heard_classes(index)

    def read(self, index: int, geometry: Geometry | None = None, frames: Sequence[int] | None = None) -> Clip:
        """Read a clip or some of its frames, resized while reading if a geometry is given.

        `target.sounding` (T, 70) says which classes the labels show, at the size at which they are read.

        Raises:
            FileNotFoundError, ValueError: a file is missing, broken, or of another size than the others.
        """
        files = self.files(index)
        chosen = range(len(files.frames)) if frames is None else list(frames)
        labelled = [place for place, frame in enumerate(chosen) if frame < len(files.labels)]
        paths, count = [files.frames[frame] for frame in chosen], len(chosen)
        paths += [files.labels[chosen[place]] for place in labelled]
        pictures = _in_parallel(lambda path: _picture(path, geometry), paths)
        _check_sizes(paths, [size for _, size in pictures])
        arrays = [array for array, _ in pictures]
        on_frames = geometry is not None and geometry.resize_labels
        size = arrays[0].shape[1:] if on_frames else pictures[0][1]
        codes = np.zeros((count, *size), np.uint8)
        for place, code in zip(labelled, arrays[count:], strict=True):
            codes[place] = code
        audio, rate = self._sound(files.sound)
        return Clip(
            id=self.ids[index],
            frames=torch.from_numpy(np.stack(arrays[:count])),
            times=torch.tensor(list(chosen), dtype=torch.float64),
            audio=audio,
            sample_rate=rate,
            target=_target(codes, labelled, self.config.binary),
            output_size=codes.shape[1:],
        )

    def _sound(self, path: Path) -> tuple[torch.Tensor, int]:
        audio, rate = read_sound(path, self.config)
        return (published_buffer(audio, rate) if "audio_window" in self.config.compat else audio), rate


def class_names(root: Path) -> tuple[str, ...]:
    """The 71 names by class id, in the key order of the folder's `label2idx.json` where there is one.

    Raises:
        ValueError: not 71 names, or their numbers are not in order.
    """
    path = root / NAMES
    if not path.is_file():
        return avss_classes()
    try:
        numbers = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON ({error}); copy it again or remove it") from error
    wanted = len(avss_classes())
    if not isinstance(numbers, dict) or len(numbers) != wanted or not _rise(list(numbers.values())):
        raise ValueError(
            f"{path} must map {wanted} names to rising numbers, background first; copy it again or remove it"
        )
    return tuple(numbers)


def _rise(numbers: list[Any]) -> bool:
    return all(type(number) is int for number in numbers) and numbers == sorted(numbers)


@cache
def _colour_table() -> NDArray[np.uint8]:
    """Class id of the 512 colours whose channels are multiples of 32, among them all of the palette; 0 elsewhere."""
    table = np.zeros(512, np.uint8)
    for index, (red, green, blue) in enumerate(avss_palette()):
        table[(red >> 5) << 6 | (green >> 5) << 3 | blue >> 5] = index
    return table


def decode_colours(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Class ids (..., H, W) of colours (..., H, W, 3) by exact match; a colour of no class is 0, as published."""
    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    code = (red & 0xE0).astype(np.uint16) << 1 | (green & 0xE0) >> 2 | blue >> 5
    exact = ((red | green | blue) & 0x1F) == 0
    classes: NDArray[np.uint8] = _colour_table()[code] * exact
    return classes


def _picture(path: Path, geometry: Geometry | None) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """A frame (3, H, W) or a label map (H, W), both uint8, and the size (H, W) of the file."""
    is_label = path.suffix == ".png"
    image = open_image(path, None if is_label else "RGB")
    size = (image.height, image.width)
    if geometry is not None and (geometry.resize_labels or not is_label):
        image = geometry.resize(image, "nearest" if is_label else geometry.spec.interpolation)
    if not is_label:
        return channels_first(image), size
    if path.parent.name == IDS:
        return _class_ids(image, path), size
    # Nearest neighbour commutes with the look-up, so only the pixels that stay are decoded.
    return decode_colours(np.asarray(image.convert("RGB"))), size


def _class_ids(image: Image.Image, path: Path) -> NDArray[np.uint8]:
    """(H, W) of a picture whose values are class ids, or 255 for pixels that are not judged."""
    if image.mode not in ("L", "P"):
        raise ValueError(f"the labels {path} have the mode {image.mode}, wanted a grey or paletted picture of 8 bit")
    wrong = [value for value in np.flatnonzero(image.histogram()) if len(avss_classes()) <= value != IGNORE]
    if wrong:
        raise ValueError(f"the labels {path} hold {wrong[0]}, wanted class ids from 0 to {len(avss_classes()) - 1}")
    return np.array(image)


def _check_sizes(paths: list[Path], sizes: list[tuple[int, int]]) -> None:
    for path, size in zip(paths, sizes, strict=True):
        if size != sizes[0]:
            raise ValueError(
                f"{path} is {size} high and wide, but {paths[0]} is {sizes[0]}; frames and labels must agree"
            )


def _target(codes: NDArray[np.uint8], labelled: Sequence[int], binary: bool) -> DenseTarget:
    """Truth of (T, H, W) uint8 class ids, which are 0 in frames that are not `labelled`."""
    shown = np.zeros((len(codes), 256), np.bool_)
    for place in labelled:
        shown[place, np.bincount(codes[place].ravel()).nonzero()[0]] = True
    labels = torch.from_numpy(codes.astype(np.int64))
    if binary:
        labels[(labels > 0) & (labels != IGNORE)] = 1
    annotated = torch.zeros(len(codes), dtype=torch.bool)
    annotated[list(labelled)] = True
    return DenseTarget(labels, annotated, torch.from_numpy(shown[:, 1 : len(avss_classes())].copy()))


def _in_parallel(function: Callable[[A], R], items: list[A]) -> list[R]:
    """Decoders release the interpreter, so threads help; inside a loader's worker the cores are taken already."""
    threads = 1 if get_worker_info() is not None else min(os.cpu_count() or 1, 8)
    if threads == 1:
        return [function(item) for item in items]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(function, items))
