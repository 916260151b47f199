"""How a data set keeps the clips of the world: a layout, and what several layouts need."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from avseg.io.audio import read_wav, write_wav
from avseg.io.files import write_text
from avseg.io.pickles import write_tensor
from avseg.synth.timbres import SAMPLE_RATE
from avseg.synth.world import SynthClip


@dataclass(frozen=True)
class ClipPart:
    """The properties of clips of a part of a data set."""

    name: str
    frames: int = 5
    sources: int | None = None
    """How many bodies sound in a clip; None: a drawn number."""


@dataclass(frozen=True)
class Place:
    """A clip's lines in the tables: which split, part and category it is of."""

    split: str
    part: str
    category: str = ""
    heard: tuple[str, ...] = ()
    """Classes of the visible bodies that sound at some time."""


@dataclass(frozen=True)
class ClipLayout:
    """How a data set is written; functions are of the top level of a module, for other processes."""

    parts: tuple[ClipPart, ...]
    """They take turns."""
    save: Callable[[Path, SynthClip, Place], None]
    """Everything of one clip but its raw video."""
    video: Callable[[Path, str, Place], Path]
    """Where the raw video of a clip lies."""
    tables: Callable[[Path, Sequence[tuple[str, Place]]], None]


def save_sound(sound: Tensor, frames: int, wav: Path, log_mel: Path, sample_rate: int = SAMPLE_RATE) -> None:
    """(A, S) sound, and its first `frames` log-mel windows as computed from the stored samples."""
    from avseg.nn.mel import log_mel_examples

    write_wav(wav, sound, sample_rate)
    windows = log_mel_examples(*read_wav(wav))
    write_tensor(log_mel, windows[:frames])


def write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    write_text(path, text.getvalue())
