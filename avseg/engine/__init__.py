"""Training and evaluation. Importing this loads no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from avseg.lazy import attach

if TYPE_CHECKING:
    from avseg.engine.comparison.compare import compare as compare
    from avseg.engine.comparison.compare import compare_files as compare_files
    from avseg.engine.comparison.comparison import Comparison as Comparison
    from avseg.engine.comparison.options import ComparisonOptions as ComparisonOptions
    from avseg.engine.config import GroupConfig as GroupConfig
    from avseg.engine.config import OptimConfig as OptimConfig
    from avseg.engine.config import Recipe as Recipe
    from avseg.engine.config import TrainConfig as TrainConfig
    from avseg.engine.evaluation.evaluate import evaluate as evaluate
    from avseg.engine.evaluation.evaluate import score as score
    from avseg.engine.evaluation.files import evaluate_file as evaluate_file
    from avseg.engine.evaluation.listen import listen as listen
    from avseg.engine.evaluation.listen import listen_file as listen_file
    from avseg.engine.evaluation.report import Report as Report
    from avseg.engine.training.run import train_recipe as train_recipe
    from avseg.engine.training.train import train as train

_HOMES = {
    "GroupConfig": "avseg.engine.config",
    "OptimConfig": "avseg.engine.config",
    "Recipe": "avseg.engine.config",
    "TrainConfig": "avseg.engine.config",
    "Comparison": "avseg.engine.comparison.comparison",
    "ComparisonOptions": "avseg.engine.comparison.options",
    "compare": "avseg.engine.comparison.compare",
    "compare_files": "avseg.engine.comparison.compare",
    "Report": "avseg.engine.evaluation.report",
    "evaluate": "avseg.engine.evaluation.evaluate",
    "evaluate_file": "avseg.engine.evaluation.files",
    "listen": "avseg.engine.evaluation.listen",
    "listen_file": "avseg.engine.evaluation.listen",
    "score": "avseg.engine.evaluation.evaluate",
    "train": "avseg.engine.training.train",
    "train_recipe": "avseg.engine.training.run",
}

__all__ = [*_HOMES]

__getattr__, __dir__ = attach(__name__, _HOMES)
