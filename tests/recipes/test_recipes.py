"""The table of recipes, and that the published ones say what was published."""

from __future__ import annotations

import json

import pytest

from avseg.config import from_dict, to_dict
from avseg.engine.config import Recipe
from avseg.recipes import RECIPES, describe, get_recipe


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_opens_and_says_what_it_is(name: str) -> None:
    recipe = get_recipe(name)
    assert isinstance(recipe, Recipe) and get_recipe(name) == recipe
    assert len(describe()[name]) > 20 and describe()[name].endswith(".")
    model = from_dict(type(recipe.model), json.loads(json.dumps(to_dict(recipe.model))))
    assert model == recipe.model


def test_an_unknown_recipe_is_answered_with_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"there is no recipe 'tpavi_s4_pvtt'; did you mean 'tpavi_s4_pvt'\?"):
        get_recipe("tpavi_s4_pvtt")


@pytest.mark.parametrize("backbone", ["r50", "pvt"])
@pytest.mark.parametrize(("variant", "epochs", "log_every"), [("s4", 15, 50), ("ms3", 30, 20), ("avss", 60, 20)])
def test_tpavi_is_trained_as_published(variant: str, backbone: str, epochs: int, log_every: int) -> None:
    recipe = get_recipe(f"tpavi_{variant}_{backbone}")
    optim, train = recipe.optim, recipe.train
    assert (optim.algorithm, optim.lr, optim.weight_decay, optim.schedule) == ("adam", 1e-4, 0.0, "constant")
    assert (optim.betas, optim.clip_norm, optim.parts) == ((0.9, 0.999), None, {})
    assert (train.epochs, train.batch_size, train.accumulate, train.seed) == (epochs, 4, 1, 123)
    assert (train.workers, train.log_every, train.ema, train.precision) == (8, log_every, None, "fp32")
    assert recipe.data.name == variant
    assert recipe.model.backbone == {"r50": "resnet50", "pvt": "pvt_v2_b5"}[backbone]  # type: ignore[attr-defined]
    assert recipe.init.needs == ("backbone", "vggish")


def test_avss_is_validated_at_even_epochs_from_fifteen_on() -> None:
    train = get_recipe("tpavi_avss_r50").train
    validated = [
        e for e in range(train.epochs) if e >= train.eval_from and (e - train.eval_from) % train.eval_every == 0
    ]
    assert validated == [e for e in range(60) if e >= 15 and e % 2 == 0]
    assert train.also_best == ("mIoU", "F")
    assert get_recipe("tpavi_s4_r50").train.eval_every == 1


@pytest.mark.parametrize("variant", ["ms3", "avss"])
def test_the_matching_term_is_the_published_one(variant: str) -> None:
    avm = get_recipe(f"tpavi_{variant}_pvt").model.avm  # type: ignore[attr-defined]
    assert (avm.variant, avm.distance, avm.pool, avm.stages, avm.weight) == ("av", "kl", "avg", (0, 1, 2, 3), 0.5)
    assert (avm.threshold, avm.normalise, avm.reduction) == (False, False, "published")
    assert get_recipe("tpavi_s4_pvt").model.avm is None  # type: ignore[attr-defined]


@pytest.mark.parametrize("backbone", ["r50", "pvt"])
def test_from_s4_differs_only_in_its_first_weights(backbone: str) -> None:
    plain, begun = get_recipe(f"tpavi_ms3_{backbone}"), get_recipe(f"tpavi_ms3_{backbone}_from_s4")
    assert begun.init.needs == ("model",)
    assert (begun.model, begun.data, begun.optim, begun.train) == (plain.model, plain.data, plain.optim, plain.train)
