"""Reading AVISeg: five frames of a video of 60 at 1280 x 720 for training, beside decoding the five JPG alone.

The world is made here: pictures with detail and some noise, tracks as polygons with 60 corners, one row of features a
frame, and a table of as many videos as the real set has in training, of which one has its files. Times are those of
one core (not by the clock, so that others on the machine count less), the least of some runs; of whole training samples
(`train_sample`) the median of many draws, because sizes are drawn. Prints JSON.
"""

from __future__ import annotations

import itertools
import json
import math
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from harness import milliseconds, options_of, parser, peak_mib, spent, tell
from PIL import Image, ImageFilter

from avseg.config import InputSpec
from avseg.data import build_dataset, eval_transforms, train_transforms
from avseg.data.loader import _Key, _Prepared
from avseg.datasets import data_config
from avseg.datasets.aviseg.reader import AVISeg
from avseg.io.audio import write_wav

FRAMES, TRACKS = 60, 3


def write_world(root: Path, videos: int, height: int, width: int) -> None:
    """A training split whose first video can be read, and its truth for all."""
    rng = np.random.default_rng(0)
    folder = root / "train" / "JPEGImages" / "v0"
    folder.mkdir(parents=True)
    for k in range(FRAMES):
        coarse = Image.fromarray(rng.integers(0, 256, (height // 16, width // 16, 3), dtype=np.uint8))
        smooth = coarse.resize((width, height), Image.Resampling.BICUBIC).filter(ImageFilter.DETAIL)
        picture = (np.asarray(smooth) + rng.normal(0, 4, (height, width, 3))).clip(0, 255).astype(np.uint8)
        Image.fromarray(picture).save(folder / f"{k:05d}.jpg", quality=90)
    (root / "train" / "FEATAudios").mkdir()
    features = root / "train" / "FEATAudios"
    np.save(features / "v0.npy", rng.random((FRAMES, 128), dtype=np.float32))
    for v in range(1, videos):
        (features / f"v{v}.npy").hardlink_to(features / "v0.npy")
    write_wav(root / "train" / "WAVAudios" / "v0.wav", torch.rand(2, FRAMES * 44100) - 0.5, 44100)
    truth: dict[str, Any] = {"videos": [], "categories": [{"id": 1, "name": "a"}], "annotations": []}
    for v in range(videos):
        names = [f"v{v}/{k:05d}.jpg" for k in range(FRAMES)]
        truth["videos"].append({"id": v, "width": width, "height": height, "length": FRAMES, "file_names": names})
        for n in range(TRACKS):
            masks = [polygon(rng, height, width) if (k // 10 + n) % 3 else None for k in range(FRAMES)]
            boxes = [mask and [0, 0, 1, 1] for mask in masks]
            areas = [mask and 1 for mask in masks]
            truth["annotations"].append(
                {"id": TRACKS * v + n, "video_id": v, "category_id": 1, "iscrowd": 0, "height": height, "width": width}
                | {"segmentations": masks, "bboxes": boxes, "areas": areas}
            )
    (root / "train.json").write_text(json.dumps(truth))


def polygon(rng: np.random.Generator, height: int, width: int) -> list[list[float]]:
    angles = np.linspace(0, 2 * math.pi, 60, endpoint=False)
    radius = height * rng.uniform(0.1, 0.3) * (1 + 0.1 * rng.random(60))
    x, y = rng.uniform(0, width) + radius * np.cos(angles), rng.uniform(0, height) + radius * np.sin(angles)
    return [np.stack([x.clip(0, width), y.clip(0, height)], 1).round(2).ravel().tolist()]


def fastest(work: Callable[[], Any], runs: int) -> float:
    """ms of one core."""
    return milliseconds(spent(work, runs, warm=False).cpu, 1)


def typical(work: Callable[[int], Any], runs: int) -> float:
    """ms of one core."""
    numbers = itertools.count()
    return milliseconds(spent(lambda: work(next(numbers)), runs, warm=False, pick=statistics.median).cpu, 1)


def decode(paths: list[Path]) -> None:
    for path in paths:
        with Image.open(path) as image:
            image.load()


def main() -> None:
    shared = parser(__doc__, threads=1)
    shared.add_argument("--videos", type=int, default=616)
    shared.add_argument("--runs", type=int, default=20)
    shared.add_argument("--size", type=int, nargs=2, default=(720, 1280), metavar=("HEIGHT", "WIDTH"))
    options = options_of(shared)
    augment = ("some_frames", "moving_crop", "shorter_side", "flip")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_world(root, options.videos, *options.size)
        config = data_config("aviseg", root=root, augment=augment, audio="features")
        before = peak_mib()
        opened = spent(lambda: build_dataset(config, "train"))
        dataset, more = opened.result, peak_mib() - before
        assert isinstance(dataset, AVISeg)
        heard = build_dataset(data_config("aviseg", root=root, augment=augment), "train")
        paths = list(dataset.files(0).frames)
        spec = InputSpec((360, 360), rule="shorter_side", longest=1333)
        stages = train_transforms(config, spec)
        plain = train_transforms(data_config("aviseg", augment=("some_frames", "shorter_side", "flip")), spec)
        [sized] = eval_transforms(config, spec)
        chosen = list(range(3, 33, 6))
        cases: dict[str, Callable[[], Any]] = {
            "decode_5_jpg_ms": lambda: decode([paths[k] for k in chosen]),
            "read_5_frames_ms": lambda: dataset.read(0, None, chosen),
            "read_5_frames_with_sound_ms": lambda: heard.read(0, None, chosen),  # type: ignore[attr-defined]
        }
        result: dict[str, Any] = {"json_mb": round((root / "train.json").stat().st_size / 1e6, 1)}
        result |= {"open_s": round(opened.cpu, 2), "open_more_peak_mb": round(more * 1.048576)}
        result |= {name: fastest(work, options.runs) for name, work in cases.items()}
        for name, transforms in (("train_sample_ms", stages), ("train_sample_without_crop_ms", plain)):
            prepared = _Prepared(dataset, transforms, 0)
            result[name] = typical(lambda epoch, prepared=prepared: prepared[_Key(epoch, 0)], 3 * options.runs)
        result["decode_60_jpg_ms"] = fastest(lambda: decode(paths), 3)
        result["eval_60_frames_ms"] = fastest(lambda: dataset.read(0, sized), 3)  # type: ignore[arg-type]
    tell(result, options.out)


if __name__ == "__main__":
    main()
