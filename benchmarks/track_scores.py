"""Evaluation of tracks: all metrics from one table a video beside the published way, in one run. Prints JSON.

Truth and predictions are run lengths of blobs that move, fall silent and sound again; predictions jitter. `distinct`
videos are drawn and stand for all (each time as new objects, of which nothing is remembered). The published way
(published_tracks.py) scores a part of them, and its time for all is the part's times the number of parts. The floor is
one pass of pycocotools' IoU over every frame of all videos. One thread; times of the processor hardly depend on what
else the machine does.
"""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from harness import options_of, parser, peak_mib, spent, tell
from published_tracks import published_scores
from pycocotools import mask as coco

from avseg.io.rle import encode
from avseg.metrics import SUITES
from avseg.types import InstancePrediction, Rle, Task, TrackTarget

aviseg = SUITES["aviseg"]

CLASSES = 26
PROTOCOLS = ("aviseg_upstream", "aviseg")
Pair = tuple[InstancePrediction, TrackTarget]


class Blob:
    """A shape with a wavy outline on its way through the picture."""

    def __init__(self, draw: np.random.Generator, size: tuple[int, int]) -> None:
        self.size = size
        self.start, self.speed = draw.uniform(0.15, 0.85, 2) * size, draw.uniform(-0.004, 0.004, 2) * size
        self.radius = draw.uniform(0.05, 0.2) * size[0]
        self.waves = draw.uniform(0, 0.12, 6), draw.uniform(0, 2 * np.pi, 6)
        self.silent = set(np.flatnonzero(draw.random(12) < 0.2).tolist())

    def mask(self, t: int, draw: np.random.Generator | None = None) -> Rle | None:
        """Frame t, None while it is silent; jittered where there is something to draw from."""
        if t // 5 in self.silent:
            return None
        height, width = self.size
        jitter, grown, more = (np.zeros(2), 1.0, 0.0) if draw is None else (draw.normal(0, 3, 2), 1.03, 0.5)
        y, x = (self.start + self.speed * t + jitter) % self.size
        depth, phase = self.waves
        reach = int(self.radius * grown * (1 + depth.sum())) + 1
        top, left = max(int(y) - reach, 0), max(int(x) - reach, 0)
        rows = np.arange(top, min(int(y) + reach, height))[:, None] - y
        columns = np.arange(left, min(int(x) + reach, width))[None] - x
        angle = np.arctan2(rows, columns)
        wave = sum(depth[k] * np.cos((k + 2) * angle + phase[k] + more) for k in range(6))
        mask = np.zeros(self.size, dtype=bool, order="F")
        inside = np.hypot(rows, columns) < self.radius * grown * (1 + wave)
        mask[top : top + inside.shape[0], left : left + inside.shape[1]] = inside
        return encode(mask)


def video(seed: int, options: Namespace) -> Pair:
    """One video of as many true as predicted tracks, of three classes."""
    draw = np.random.default_rng(seed)
    size, frames = (options.height, options.width), options.frames
    blobs = [Blob(draw, size) for _ in range(options.tracks)]
    classes = torch.from_numpy(draw.choice(draw.integers(1, CLASSES + 1, 3), options.tracks))
    order = draw.permutation(options.tracks)
    ids = torch.arange(1, options.tracks + 1)
    truth = [[blob.mask(t) for t in range(frames)] for blob in blobs]
    blank = encode(np.zeros(size, dtype=bool))
    # As the published writer leaves them: empty masks, never null.
    found = [[blobs[i].mask(t, draw) or blank for t in range(frames)] for i in order]
    known = torch.ones(frames, dtype=torch.bool)
    scores = torch.from_numpy(draw.random(options.tracks)).float()
    prediction = InstancePrediction(f"video{seed}", found, scores, classes[torch.from_numpy(order)], ids, size)
    return prediction, TrackTarget(truth, classes, ids, known, size)


def ours(pairs: list[Pair], protocols: tuple[str, ...]) -> dict[str, dict[str, float]]:
    metrics: list[Any] = [
        SUITES["aviseg"](Task("instance", tuple(map(str, range(CLASSES)))), name)[0] for name in protocols
    ]
    for index, pair in enumerate(pairs):
        for metric in metrics:
            metric.update(*pair, index)
    return {metric.protocol: metric.compute() for metric in metrics}


def floor(pairs: list[Pair]) -> None:
    for prediction, truth in pairs:
        for t in range(len(truth.annotated)):
            true = [track[t] for track in truth.masks if track[t] is not None]
            if true:
                coco.iou([track[t] for track in prediction.masks], true, [0] * len(true))


def main() -> None:
    shared = parser(__doc__, threads=1)
    for name, value in {"videos": 205, "frames": 60, "tracks": 10, "height": 360, "width": 640}.items():
        shared.add_argument(f"--{name}", type=int, default=value)
    shared.add_argument("--distinct", type=int, default=6, help="videos that are drawn")
    shared.add_argument("--part", type=int, default=3, help="videos that the published way scores")
    options = options_of(shared)
    drawn = [video(seed, options) for seed in range(options.distinct)]
    pairs = [
        (replace(drawn[i % len(drawn)][0], id=f"video{i:03d}"), replace(drawn[i % len(drawn)][1]))
        for i in range(options.videos)
    ]
    part = [(replace(prediction), replace(truth)) for prediction, truth in pairs[: options.part]]
    plain = spent(lambda: published_scores(part, CLASSES))
    own = ours(part, PROTOCOLS[:1])[PROTOCOLS[0]]
    whole, least = spent(lambda: ours(pairs, PROTOCOLS)), spent(lambda: floor(pairs))
    figures = {
        "videos": options.videos,
        "distinct_videos": options.distinct,
        "frames": options.frames,
        "tracks": options.tracks,
        "size": [options.height, options.width],
        "protocols": list(PROTOCOLS),
        "ours_s": round(whole.wall, 2),
        "ours_processor_s": round(whole.cpu, 2),
        "floor_processor_s": round(least.cpu, 2),
        "published_part_videos": options.part,
        "published_part_processor_s": round(plain.cpu, 2),
        "published_all_processor_s_extrapolated": round(plain.cpu * options.videos / options.part, 1),
        "times_faster": round(plain.cpu / options.part / (whole.cpu / options.videos), 1),
        "largest_difference": max(abs(own[name] - value) for name, value in plain.result.items()),
        "peak_mib": round(peak_mib()),
        "scores": {
            name: {k: round(v, 4) for k, v in list(values.items())[:3]} for name, values in whole.result.items()
        },
    }
    tell(figures, options.out)


if __name__ == "__main__":
    main()
