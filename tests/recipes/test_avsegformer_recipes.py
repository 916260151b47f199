"""AVSegFormer's recipes say what was published."""

from __future__ import annotations

import pytest

from avseg.models.avsegformer.config import AVSegFormerConfig
from avseg.recipes import get_recipe

# Setting: epochs, frozen ones, clips at 224, lines of the log
SETTINGS = {"s4": (30, 5, 4, 50), "ms3": (60, 10, 4, 20), "avss": (30, 0, 4, 20)}


@pytest.mark.parametrize("backbone", ["r50", "pvt"])
@pytest.mark.parametrize("size", ["", "_512"])
@pytest.mark.parametrize("setting", SETTINGS)
def test_training_is_the_published_one(setting: str, size: str, backbone: str) -> None:
    recipe = get_recipe(f"avsegformer_{setting}{size}_{backbone}")
    optim, train, model = recipe.optim, recipe.train, recipe.model
    epochs, frozen, clips, every = SETTINGS[setting]
    clips = 2 if size and setting != "avss" else clips
    assert isinstance(model, AVSegFormerConfig)
    assert (optim.algorithm, optim.lr, optim.weight_decay, optim.decay) == ("adamw", 2e-5, 0.01, "all")
    assert (optim.schedule, optim.warmup_steps, optim.clip_norm, optim.parts) == ("constant", 0, None, {})
    assert (train.epochs, train.batch_size, train.eval_batch_size, train.log_every) == (epochs, clips, clips, every)
    assert (train.seed, train.ema, train.drop_last, train.accumulate) == (123, None, False, 1)
    assert (model.freeze_backbone_epochs, model.mix_weight, model.dice) == (frozen, 0.1, "published")
    assert model.input.size == ((512, 512) if size else (224, 224))
    assert model.backbone == {"r50": "resnet50", "pvt": "pvt_v2_b5"}[backbone]
    assert recipe.data.name == setting and not recipe.data.augment
    assert recipe.init.needs == ("backbone", "vggish")
    validated = [epoch for epoch in range(epochs) if train.validates(epoch)]
    if setting == "avss":
        assert validated == list(range(10, 30, 2)) and train.also_best == ("mIoU", "F")
        assert train.protocol == "published"
    else:
        assert len(validated) == epochs and train.protocol == f"avsegformer{size or '_224'}"


def test_small_dense_recipes_differ_in_the_model_alone() -> None:
    one, other = get_recipe("tpavi_small"), get_recipe("avsegformer_small")
    assert (one.data, one.optim, one.train, one.init) == (other.data, other.optim, other.train, other.init)
    for name in ("input", "audio", "temporal", "backbone", "audio_width", "sounding_weight"):
        assert getattr(one.model, name) == getattr(other.model, name)
