"""Conversion from the layout of one data set to that of another: frames, sound and masks."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from avseg.data.base import ClipDataset, EmptySplitError
from avseg.datasets import SPLITS, build_dataset, data_config
from avseg.datasets.folders import spec_with
from avseg.io.files import folder_aside, write_text
from avseg.lazy import imported
from avseg.prepare.files import CONVERTED
from avseg.progress import Progress
from avseg.types import Clip, Task


class LayoutWriter(Protocol):
    """The writer in `DatasetSpec.save`, constructed with (root, task); it refuses a task that the layout cannot
    hold.
    """

    def add(self, split: str, clip: Clip) -> tuple[int, str]:
        """Write a clip.

        Returns:
            How many clips it became, and why some of it was left out; empty: nothing was.
        """
        ...

    def finish(self) -> None:
        """Write the tables."""
        ...


@dataclass
class ConvertSummary:
    """The outcome of a conversion."""

    source: str
    layout: str
    root: Path
    counts: Counter[str] = field(default_factory=Counter)
    """Clips per split."""
    left_out: Counter[str] = field(default_factory=Counter)
    """Number of omissions by reason."""

    def __str__(self) -> str:
        counts = ", ".join(f"{self.counts[split]} {split}" for split in SPLITS)
        lines = [f"{self.counts.total()} clips ({counts}) of {self.source} written to {self.root} as {self.layout}"]
        lines += [f"  {number} left out: {reason}" for reason, number in sorted(self.left_out.items())]
        return "\n".join(lines)


def convert(
    source: Path, target: Path, *, origin: str, layout: str, sample_rate: int = 16000, stereo: bool = False
) -> ConvertSummary:
    """Convert the folder of one data set to the layout of another; an interrupted run leaves no `target`.

    Args:
        source: The folder.
        target: The folder to write; it must not exist, or be empty.
        origin: The data set that lies in `source`.
        layout: The data set whose layout is written.
        sample_rate: Hz of the sound.
        stereo: Keep two channels of sound.

    Raises:
        ValueError, FileNotFoundError: an unknown data set, a task that the layout cannot hold, a folder that is not
            empty, or what the reader of `origin` refuses.
    """
    spec_with(origin, "save")
    make = imported(spec_with(layout, "save").save or "")
    source, target = Path(source), Path(target)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ValueError(f"{target} already exists and is not empty; choose a new folder")
    config = data_config(origin, root=source, sample_rate=sample_rate, stereo=stereo)
    sets: dict[str, ClipDataset] = {}
    for split in SPLITS:
        try:
            sets[split] = build_dataset(config, split)
        except EmptySplitError:
            continue
    summary = ConvertSummary(origin, layout, target)
    with folder_aside(target) as aside:
        writer: LayoutWriter = make(aside, _task_of(sets, source))
        _write(sets, writer, summary)
        writer.finish()
        told = {"format": "avseg.converted", "from": origin, "to": layout, "clips": summary.counts}
        write_text(aside / CONVERTED, json.dumps(told, indent=1) + "\n")
        if target.exists():
            target.rmdir()
        aside.replace(target)
    return summary


def _task_of(sets: dict[str, ClipDataset], source: Path) -> Task:
    tasks = [dataset.task for dataset in sets.values()]
    if not any(map(len, sets.values())):
        raise ValueError(f"{source} has no clip with labels to convert")
    if any(task != tasks[0] for task in tasks):
        raise ValueError(f"the splits of {source} have different classes; the target needs one list")
    return tasks[0]


def _write(sets: dict[str, ClipDataset], writer: LayoutWriter, summary: ConvertSummary) -> None:
    with Progress(sum(map(len, sets.values())), f"convert to {summary.layout}", "clip") as progress:
        for split, dataset in sets.items():
            for index in range(len(dataset)):
                written, reason = writer.add(split, dataset[index])
                summary.counts[split] += written
                if reason:
                    summary.left_out[reason] += 1
                progress.advance()
