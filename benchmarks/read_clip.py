"""Reading one AVSS clip (10 JPG, 10 colour-coded PNG, 10 s of WAV): ours beside the published way, in one run.

The published way, written from its description: each picture is opened, converted and sized, scaled to floats and
normalised; each label map is compared with the 71 colours one after the other. It reads no sound; ours does, and leaves
normalisation to the model. The floor is decoding alone, on one thread and on as many as ours uses. Times are the
fastest of some runs, as seen by the clock (`ms`) and as spent on all cores (`cpu_ms`). Prints JSON.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from harness import milliseconds, options_of, parser, spent, tell
from PIL import Image, ImageFilter
from torch import Tensor

from avseg.config import InputSpec
from avseg.data import build_dataset, eval_transforms
from avseg.datasets import data_config
from avseg.datasets.avss.classes import avss_palette
from avseg.io.audio import write_wav

FRAMES = 10
MEAN, DEVIATION = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])


def write_clip(root: Path, height: int, width: int, rate: int) -> Path:
    """A clip like those of the part v2: pictures with detail and some noise, labels of a few blobs."""
    folder = root / "v2" / "clip"
    (folder / "frames").mkdir(parents=True)
    (folder / "labels_rgb").mkdir()
    rng = np.random.default_rng(0)
    palette = np.array(avss_palette(), np.uint8)
    y, x = np.mgrid[:height, :width]
    for k in range(FRAMES):
        coarse = Image.fromarray(rng.integers(0, 256, (height // 16, width // 16, 3), dtype=np.uint8))
        smooth = coarse.resize((width, height), Image.Resampling.BICUBIC).filter(ImageFilter.DETAIL)
        noise = rng.normal(0, 4, (height, width, 3))
        picture = (np.asarray(smooth) + noise).clip(0, 255).astype(np.uint8)
        Image.fromarray(picture).save(folder / "frames" / f"{k}.jpg", quality=90)
        labels = np.zeros((height, width), np.uint8)
        for _ in range(4):
            cy, cx, radius = rng.uniform(0, height), rng.uniform(0, width), rng.uniform(0.1, 0.3) * height
            wave = 1 + 0.2 * np.sin(5 * np.arctan2(y - cy, x - cx))
            labels[np.hypot(y - cy, x - cx) < radius * wave] = rng.integers(1, 71)
        Image.fromarray(palette[labels]).save(folder / "labels_rgb" / f"{k}.png")
    write_wav(folder / "audio.wav", torch.rand(2, 10 * rate) - 0.5, rate)
    (root / "metadata.csv").write_text("uid,label,split\nclip,v2,test\n")
    return folder


def published_way(folder: Path, size: int) -> tuple[Tensor, Tensor]:
    """Normalised frames (10, 3, H, W) and labels (10, 1, H, W) int64, one picture and one class after the other."""
    frames, labels = [], []
    for k in range(FRAMES):
        picture = Image.open(folder / "frames" / f"{k}.jpg").convert("RGB")
        picture = picture.resize((size, size), Image.Resampling.BILINEAR)
        tensor = torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() / 255
        frames.append((tensor - MEAN[:, None, None]) / DEVIATION[:, None, None])
        coded = Image.open(folder / "labels_rgb" / f"{k}.png").convert("RGB")
        colours = np.array(coded.resize((size, size), Image.Resampling.NEAREST)).astype(int)
        matches = [(colours == np.array(colour)).all(-1) for colour in avss_palette()]
        labels.append(torch.from_numpy(np.stack(matches).argmax(0)).long()[None])
    return torch.stack(frames), torch.stack(labels)


def decode_only(path: Path) -> None:
    with Image.open(path) as image:
        image.load()


def fastest(run: Callable[[], Any], repeats: int) -> dict[str, float]:
    """Milliseconds by the clock and of all cores."""
    took = spent(run, repeats, warm=True)
    return {"ms": milliseconds(took.wall, 1), "cpu_ms": milliseconds(took.cpu, 1)}


def measure(height: int, width: int, rate: int, repeats: int) -> dict[str, Any]:
    """Times of one clip, and whether both ways give the same labels and frames."""
    with tempfile.TemporaryDirectory() as name:
        folder = write_clip(Path(name), height, width, rate)
        files = [*(folder / "frames").iterdir(), *(folder / "labels_rgb").iterdir()]
        config = data_config("avss", root=Path(name))
        dataset: Any = build_dataset(config, "test")
        (geometry,) = eval_transforms(config, InputSpec((224, 224)))
        threads = os.cpu_count() or 1
        frames, labels = published_way(folder, 224)
        clip = dataset.read(0, geometry)
        ours = (clip.frames / 255 - MEAN[:, None, None]) / DEVIATION[:, None, None]
        with ThreadPoolExecutor(min(threads, 8)) as pool:
            floor = fastest(lambda: list(pool.map(decode_only, files)), repeats)
        result = {
            "picture": [height, width],
            "sound_hz": rate,
            "bytes": sum(file.stat().st_size for file in files),
            "published": fastest(lambda: published_way(folder, 224), repeats),
            "ours": fastest(lambda: dataset.read(0, geometry), repeats),
            "floor_one_thread": fastest(lambda: [decode_only(file) for file in files], repeats),
            "floor_threads": floor,
            "threads": min(threads, 8),
            "same_labels": bool((clip.target.labels == labels[:, 0]).all()),
            "frames_max_difference": float((ours - frames).abs().max()),
        }
    result["ratio"] = {kind: round(result["ours"][kind] / result["published"][kind], 4) for kind in ("ms", "cpu_ms")}
    return result


def main() -> None:
    shared = parser(__doc__, threads=2)
    shared.add_argument("--repeats", type=int, default=7)
    shared.add_argument("--quick", action="store_true", help="the smallest pictures alone")
    options = options_of(shared)
    sizes = [(224, 224, 16000), (360, 640, 16000), (720, 1280, 16000), (720, 1280, 44100)]
    tell([measure(*size, options.repeats) for size in (sizes[:1] if options.quick else sizes)], options.out)


if __name__ == "__main__":
    main()
