"""Results whose masks and times are known, made without a model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from avseg.inference.records import Detection, FrameResult, Measured, Track
from avseg.inference.result import Result
from avseg.io.rle import encode
from avseg.io.video import probe, write_video
from avseg.types import Clip, Task
from inference.media import tone

SIZE = (48, 64)
"""(H, W)."""
COUNT, FPS = 6, 2.0
NAMES = ("dog & <cat>", "flute")
SOUNDS = {1: (0, 1, 2), 2: (1, 2, 4)}
"""By object: the frames in which it is marked."""


def mask(number: int, index: int) -> np.ndarray:
    """(H, W) bool of an object in a frame: a block that moves, with a hole in it."""
    inside = np.zeros(SIZE, bool)
    top, left = 4 + 20 * (number - 1), 3 + 7 * index
    inside[top : top + 15, left : left + 18] = True
    inside[top + 5 : top + 8, left + 4 : left + 9] = False
    return inside


def score(number: int, index: int) -> float:
    return 0.5 + 0.1 * number + 0.01 * index


def frames(task: Task) -> list[FrameResult]:
    """Half a second each; with tracks, every object is one."""
    tracks = tuple(Track(n, n, NAMES[n - 1], score(n, 0)) for n in SOUNDS) if task.kind == "instance" else ()
    made = []
    for index in range(COUNT):
        there = [n for n, of in SOUNDS.items() if index in of]
        objects = tuple(
            Detection.of(n, n, NAMES[n - 1], score(n, 0 if tracks else index), encode(mask(n, index))) for n in there
        )
        time = (index + 0.5) / FPS
        made.append(FrameResult(index, time, (index / FPS, (index + 1) / FPS), SIZE, objects, tracks))
    return made


def pictures() -> list[np.ndarray]:
    """(H, W, 3), ten a second: a ramp that tells columns and frames apart."""
    ramp = np.broadcast_to(np.linspace(20, 200, SIZE[1]).astype(np.uint8)[None, :, None], (*SIZE, 3))
    return [(ramp + number).astype(np.uint8) for number in range(round(10 * COUNT / FPS))]


def result(tmp: Path, kind: str = "semantic", channels: int = 1) -> Result:
    """Of a video of three seconds with sound; `semantic` or `instance`."""
    path = write_video(tmp / "good.mp4", pictures(), 10, tone(COUNT / FPS, 16000, channels), 16000)
    task = Task("instance" if kind == "instance" else "semantic", NAMES)
    measured = Measured(10.0, COUNT / FPS)
    return Result("good.mp4", tuple(frames(task)), task, FPS, "known", probe(path), measured)


def clip_result() -> Result:
    """Of a clip in memory."""
    task = Task("semantic", NAMES)
    made = frames(task)
    shown = torch.from_numpy(np.stack(pictures()[::5])).permute(0, 3, 1, 2)
    times = torch.tensor([frame.time for frame in made], dtype=torch.float64)
    clip = Clip("clip", shown, times, torch.from_numpy(tone(COUNT / FPS, 16000)), 16000)
    return Result("clip", tuple(made), task, FPS, "known", clip, Measured.of(clip))
