"""A small CATR trained from scratch on the synthetic world, at the budget of the small dense models.

See docs/results/experiments.md.
`benchmarks/dense_families.py` trains them beside each other and judges them.
"""

from __future__ import annotations

from dataclasses import replace

from avseg.config import AudioWindow, InputSpec, Temporal
from avseg.engine.config import Recipe
from avseg.models.catr.config import CATRConfig
from avseg.recipes.dense_small import SIZE, small_recipe
from avseg.synth.classes import CLASSES


def catr_small() -> Recipe:
    """Small CATR from scratch on the synthetic world at 64 x 64, binary; each frame uses the sound of its second."""
    recipe = small_recipe(_model())
    data = replace(recipe.data, kind="binary")  # type: ignore[call-arg]
    return replace(recipe, data=data, optim=replace(recipe.optim, lr=1e-3))


def _model() -> CATRConfig:
    return CATRConfig(
        input=InputSpec((SIZE, SIZE), rule="shorter_side", multiple_of=32),
        audio=AudioWindow(anchor="frame", missing="silence"),
        # The sounds of a group are told apart by nothing, so that with several no frame knows its own.
        temporal=Temporal("frame", 1, shown_after=0.9375),
        backbone="test_byobnet",
        dilations=(1,),
        width=64,
        heads=4,
        queries=8,
        encoder_layers=2,
        decoder_layers=2,
        inner=128,
        temporal_inner=128,
        dropout=0.0,
        mask_width=32,
        audio_network="small",
        audio_width=96,
        sounding_weight=0.5,
        sounding_classes=len(CLASSES),
    )
