"""Data sets by name. Imports no torch before a data set is built.

`DATASETS` maps a name to the place of a function of `(config, split, root)`; see docs/datasets.md.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from avseg.config import InputSpec as InputSpec
from avseg.config import did_you_mean
from avseg.data.config import DataConfig as DataConfig
from avseg.lazy import attach

if TYPE_CHECKING:
    from avseg.data.base import ClipDataset as ClipDataset
    from avseg.data.loader import ClipLoader as ClipLoader
    from avseg.data.loader import make_loader as make_loader
    from avseg.data.transforms import eval_transforms as eval_transforms
    from avseg.data.transforms import train_transforms as train_transforms

DATASETS = {
    "s4": "avseg.data.avsbench:open_s4",
    "ms3": "avseg.data.avsbench:open_ms3",
    "avs_1s7m": "avseg.data.mixed:open_avs_1s7m",
    "avss": "avseg.data.avss:open_avss",
    "single": "avseg.data.single:open_single",
    "vpo_ss": "avseg.data.vpo:open_vpo_ss",
    "vpo_ms": "avseg.data.vpo:open_vpo_ms",
    "vpo_msmi": "avseg.data.vpo:open_vpo_msmi",
    "aviseg": "avseg.data.aviseg:open_aviseg",
    "synth": "avseg.data.synthetic:open_synth",
}
"""Name -> module:function, imported on use; one line a data set."""

SPLITS = ("train", "val", "test")

_HOMES = {
    "ClipDataset": "avseg.data.base",
    "ClipLoader": "avseg.data.loader",
    "make_loader": "avseg.data.loader",
    "train_transforms": "avseg.data.transforms",
    "eval_transforms": "avseg.data.transforms",
}

__all__ = ["DATASETS", "SPLITS", "DataConfig", "InputSpec", "build_dataset", *_HOMES]

__getattr__, __dir__ = attach(__name__, _HOMES)


def build_dataset(config: DataConfig, split: str, root: Path | None = None) -> ClipDataset:
    """The `split` (train, val, test) of the data set that `config` names; `root` overrides `config.root`.

    Raises:
        ValueError: an unknown name or split, no folder, or a table (CSV) that does not fit the data set.
        FileNotFoundError: a folder without the table of the data set.
    """
    if config.name not in DATASETS:
        raise ValueError(f"no data set is called {config.name!r}; {did_you_mean(config.name, DATASETS)}")
    if split not in SPLITS:
        raise ValueError(f"no split is called {split!r}; known: {', '.join(SPLITS)}")
    module, name = DATASETS[config.name].split(":")
    dataset: ClipDataset = getattr(importlib.import_module(module), name)(config, split, root or config.root)
    return dataset
