"""Writing the synthetic world in the layout of AVSS (docs/reference/datasets.md)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

from avseg.datasets.avss.classes import avss_classes, avss_palette
from avseg.io.audio import write_wav
from avseg.io.files import write_text
from avseg.io.image import write_jpeg, write_png
from avseg.synth.classes import CLASSES
from avseg.synth.layout import ClipLayout, ClipPart, Place, write_csv
from avseg.synth.timbres import SAMPLE_RATE
from avseg.synth.world import SynthClip
from avseg.synth.writers import write_clips

STAND_INS = {
    "disc": "motorcycle",
    "ring": "emergency-car",
    "star": "bird",
    "cross": "keyboard",
    "triangle": "clock",
    "square": "accordion",
    "crescent": "hair-dryer",
    "flower": "bell",
}
"""The class of AVSS that stands for each class of the world."""


def _save(root: Path, clip: SynthClip, place: Place) -> None:
    folder = root / place.part / clip.id
    palette, codes = np.array(avss_palette(), np.uint8), class_codes()
    annotated = 1 if (place.part, place.split) == ("v1s", "train") else len(clip.frames)
    for k, frame in enumerate(clip.frames):
        write_jpeg(folder / "frames" / f"{k}.jpg", frame)
    for k, labels in enumerate(codes[clip.labels[:annotated]]):
        write_png(folder / "labels_rgb" / f"{k}.png", palette[labels])
        write_png(folder / "labels_semantic" / f"{k}.png", labels)
    write_wav(folder / "audio.wav", torch.from_numpy(clip.audio), SAMPLE_RATE)


def class_codes() -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    """(9,) the AVSS class id that stands for each class id of the world; 0 stays 0."""
    names = avss_classes()
    return np.array([0, *(names.index(STAND_INS[name]) for name in CLASSES)], np.uint8)


def _tables(root: Path, clips: Sequence[tuple[str, Place]]) -> None:
    rows = [(uid, p.part, p.split, "_".join(STAND_INS[name] for name in p.heard)) for uid, p in clips]
    write_csv(root / "metadata.csv", ("uid", "label", "split", "a_obj"), rows)
    numbers = {name: number for number, name in enumerate(avss_classes(), start=1)}
    write_text(root / "label2idx.json", json.dumps(numbers, indent=1) + "\n")


def _video(root: Path, uid: str, place: Place) -> Path:
    return root / place.part / uid / "video.mp4"


LAYOUT = ClipLayout((ClipPart("v1s", sources=1), ClipPart("v2", 10), ClipPart("v1m")), _save, _video, _tables)

write = partial(write_clips, "avss", LAYOUT)
