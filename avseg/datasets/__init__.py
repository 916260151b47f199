"""Data sets by name, each in a room of its own. Imports no torch before a data set is opened."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from avseg.data.config import DataConfig
from avseg.datasets.spec import DatasetSpec as DatasetSpec
from avseg.registry import Registry

if TYPE_CHECKING:
    from avseg.data.base import ClipDataset

DATASETS: Registry[DatasetSpec] = Registry(
    "data set",
    "avseg.datasets",
    {
        "s4": "avseg.datasets.avsbench.spec:S4",
        "ms3": "avseg.datasets.avsbench.spec:MS3",
        "avs_1s7m": "avseg.datasets.avsbench.spec:AVS_1S7M",
        "avss": "avseg.datasets.avss.spec:AVSS",
        "single": "avseg.datasets.single.spec:SINGLE",
        "vpo_ss": "avseg.datasets.vpo.spec:VPO_SS",
        "vpo_ms": "avseg.datasets.vpo.spec:VPO_MS",
        "vpo_msmi": "avseg.datasets.vpo.spec:VPO_MSMI",
        "aviseg": "avseg.datasets.aviseg.spec:AVISEG",
        "synth": "avseg.datasets.world.spec:SYNTH",
    },
)
"""The record of every data set, imported on use; one line a data set."""

SPLITS = ("train", "val", "test")

__all__ = ["DATASETS", "SPLITS", "DatasetSpec", "build_dataset", "list_datasets", "spec_of"]


def list_datasets() -> list[str]:
    """The names of all data sets, those of installed packages and plug-ins included."""
    return list(DATASETS)


def spec_of(config: DataConfig) -> DatasetSpec:
    """The record of the data set that a config names; of one that is not registered, a record of defaults."""
    return DATASETS.get(config.name) or DatasetSpec(config.name, type(config), "", "", "")


def build_dataset(config: DataConfig, split: str, root: Path | None = None) -> ClipDataset:
    """The `split` (train, val, test) of the data set that `config` names; `root` overrides `config.root`.

    Raises:
        ValueError: an unknown name or split, no folder, or a table (CSV) that does not fit the data set.
        FileNotFoundError: a folder without the table of the data set.
    """
    spec = DATASETS.find(config.name)
    if split not in SPLITS:
        raise ValueError(f"no split is called {split!r}; known: {', '.join(SPLITS)}")
    module, name = spec.open.split(":")
    dataset: ClipDataset = getattr(importlib.import_module(module), name)(config, split, root or config.root)
    dataset.suite = config.suite or dataset.suite or spec.suite
    return dataset
