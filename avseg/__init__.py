"""avseg: mark the pixels of the things that make the sound."""

from __future__ import annotations

from typing import TYPE_CHECKING

from avseg.lazy import attach
from avseg.version import __version__ as __version__

if TYPE_CHECKING:
    from avseg.datasets import build_dataset as build_dataset
    from avseg.datasets import list_datasets as list_datasets
    from avseg.engine import evaluate as evaluate
    from avseg.engine import train as train
    from avseg.inference import Result as Result
    from avseg.inference import Segmenter as Segmenter
    from avseg.models import build_model as build_model
    from avseg.models import create_model as create_model
    from avseg.models import list_models as list_models
    from avseg.models import load_model as load_model
    from avseg.models import save_model as save_model
    from avseg.types import Batch as Batch
    from avseg.types import Clip as Clip
    from avseg.types import DensePrediction as DensePrediction
    from avseg.types import DenseTarget as DenseTarget
    from avseg.types import InstancePrediction as InstancePrediction
    from avseg.types import InstanceTarget as InstanceTarget
    from avseg.types import Task as Task

_HOMES = {
    "Segmenter": "avseg.inference",
    "Result": "avseg.inference",
    "load_model": "avseg.models",
    "save_model": "avseg.models",
    "build_model": "avseg.models",
    "create_model": "avseg.models",
    "list_models": "avseg.models",
    "build_dataset": "avseg.datasets",
    "list_datasets": "avseg.datasets",
    "train": "avseg.engine",
    "evaluate": "avseg.engine",
    "Clip": "avseg.types",
    "Batch": "avseg.types",
    "Task": "avseg.types",
    "DenseTarget": "avseg.types",
    "DensePrediction": "avseg.types",
    "InstanceTarget": "avseg.types",
    "InstancePrediction": "avseg.types",
}

_ROOMS = (
    *("data", "datasets", "engine", "inference", "io", "losses", "metrics", "models", "nn"),
    *("recipes", "render", "synth"),
)

__all__ = ["__version__", *_HOMES]

__getattr__, __dir__ = attach(__name__, _HOMES, _ROOMS)
