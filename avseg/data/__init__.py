"""From clips to batches: the base of data sets, transforms and the loader. The data sets are in `avseg.datasets`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from avseg.config import InputSpec as InputSpec
from avseg.data.config import DataConfig as DataConfig
from avseg.lazy import attach

if TYPE_CHECKING:
    from avseg.data.base import ClipDataset as ClipDataset
    from avseg.data.loader import ClipLoader as ClipLoader
    from avseg.data.loader import make_loader as make_loader
    from avseg.data.transforms import eval_transforms as eval_transforms
    from avseg.data.transforms import train_transforms as train_transforms
    from avseg.datasets import DATASETS as DATASETS
    from avseg.datasets import SPLITS as SPLITS
    from avseg.datasets import build_dataset as build_dataset
    from avseg.datasets import data_config as data_config

_HOMES = {
    "ClipDataset": "avseg.data.base",
    "ClipLoader": "avseg.data.loader",
    "make_loader": "avseg.data.loader",
    "train_transforms": "avseg.data.transforms",
    "eval_transforms": "avseg.data.transforms",
    "DATASETS": "avseg.datasets",
    "SPLITS": "avseg.datasets",
    "build_dataset": "avseg.datasets",
    "data_config": "avseg.datasets",
}

__all__ = ["DataConfig", "InputSpec", *_HOMES]

__getattr__, __dir__ = attach(__name__, _HOMES)
