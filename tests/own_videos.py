"""Videos of one's own for tests: every picture tells its number by its grey, every second of sound its own tone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from avseg.data import build_dataset
from avseg.datasets import data_config
from avseg.io.image import write_png
from avseg.io.video import write_video

SIZE = (32, 48)
RATE = 16000


def grey(number: int) -> int:
    """Level of the picture of that number; six apart, and H.264 is off by two at most."""
    return 16 + 6 * number


def number_of(frame: Any) -> int:
    """Which picture a frame (3, H, W) is."""
    return round((float(frame.float().mean()) - 16) / 6)


def make_video(path: Path, seconds: int = 3, fps: int = 10, channels: int = 1, sound: bool = True) -> Path:
    """A video of grey pictures; second k sounds at 200 (k + 1) Hz."""
    frames = [np.full((*SIZE, 3), grey(n), np.uint8) for n in range(seconds * fps)]
    time = np.arange(seconds * RATE) / RATE
    tone = 0.4 * np.sin(2 * np.pi * 200 * (np.floor(time) + 1) * time).astype(np.float32)
    return write_video(path, frames, fps, np.stack([tone] * channels) if sound else None, RATE)


def square(left: int, top: int = 8, side: int = 10, value: int = 1) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """(H, W) with a square of `value`."""
    mask = np.zeros(SIZE, np.uint8)
    mask[top : top + side, left : left + side] = value
    return mask


def put_masks(folder: Path, names: Sequence[str], value: int = 1) -> None:
    """A label map for each name, with a square further right each time."""
    for place, name in enumerate(names):
        write_png(folder / f"{name}.png", square(2 + 4 * place, value=value))


def everything(root: Path, **options: Any) -> Any:
    """All videos as the split train."""
    names = sorted(path.stem for path in root.glob("*.mp4"))
    (root / "split.csv").write_text("name,split\n" + "".join(f"{name},train\n" for name in names))
    return build_dataset(data_config("folder", root=root, **options), "train")
