"""Where each data set keeps the parts of a clip, and the tables beside them (docs/datasets.md)."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from avseg.data.classes import avss_classes, avss_palette, single_classes
from avseg.io.audio import read_wav, write_wav
from avseg.io.files import write_text
from avseg.io.image import write_jpeg, write_png
from avseg.io.pickles import write_tensor
from avseg.synth.classes import CLASSES, KINDS
from avseg.synth.timbres import SAMPLE_RATE
from avseg.synth.world import SynthClip

AVSS_FRAMES = {"v1s": 5, "v2": 10, "v1m": 5}
"""Frames of a clip in each part; the parts take turns."""
SINGLE_CATEGORIES = {
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


@dataclass(frozen=True)
class Place:
    """A clip's lines in the tables: which split, part and category it is of."""

    split: str
    part: str
    """AVSS: v1s, v1m or v2; else the data set's own name."""
    category: str = ""
    heard: tuple[str, ...] = ()
    """Classes of the visible bodies that sound at some time."""


@dataclass(frozen=True)
class Layout:
    """How one data set is written."""

    parts: tuple[str, ...]
    save: Callable[[Path, SynthClip, Place], None]
    """Everything of one clip but its raw video."""
    video: Callable[[Path, str, Place], Path]
    """Where the raw video of a clip lies."""
    tables: Callable[[Path, Sequence[tuple[str, Place]]], None]

    @staticmethod
    def frames(part: str) -> int:
        return 1 if part == "single" else AVSS_FRAMES.get(part, 5)

    @staticmethod
    def sources(part: str) -> int | None:
        """One body sounds in clips of a single source, a drawn number in others."""
        return 1 if part in ("s4", "v1s", "single") else None


def _save_s4(root: Path, clip: SynthClip, place: Place) -> None:
    data, at = root / "s4_data", Path(place.split, place.category)
    for k, frame in enumerate(clip.frames, start=1):
        write_png(data / "visual_frames" / at / clip.id / f"{clip.id}_{k}.png", frame)
    for k, labels in enumerate(clip.labels[: 1 if place.split == "train" else None], start=1):
        write_png(data / "gt_masks" / at / clip.id / f"{clip.id}_{k}.png", labels > 0)
    _save_sound(clip, data / "audio_wav" / at / f"{clip.id}.wav", data / "audio_log_mel" / at / f"{clip.id}.pkl")


def _save_ms3(root: Path, clip: SynthClip, place: Place) -> None:
    data = root / "ms3_data"
    for k, (frame, labels) in enumerate(zip(clip.frames, clip.labels, strict=True), start=1):
        write_png(data / "visual_frames" / clip.id / f"{clip.id}.mp4_{k}.png", frame)
        mask = data / "gt_masks" / place.split / clip.id / f"{clip.id}_{k}.png"
        write_png(mask, labels > 0)
    wav = data / "audio_wav" / place.split / f"{clip.id}.wav"
    _save_sound(clip, wav, data / "audio_log_mel" / place.split / f"{clip.id}.pkl")


def _save_avss(root: Path, clip: SynthClip, place: Place) -> None:
    folder = root / place.part / clip.id
    palette, codes = np.array(avss_palette(), np.uint8), avss_codes()
    annotated = 1 if (place.part, place.split) == ("v1s", "train") else len(clip.frames)
    for k, frame in enumerate(clip.frames):
        write_jpeg(folder / "frames" / f"{k}.jpg", frame)
    for k, labels in enumerate(codes[clip.labels[:annotated]]):
        write_png(folder / "labels_rgb" / f"{k}.png", palette[labels])
        write_png(folder / "labels_semantic" / f"{k}.png", labels)
    write_wav(folder / "audio.wav", torch.from_numpy(clip.audio), SAMPLE_RATE)


def _save_single(root: Path, clip: SynthClip, _: Place) -> None:
    names = single_classes()
    codes = np.array([0, *(names.index(SINGLE_CATEGORIES[name]) for name in CLASSES)], np.uint8)
    write_png(root / "frames" / f"{clip.id}.png", clip.frames[0])
    write_png(root / "labels" / f"{clip.id}.png", codes[clip.labels[0]])
    write_png(root / "salient_labels" / f"{clip.id}.png", clip.labels[0] > 0)
    write_wav(root / "audios" / f"{clip.id}.wav", torch.from_numpy(clip.audio), SAMPLE_RATE)


def avss_codes() -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    """(9,) the AVSS class id that stands for each class id of the world; 0 stays 0."""
    names = avss_classes()
    return np.array([0, *(names.index(kind.avss) for kind in KINDS)], np.uint8)


def _save_sound(clip: SynthClip, wav: Path, log_mel: Path) -> None:
    """The sound, and its log-mel windows as computed from the stored samples."""
    from avseg.nn.mel import log_mel_examples

    write_wav(wav, torch.from_numpy(clip.audio), SAMPLE_RATE)
    windows = log_mel_examples(read_wav(wav)[0])
    write_tensor(log_mel, windows[: len(clip.frames)])


def _write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    write_text(path, text.getvalue())


def _s4_tables(root: Path, clips: Sequence[tuple[str, Place]]) -> None:
    rows = [(name, 0, place.category, place.split) for name, place in clips]
    _write_csv(root / "s4_meta_data.csv", ("name", "start", "category", "split"), rows)


def _ms3_tables(root: Path, clips: Sequence[tuple[str, Place]]) -> None:
    _write_csv(root / "ms3_meta_data.csv", ("name", "split"), [(name, place.split) for name, place in clips])


def _avss_tables(root: Path, clips: Sequence[tuple[str, Place]]) -> None:
    stand_in = dict(zip(CLASSES, (kind.avss for kind in KINDS), strict=True))
    rows = [(uid, p.part, p.split, "_".join(stand_in[name] for name in p.heard)) for uid, p in clips]
    _write_csv(root / "metadata.csv", ("uid", "label", "split", "a_obj"), rows)
    numbers = {name: number for number, name in enumerate(avss_classes(), start=1)}
    write_text(root / "label2idx.json", json.dumps(numbers, indent=1) + "\n")


def _single_tables(root: Path, clips: Sequence[tuple[str, Place]]) -> None:
    rows = [(name, ",".join([*(SINGLE_CATEGORIES[h] for h in p.heard), "background"]), p.split) for name, p in clips]
    _write_csv(root / "data.csv", ("name", "category", "split"), rows)


LAYOUTS: Mapping[str, Layout] = {
    "s4": Layout(
        ("s4",),
        _save_s4,
        lambda root, name, p: root / "s4_data" / "raw_videos" / p.split / p.category / f"{name}.mp4",
        _s4_tables,
    ),
    "ms3": Layout(
        ("ms3",), _save_ms3, lambda root, name, _: root / "ms3_data" / "raw_videos" / f"{name}.mp4", _ms3_tables
    ),
    "avss": Layout(
        tuple(AVSS_FRAMES), _save_avss, lambda root, uid, p: root / p.part / uid / "video.mp4", _avss_tables
    ),
    "single": Layout(("single",), _save_single, lambda root, name, _: root / "videos" / f"{name}.mp4", _single_tables),
}
