"""A plug-in for tests of `avseg train` in processes of their own: the tiny model and its world as a recipe.

KILL=RANK:BATCH ends a process in that batch of its first life, without a word.
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tiny_run
from tiny_run import SGD_AND_ADAM, TinyConfig, TinyModel, TinyWorld

from avseg.data.config import DataConfig
from avseg.datasets import DATASETS, DatasetSpec
from avseg.engine.config import Recipe
from avseg.models import FAMILIES, FamilySpec
from avseg.recipes import RECIPES


@dataclass(frozen=True)
class TinyData(DataConfig):
    name: str = "tiny_world"


def open_world(config: TinyData, split: str, root: Path | None) -> TinyWorld:
    return TinyWorld(13 if split == "train" else 5, seed=int(split != "train"))


class KilledModel(TinyModel):
    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        rank, _, batch = os.environ.get("KILL", "-1:0").partition(":")
        self.marker = Path(os.environ.get("MARKER", "killed"))
        self.left = int(batch) if rank == os.environ.get("RANK", "0") and not self.marker.exists() else 0
        self.on_step = self._count

    def _count(self) -> None:
        self.left -= 1
        if self.left == 0:
            self.marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)


def tiny() -> Recipe:
    """The tiny model in float64, without what depends on how a batch is shared."""
    model = TinyConfig(dropout=0.0, frozen=True, double=True)
    plain = tiny_run.recipe(model=model, optim=SGD_AND_ADAM, batch_size=2, epochs=4, save_every=2)
    return Recipe(plain.model, TinyData(), plain.optim, plain.train)


FAMILIES.add("tiny", FamilySpec("tiny", TinyConfig, "tiny_plugin:KilledModel", "", "", "", {"tiny": TinyConfig}))
DATASETS.add(
    "tiny_world", DatasetSpec("tiny_world", TinyData, "tiny_plugin:open_world", "avsbench_object", "", in_memory=True)
)
RECIPES.add("tiny", tiny)
