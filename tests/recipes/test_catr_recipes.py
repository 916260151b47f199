"""CATR's recipes say what was published, and what is ours."""

from __future__ import annotations

import pytest

from avseg.models.catr.config import CATRConfig
from avseg.models.catr.presets import PUBLISHED
from avseg.recipes import get_recipe


@pytest.mark.parametrize("backbone", ["r50", "pvt"])
@pytest.mark.parametrize("setting", ["s4", "ms3"])
def test_training_is_the_published_one(setting: str, backbone: str) -> None:
    recipe = get_recipe(f"catr_{setting}_{backbone}")
    optim, train, model = recipe.optim, recipe.train, recipe.model
    assert isinstance(model, CATRConfig)
    assert model == PUBLISHED(backbone={"r50": "resnet50", "pvt": "pvt_v2_b5"}[backbone])
    assert (optim.algorithm, optim.lr, optim.weight_decay, optim.clip_norm) == ("adam", 1e-5, 0.0, 5.0)
    assert (optim.schedule, optim.warmup_steps, optim.parts) == ("constant", 0, {})
    assert (train.epochs, train.batch_size, train.seed, train.protocol) == (100, 2, 123, "catr")
    assert (train.ema, train.drop_last, train.accumulate, train.precision) == (None, False, 1, "fp32")
    assert all(train.validates(epoch) for epoch in range(train.epochs))
    assert recipe.data.name == setting and recipe.data.augment == ("affine", "flip")
    assert recipe.init.needs == ("backbone", "vggish")
    losses = model.criterion
    assert (losses.score, losses.dice, losses.focal, losses.bce, losses.no_object) == (1, 5, 5, 4, 0.1)
    assert (losses.cost_score, losses.cost_dice, losses.bce_space) == (2, 7, "probability")
    sizes = (model.queries, model.encoder_layers, model.decoder_layers, model.width, model.heads, model.inner)
    assert sizes == (50, 3, 3, 256, 8, 2048) and (model.temporal_inner, model.mask_width) == (2048, 64)
    assert (model.enlarge, model.input.size, model.temporal.length, model.dropout) == (2, (224, 224), 5, 0.1)
