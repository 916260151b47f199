"""QDFormer's recipes: what the ancestor's options say, and lengths of ours."""

from __future__ import annotations

from dataclasses import replace

import pytest

from avseg.commands.train import variants
from avseg.engine.config import GroupConfig, Recipe
from avseg.models.qdformer.config import QDFormerConfig
from avseg.recipes import get_recipe

BACKBONES = {"r50": "resnet50", "swin_t": "swin_tiny_patch4_window7_224", "video_swin_t": "video_swin_tiny"}
# Setting: data set, steps, frames of a clip, kind of task.
SETTINGS = {
    "1s7m": ("avs_1s7m", 60_000, 5, "binary"),
    "s4": ("s4", 60_000, 5, "binary"),
    "ms3": ("ms3", 20_000, 5, "binary"),
    "avss": ("avss", 60_000, 10, "semantic"),
}
CLIPS = {"1s7m": 3452 + 7 * 296, "s4": 3452, "ms3": 296, "avss": 8498}


def model_of(recipe: Recipe) -> QDFormerConfig:
    assert isinstance(recipe.model, QDFormerConfig)
    return recipe.model


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("setting", SETTINGS)
def test_training_is_the_ancestors_counted_in_steps(setting: str, backbone: str) -> None:
    recipe = get_recipe(f"qdformer_{setting}_{backbone}")
    data, steps, frames, _ = SETTINGS[setting]
    optim, train, model = recipe.optim, recipe.train, model_of(recipe)
    assert (optim.algorithm, optim.lr, optim.weight_decay, optim.clip_norm) == ("adamw", 1e-4, 5e-4, 0.1)
    assert optim.parts == {"backbone": GroupConfig(lr=5e-5)} and (optim.schedule, optim.drop) == ("steps", 0.1)
    assert optim.milestones == (round(steps * 2 / 3), round(steps * 5 / 6)) and optim.warmup_steps == 0
    assert (train.steps, train.batch_size, train.accumulate, train.precision) == (steps, 8, 1, "fp32")
    assert (recipe.data.name, recipe.init.needs) == (data, ("backbone", "vggish"))
    assert not vars(recipe.data).get("mix")
    assert recipe.data.augment[-2:] == ("flip", "photometric")
    assert (model.backbone, model.temporal.length, model.input.size) == (BACKBONES[backbone], frames, (224, 224))
    plain = replace(QDFormerConfig(), backbone=model.backbone, temporal=model.temporal)
    assert model == plain


@pytest.mark.parametrize("setting", SETTINGS)
def test_validation_comes_some_dozen_times(setting: str) -> None:
    train = get_recipe(f"qdformer_{setting}_r50").train
    assert train.steps is not None
    epochs = -(-train.steps // -(-CLIPS[setting] // train.batch_size))
    assert 15 <= sum(train.validates(epoch) for epoch in range(epochs)) <= 50


@pytest.mark.parametrize("changes", [{}, {"freeze_visual": True}, {"frozen_stages": 0}], ids=str)
@pytest.mark.parametrize("backbone", BACKBONES)
def test_the_optimiser_has_what_learns(backbone: str, changes: dict[str, bool | int]) -> None:
    """Without memory for the weights: half the rate for the backbone; what is frozen, and VGGish, is not in it."""
    import torch

    from avseg.engine.training.optim import build_optimizer
    from avseg.models import build_model
    from avseg.nn.empty import WithoutInitialisation
    from avseg.types import Task

    recipe = get_recipe(f"qdformer_ms3_{backbone}")
    config = replace(model_of(recipe), **changes)  # type: ignore[arg-type]
    with torch.device("meta"), WithoutInitialisation():
        model = build_model(config, Task("binary"))
    frozen = bool(changes.get("freeze_visual"))
    parts = {} if frozen else recipe.optim.parts
    optimizer = build_optimizer(model, model.param_groups(), replace(recipe.optim, parts=parts))
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    rates = {names[id(p)]: group["lr"] for group in optimizer.param_groups for p in group["params"]}
    visual = {name for name in names.values() if name.startswith("network.backbone.")}
    assert {rate for name, rate in rates.items() if name in visual} == (set() if frozen else {5e-5})
    assert {rate for name, rate in rates.items() if name not in visual} == {1e-4}
    still = {name for name in names.values() if name not in rates}
    heard = {name for name in names.values() if name.startswith("audio_network.")}
    assert heard and heard <= still
    begun = ("conv1", "bn1", "layer1") if backbone == "r50" and changes.get("frozen_stages") != 0 else ()
    own = visual if frozen else {n for n in visual if n.removeprefix("network.backbone.stages.").startswith(begun)}
    assert still - heard == (own if begun or frozen else set()) | _factors_of_norms(still)


def _factors_of_norms(names: set[str]) -> set[str]:
    """Of frozen norms, where their factors are parameters at all."""
    return {name for name in names if ".bn" in name or ".downsample.1." in name}


ABLATIONS = {
    "model.decompose": "True,False",
    "model.quantise": "True,False",
    "model.local_calibration": "True,False",
    "model.local.query": "global,learned",
    "model.tokens": "5,1,2,3,8,10",
    "model.codebook.codes": "512,32,64,128,256,1024",
    "model.codebook.shared": "True,False",
    "model.codebook.update": "grad,ema",
    "model.codebook.beta": "0.25,1",
    "model.encoder_layers": "4,0",
    "model.criterion.boxes": "True,False",
    "model.criterion.classes": "True,False",
    "model.class_layers": "2,1",
    "data.mix": "s4 1 ms3 7,s4 7 ms3 1",
}
"""Fields of the rows of the paper's ablations, of what a review asked for and of the share of single sources."""


@pytest.mark.parametrize("field", ABLATIONS)
def test_every_ablation_can_be_swept(field: str) -> None:
    """The first value is the recipe's own, or says the same; every other one is another model or data set."""
    plain = get_recipe("qdformer_1s7m_r50")
    first, *others = (variant.recipe for variant in variants(plain, [f"{field}={ABLATIONS[field]}"]))
    assert first == plain or first.data.mix == {"s4": 1, "ms3": 7}
    assert len({str(other) for other in (first, *others)}) == len(others) + 1
    assert all((other.optim, other.train) == (plain.optim, plain.train) for other in others)


def test_a_value_that_no_model_has_is_refused_before_any_run() -> None:
    with pytest.raises((ValueError, SystemExit)):
        variants(get_recipe("qdformer_1s7m_r50"), ["model.heads=8,7"])
