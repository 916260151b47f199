"""AVSBench-semantic (AVSS): clips of five or ten frames with labels of 71 classes, colour-coded.

Zhou et al., Audio-Visual Segmentation with Semantics, IJCV 2024. The layout of the folders is on docs/datasets.md.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import get_worker_info

from avseg.data.base import ClipFiles, check_names, need_root, read_table
from avseg.data.classes import avss_classes, avss_palette
from avseg.data.config import DataConfig
from avseg.data.geometry import Geometry, channels_first
from avseg.io.audio import read_wav
from avseg.io.image import open_image
from avseg.types import Clip, DenseTarget, Task

FRAMES = {"v1s": 5, "v1m": 5, "v2": 10}
"""Frames of a clip in the three parts: former S4 clips, former MS3 clips, new ones of ten seconds."""
LONGEST = 10
COLUMNS = (("uid", None), ("label", None), ("split", None))

A = TypeVar("A")
R = TypeVar("R")


def open_avss(config: DataConfig, split: str, root: Path | None) -> AVSS:
    """One split of AVSS.

    Raises:
        ValueError: log-mel pickles are asked for (the data set has none), or a table that does not fit.
    """
    if config.audio != "wav":
        raise ValueError("AVSS ships no log-mel pickles; use --data.audio wav")
    return AVSS(config, split, need_root(config, root))


class AVSS:
    """One split; every batch of it is padded to ten frames."""

    suite = "avsbench_semantic"
    batch_frames = LONGEST

    def __init__(self, config: DataConfig, split: str, root: Path) -> None:
        path = root / "metadata.csv"
        table = read_table(path, COLUMNS)
        check_names(path, table, ["uid"])
        for number, row in enumerate(table, start=2):
            if row["label"] not in FRAMES:
                raise ValueError(
                    f"{path} line {number} has the label {row['label']!r}, wanted one of {', '.join(FRAMES)}"
                )
        self.config, self.split, self.root = config, split, root
        self.rows = [row for row in table if row["split"] == split]
        self.ids = [row["uid"] for row in self.rows]
        self.task = Task("semantic", class_names(root)[1:])

    def files(self, index: int) -> ClipFiles:
        """Where the parts of a clip lie; a v1s clip of training has the label of its first frame only."""
        row = self.rows[index]
        folder = self.root / row["label"] / row["uid"]
        frames = FRAMES[row["label"]]
        annotated = 1 if (row["label"], row["split"]) == ("v1s", "train") else frames
        return ClipFiles(
            tuple(folder / "frames" / f"{k}.jpg" for k in range(frames)),
            tuple(folder / "labels_rgb" / f"{k}.png" for k in range(annotated)),
            folder / "audio.wav",
        )

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Clip:
        return self.read(index)

    def read(self, index: int, geometry: Geometry | None = None) -> Clip:
        """A clip, sized while it is read where a geometry is given (see `SizedReader`).

        `target.sounding` (T, 70) says which classes the labels show, at the size at which they are read.

        Raises:
            FileNotFoundError, ValueError: a file is missing, broken, or of another size than the others.
        """
        files = self.files(index)
        paths, count = [*files.frames, *files.labels], len(files.frames)
        pictures = _in_parallel(lambda path: _picture(path, geometry), paths)
        _check_sizes(paths, [size for _, size in pictures])
        channels = 2 if self.config.stereo else 1
        audio, rate = read_wav(files.sound, self.config.sample_rate, channels)
        codes = np.stack([array for array, _ in pictures[count:]])
        return Clip(
            id=self.ids[index],
            frames=torch.from_numpy(np.stack([array for array, _ in pictures[:count]])),
            times=torch.arange(count, dtype=torch.float64),
            audio=audio,
            sample_rate=rate,
            target=_target(codes, count),
            output_size=codes.shape[1:],
        )


def class_names(root: Path) -> tuple[str, ...]:
    """The 71 names by class id, in the key order of the folder's `label2idx.json` where there is one.

    Raises:
        ValueError: not 71 names, or their numbers are not in order.
    """
    path = root / "label2idx.json"
    if not path.is_file():
        return avss_classes()
    try:
        numbers = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON ({error}); copy it again or remove it") from error
    wanted = len(avss_classes())
    if not isinstance(numbers, dict) or len(numbers) != wanted or list(numbers.values()) != sorted(numbers.values()):
        raise ValueError(
            f"{path} must map {wanted} names to rising numbers, background first; copy it again or remove it"
        )
    return tuple(numbers)


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
    # Nearest neighbour commutes with the look-up, so only the pixels that stay are decoded.
    return decode_colours(np.asarray(image.convert("RGB"))), size


def _check_sizes(paths: list[Path], sizes: list[tuple[int, int]]) -> None:
    for path, size in zip(paths, sizes, strict=True):
        if size != sizes[0]:
            raise ValueError(f"{path} is {size} high and wide, {paths[0]} {sizes[0]}; frames and labels must agree")


def _target(codes: NDArray[np.uint8], frames: int) -> DenseTarget:
    """Truth of `frames` frames from the (n, H, W) uint8 labels on disk; class 0 stands for the rest."""
    labels = np.zeros((frames, *codes.shape[1:]), np.int64)
    labels[: len(codes)] = codes
    shown = np.zeros((frames, len(avss_classes())), np.bool_)
    for frame, code in enumerate(codes):
        shown[frame, np.bincount(code.ravel()).nonzero()[0]] = True
    return DenseTarget(torch.from_numpy(labels), torch.arange(frames) < len(codes), torch.from_numpy(shown[:, 1:]))


def _in_parallel(function: Callable[[A], R], items: list[A]) -> list[R]:
    """Decoders release the interpreter, so threads help; inside a loader's worker the cores are taken already."""
    threads = 1 if get_worker_info() is not None else min(os.cpu_count() or 1, 8)
    if threads == 1:
        return [function(item) for item in items]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(function, items))
