"""The settings of a batch, and the note of them that is kept with the results."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from avseg.inference.export.kinds import GATHERED, choose
from avseg.io.part import part_of
from avseg.jobs.order import Order
from avseg.version import __version__

if TYPE_CHECKING:
    from avseg.batch.results import Results

NOTE = "batch.json"
FORMAT, FORMAT_VERSION = "avseg.batch", 1
BatchMasks: TypeAlias = Literal["rle", "parquet", "png", "npz", "none"]


@dataclass(frozen=True)
class BatchPlan:
    """The place and content of results; the names are the options of `avseg batch`."""

    model: str
    """A model file, a Hub id, `demo`, or a name that opens a model without a file."""
    out: str
    """A folder or an address."""
    masks: BatchMasks = "rle"
    """Format in the folder of a video; `parquet` is `rle` plus Parquet files with the masks of all videos."""
    save: tuple[str, ...] = ()
    """More kinds of output."""
    fps: float | None = None
    threshold: float | None = None
    classes: str | None = None
    start: str | None = None
    end: str | None = None
    audio: str | None = None
    choices: dict[str, str] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    engine: str = "torch"
    precision: str = "fp32"
    threads: int = 1
    """Threads per process; another number can change the order of sums and so the bytes of results."""
    parts: int = 64
    """Number of Parquet files."""
    devices: tuple[str, ...] = ("auto",)
    """Devices of the processes, in turn."""
    tries: int = 3
    """Attempts per video before it counts as failed."""
    patience: float | None = None
    """Time limit of one attempt in s; None: no limit."""

    def __post_init__(self) -> None:
        gathering = [kind for kind in self.save if kind.startswith(GATHERED)]
        if gathering:
            raise ValueError(f"{gathering[0]} collects the videos of one process; use avseg predict without --jobs")
        choose(self.save, None, None if self.masks == "none" else "usual")
        part_of(self.start, self.end)
        for name, least in (("threads", 1), ("parts", 1), ("tries", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}, wanted {least} or more")
        if not self.devices:
            raise ValueError("devices is empty, wanted auto, cpu, cuda, cuda:1 or mps")

    def order(self, video: Path, out: Path) -> Order:
        """Return the order for a video and a folder."""
        return Order(
            model=self.model,
            video=video,
            out=out,
            audio=None if self.audio is None else Path(self.audio),
            save=self.save,
            masks="rle" if self.masks == "parquet" else self.masks,
            fps=self.fps,
            threshold=self.threshold,
            classes=self.classes,
            start=self.start,
            end=self.end,
            choices=dict(self.choices),
            options=dict(self.options),
        )

    def note(self, model: dict[str, Any]) -> dict[str, Any]:
        """Return the settings that determine the bytes of results: `batch.json`.

        Args:
            model: as `Predicting.describe` gives it, with its fingerprint over weights, options and classes.
        """
        content = {
            "save": sorted({*self.save}),
            "masks": "rle" if self.masks == "parquet" else self.masks,
            "start": self.start,
            "end": self.end,
            "audio": self.audio,
            "threads": self.threads,
        }
        return {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "avseg": __version__,
            "model": model,
            "content": content,
            "parts": self.parts,
        }


def settle(results: Results, note: dict[str, Any]) -> None:
    """Write the note to the place of the results, or compare it with the existing note.

    If several runs start at once, one writes it and the others compare.

    Raises:
        ValueError: results of other settings or another model lie there, or a note that cannot be read.
        OSError: nothing can be written there.
    """
    text = json.dumps(note, indent=1, ensure_ascii=False) + "\n"
    if results.create(NOTE, text.encode()):
        return
    there = results.read(NOTE)
    try:
        found = json.loads(there or b"")
    except ValueError as error:
        raise ValueError(
            f"{results.shown}/{NOTE} is not valid JSON ({error}); choose another place with --out"
        ) from error
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise ValueError(f"{results.shown}/{NOTE} was not written by avseg batch; choose another place with --out")
    if found.get("format_version") != FORMAT_VERSION:
        raise ValueError(
            f"{results.shown} holds a batch of format version {found.get('format_version')}, but this "
            f"avseg writes {FORMAT_VERSION}; choose another place with --out"
        )
    if other := _other(found, json.loads(text)):
        raise ValueError(f"{results.shown} holds results with {other}; choose another place with --out")


def _other(found: dict[str, Any], wanted: dict[str, Any]) -> str:
    """Return the first difference of two notes, such as "fps 5.0, not 2.0"; empty if they agree."""
    for room in ("model", "content"):
        there, here = found.get(room) or {}, wanted[room]
        for name in sorted({*there, *here}):
            if there.get(name) != here.get(name):
                what = f"{room} {name}" if room == "model" else name
                return f"{what} {_word(there.get(name))}, not {_word(here.get(name))}"
    there, here = found.get("parts"), wanted["parts"]
    return "" if there == here else f"{there} Parquet files, not {here}"


def _word(value: Any) -> str:
    text = "none" if value in (None, [], "") else json.dumps(value, ensure_ascii=False)
    return text if len(text) < 80 else f"{text[:80]} ..."
