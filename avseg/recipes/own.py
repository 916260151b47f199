"""A small model on videos of one's own (docs/datasets.md)."""

from __future__ import annotations

from dataclasses import replace

from avseg.datasets import data_config
from avseg.engine.config import Recipe
from avseg.recipes.demo import demo


def own_small() -> Recipe:
    """The demo's small network on a folder of your own videos; from nothing, or from the demo's weights."""
    start = demo()
    return replace(
        start,
        data=data_config("folder", augment=("flip", "colour", "mute")),
        val=None,
        optim=replace(start.optim, warmup_steps=20),
        train=replace(start.train, epochs=40, batch_size=4, seed=0, ema=None, save_every=200),
    )
