"""Checkpoints of a run: one file each, written atomically and read without executing code."""

from __future__ import annotations

import os
import random
import shutil
import sys
from copy import copy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from avseg.io.files import write_aside

FORMAT_VERSION = 1
KEEP = 2


@dataclass(frozen=True)
class Position:
    """Where a run stands."""

    epoch: int = 0
    """Epochs that are done."""
    batch: int = 0
    """Batches of the current epoch that every process has taken; always at the end of an accumulation."""
    step: int = 0
    """Optimiser steps since the beginning."""

    def to_dict(self) -> dict[str, int]:
        return asdict(self)


def random_state() -> dict[str, Any]:
    """The states of the global generators of Python, numpy, torch and every CUDA device, as plain types and tensors."""
    kind, keys, place, has_gauss, gauss = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": (kind, [int(k) for k in keys], int(place), int(has_gauss), float(gauss)),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def set_random_state(state: dict[str, Any]) -> None:
    """Put back what `random_state` gave."""
    random.setstate(state["python"])
    kind, keys, place, has_gauss, gauss = state["numpy"]
    np.random.set_state((kind, np.array(keys, dtype=np.uint32), place, has_gauss, gauss))
    torch.set_rng_state(state["torch"].cpu())
    if state["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all([s.cpu() for s in state["cuda"]])


def write_checkpoint(folder: Path, step: int, state: dict[str, Any]) -> Path:
    """Write `folder/step-<step>.pt` aside, put it in place, and remove all but the newest two."""
    path = folder / f"step-{step:09d}.pt"
    with write_aside(path) as aside, aside.open("wb") as file:
        torch.save(with_shared_strings({"format_version": FORMAT_VERSION, **state}), file)
        file.flush()
        os.fsync(file.fileno())
    for old in checkpoints(folder)[:-KEEP]:
        old.unlink()
    return path


def with_shared_strings(value: Any) -> Any:
    """Copy nested dicts, lists and tuples with one object for all equal strings.

    A pickle names an object that it has met before by a number. Strings that were read from a file are other objects
    than those of the code, so that a checkpoint's bytes would tell a resumed run from one that nobody stopped.
    """
    if isinstance(value, str):
        return sys.intern(value)
    if isinstance(value, dict):
        made = copy(value)  # which keeps the versions of layers that a state dict has as an attribute
        made.clear()
        made.update((with_shared_strings(key), with_shared_strings(item)) for key, item in value.items())
        return made
    return type(value)(map(with_shared_strings, value)) if isinstance(value, (list, tuple)) else value


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints of a run, oldest first."""
    return sorted(folder.glob("step-*.pt"))


def newest_checkpoint(folder: Path) -> Path | None:
    """The checkpoint to go on from, if there is one."""
    found = checkpoints(folder)
    return found[-1] if found else None


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The state in a checkpoint, on the CPU; tensors and plain types only, a pickle with anything else is refused.

    Raises:
        ValueError: the file is damaged, of another kind or of a newer format.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        sentence = f"{path} cannot be read as a checkpoint ({error}); delete it to continue from the previous one"
        raise ValueError(sentence) from error
    if not isinstance(state, dict) or state.get("format_version") != FORMAT_VERSION:
        raise ValueError(
            f"{path} is not a checkpoint of format {FORMAT_VERSION}; use the version of avseg that wrote it"
        )
    return state


def remove_leavings(folder: Path) -> None:
    """Remove half-written files and folders that a killed process left in a run folder."""
    for pattern in (".*.part", ".*.part.*"):
        for path in list(folder.glob(pattern)):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
