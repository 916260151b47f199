"""Folders of data sets by name: writing synthetic clips, preparing raw material, checking. Imports no torch.

What each of them does stands in the room of its data set, at the places that its record names.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from avseg.config import did_you_mean
from avseg.datasets import DATASETS, DatasetSpec, build_dataset
from avseg.lazy import imported
from avseg.prepare.report import CheckReport

Work = Literal["write", "prepare", "check", "save"]
_WORDS = {
    "write": "written with synthetic clips",
    "prepare": "prepared from raw material",
    "check": "checked",
    "save": "converted",
}


def write(name: str, root: Path, clips: int = 100, seed: int = 0, *, workers: int = 0, **options: Any) -> Any:
    """Write `clips` clips of the synthetic world `seed` over all splits, in the layout of a data set.

    Args:
        name: The data set. VPO goes through its builder, which has a manifest instead of `truth.json` and no videos.
        root: Folder to write; files of the same names are replaced.
        clips: Number of clips over all splits: 70 % in train, 15 % each in val and test.
        seed: Random seed. The same seed gives the same bytes with any number of workers.
        workers: Number of processes; 0 uses one per core, 1 uses this process.
        options: Fields of the data set's `write_options`: difficulty, size (a side, or height and width), and its own.

    Returns:
        What was written; printed it is a sentence.

    Raises:
        ValueError: an unknown data set, one without a writer, an option that it does not have, or values out of range.
    """
    spec = spec_with(name, "write")
    if isinstance(options.get("size"), int):
        options["size"] = (options["size"], options["size"])
    own = _options(spec, spec.write_options, options, "written")
    return imported(spec.write or "")(Path(root), clips, seed, workers=workers, **own)


def prepare(name: str, raw: Path, root: Path, *, workers: int = 0, **options: Any) -> Any:
    """Build the folder of a data set from raw videos and label files. A second run skips finished files.

    Args:
        name: The data set.
        raw: Folder with the raw material (docs/reference/datasets.md); may be `root` itself.
        root: Folder to write. Every file in it is complete or absent.
        workers: Number of processes; 0 uses one per core, 1 uses this process.
        options: Fields of the data set's `prepare_options`.

    Returns:
        What became of the clips.

    Raises:
        ValueError, FileNotFoundError: an unknown data set, an option that it does not have, raw material that is
            missing or does not fit.
        OSError: the disk is full or `root` cannot be written.
    """
    spec = spec_with(name, "prepare")
    own = _options(spec, spec.prepare_options, options, "prepared")
    return imported(spec.prepare or "")(Path(raw), Path(root), workers=workers, **own)


def check(name: str, root: Path, *, workers: int = 0, **options: Any) -> CheckReport:
    """Read every file of every clip in the folder of a data set and report faults.

    Args:
        name: The data set.
        root: The folder of the data set. A folder with `truth.json` is a synthetic world and is checked against its own
            table.
        workers: Number of processes; 0 uses one per core, 1 uses this process.
        options: Fields of the data set's `check_options`.

    Raises:
        ValueError: an unknown data set, one without a check, or an option that it does not have.
    """
    spec = spec_with(name, "check")
    own = _options(spec, spec.check_options, options, "checked")
    report: CheckReport = imported(spec.check or "")(Path(root), workers=workers, **own)
    return report


def names_with(work: Work) -> list[str]:
    """The data sets that can be written, prepared, checked or converted."""
    return [name for name, spec in DATASETS.items() if getattr(spec, work)]


def only_fitting(root: Path, split: str) -> str:
    """The data set whose layout a folder has: that which alone finds clips in it.

    Raises:
        FileNotFoundError: no such folder.
        ValueError: none does, or several do.
    """
    if not Path(root).is_dir():
        raise FileNotFoundError(f"the folder {root} does not exist")
    found = []
    for name, spec in DATASETS.items():
        with contextlib.suppress(ValueError, OSError, KeyError):
            if not spec.in_memory and len(build_dataset(spec.config(name=name), split, Path(root))):
                found.append(name)
    if len(found) == 1:
        return found[0]
    fit = f"fits {' and '.join(found)}" if found else f"has no known layout of a data set with clips in {split}"
    raise ValueError(f"{root} {fit}; name the data set with --data.name, one of {', '.join(DATASETS)}")


def spec_with(name: str, work: Work) -> DatasetSpec:
    """The record of a data set that can be written, prepared, checked or converted.

    Raises:
        ValueError: an unknown data set, or one that cannot.
    """
    known = names_with(work)
    if name not in known:
        raise ValueError(f"there is no data set {name!r} that can be {_WORDS[work]}; {did_you_mean(name, known)}")
    return DATASETS[name]


def _options(spec: DatasetSpec, defaults: Any, given: Mapping[str, Any], done: str) -> dict[str, Any]:
    """The `options` argument of a function of the data set; none where it has no options."""
    known = [] if defaults is None else [field.name for field in dataclasses.fields(defaults)]
    for name in given:
        if name not in known:
            raise ValueError(
                f"the data set {spec.name!r} is {done} without the option {name!r}; {did_you_mean(name, known)}"
                if known
                else f"the data set {spec.name!r} is {done} without options, got {name!r}"
            )
    return {} if defaults is None else {"options": type(defaults)(**given)}
