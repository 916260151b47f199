"""Writing the synthetic world in the layout of AVSBench-Single+ (docs/reference/datasets.md)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

from avseg.datasets.single.classes import single_classes
from avseg.io.audio import write_wav
from avseg.io.image import write_png
from avseg.synth.classes import CLASSES
from avseg.synth.layout import ClipLayout, ClipPart, Place, write_csv
from avseg.synth.timbres import SAMPLE_RATE
from avseg.synth.world import SynthClip
from avseg.synth.writers import write_clips

STAND_INS = {
    "disc": "race_car",
    "ring": "ambulance_siren",
    "star": "mynah_bird_singing",
    "cross": "typing_on_computer_keyboard",
    "triangle": "baby_laughter",
    "square": "playing_piano",
    "crescent": "chainsawing_trees",
    "flower": "playing_glockenspiel",
}
"""The category of AVSBench-Single+ that stands for each class of the world."""


def _save(root: Path, clip: SynthClip, _: Place) -> None:
    names = single_classes()
    codes = np.array([0, *(names.index(STAND_INS[name]) for name in CLASSES)], np.uint8)
    write_png(root / "frames" / f"{clip.id}.png", clip.frames[0])
    write_png(root / "labels" / f"{clip.id}.png", codes[clip.labels[0]])
    write_png(root / "salient_labels" / f"{clip.id}.png", clip.labels[0] > 0)
    write_wav(root / "audios" / f"{clip.id}.wav", torch.from_numpy(clip.audio), SAMPLE_RATE)


def _tables(root: Path, clips: Sequence[tuple[str, Place]]) -> None:
    rows = [(name, ",".join([*(STAND_INS[h] for h in p.heard), "background"]), p.split) for name, p in clips]
    write_csv(root / "data.csv", ("name", "category", "split"), rows)


def _video(root: Path, name: str, _: Place) -> Path:
    return root / "videos" / f"{name}.mp4"


LAYOUT = ClipLayout((ClipPart("single", 1, sources=1),), _save, _video, _tables)

write = partial(write_clips, "single", LAYOUT)
