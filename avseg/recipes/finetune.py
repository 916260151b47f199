"""Finetuning a model file on your own data (docs/how-to/training.md)."""

from __future__ import annotations

from pathlib import Path

from avseg.data.config import DataConfig
from avseg.engine.config import InitConfig, OptimConfig, Recipe, TrainConfig
from avseg.models.header import config_of
from avseg.models.places import DEMO, find_file


def finetune(model: str | Path | None = None) -> Recipe:
    """Any model file on data of your own (--init.model FILE --data.name NAME), whatever its family and classes.

    Args:
        model: The file, a folder with one, a Hub id, or `demo`. The network, its input and its losses are as the file
            says. None: the recipe does not begin before `init.model` names one, and shows the fields of the demo's.

    Raises:
        FileNotFoundError: no such model file.
        ValueError: not a model file, or one of an unknown family.
    """
    return Recipe(
        model=config_of(find_file(model or DEMO)),
        data=DataConfig(augment=("flip",)),
        optim=OptimConfig(
            algorithm="adamw", lr=3e-4, weight_decay=0.02, schedule="cosine", warmup_steps=10, clip_norm=5.0
        ),
        train=TrainConfig(steps=200, batch_size=4, eval_every=20, protocol="repaired"),
        init=InitConfig(model=None if model is None else str(model), needs=("model",)),
    )
