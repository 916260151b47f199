"""Training and evaluation. Importing this loads no torch."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from avseg.lazy import attach

if TYPE_CHECKING:
    from avseg.engine.config import GroupConfig as GroupConfig
    from avseg.engine.config import OptimConfig as OptimConfig
    from avseg.engine.config import Recipe as Recipe
    from avseg.engine.config import TrainConfig as TrainConfig
    from avseg.engine.evaluate import evaluate as evaluate
    from avseg.engine.evaluate import evaluate_file as evaluate_file
    from avseg.engine.evaluate import score as score
    from avseg.engine.report import Report as Report
    from avseg.engine.train import train as train

_HOMES = {
    "GroupConfig": "avseg.engine.config",
    "OptimConfig": "avseg.engine.config",
    "Recipe": "avseg.engine.config",
    "TrainConfig": "avseg.engine.config",
    "Report": "avseg.engine.report",
    "evaluate": "avseg.engine.evaluate",
    "evaluate_file": "avseg.engine.evaluate",
    "score": "avseg.engine.evaluate",
    "train": "avseg.engine.train",
}

__all__ = [*_HOMES]


class _Engine(ModuleType):
    """Keeps `train` and `evaluate` the functions: importing the modules of these names would put the modules there."""

    def __setattr__(self, name: str, value: Any) -> None:
        named_alike = name in _HOMES and isinstance(value, ModuleType)
        super().__setattr__(name, getattr(value, name) if named_alike else value)


sys.modules[__name__].__class__ = _Engine

__getattr__, __dir__ = attach(__name__, _HOMES)
