"""AVISM's recipes say what its configurations and its training code say."""

from __future__ import annotations

from dataclasses import replace

import pytest

from avseg.config import InputSpec
from avseg.engine.config import GroupConfig, Recipe
from avseg.losses.config import SetConfig
from avseg.models.avism.config import AVISMConfig, AVISMOptions
from avseg.recipes import get_recipe

# Name: backbone, queries of a frame, shorter side in tests, what it begins from.
PUBLISHED = {
    "avism_r50": ("resnet50", 100, 360, "backbone"),
    "avism_r50_coco": ("resnet50", 100, 360, "detector"),
    "avism_swinl": ("swin_large_patch4_window12_384", 200, 448, "backbone"),
    "avism_swinl_coco": ("swin_large_patch4_window12_384", 200, 448, "detector"),
}


def model_of(recipe: Recipe) -> AVISMConfig:
    assert isinstance(recipe.model, AVISMConfig)
    return recipe.model


@pytest.mark.parametrize("name", PUBLISHED)
def test_networks_are_the_published_ones(name: str) -> None:
    recipe = get_recipe(name)
    model = model_of(recipe)
    backbone, queries, side, begins_from = PUBLISHED[name]
    assert (model.backbone, model.frame_queries, recipe.init.needs) == (backbone, queries, (begins_from,))
    assert model.input == InputSpec((side, side), rule="shorter_side", longest=1333)
    assert (model.width, model.heads, model.feedforward, model.pixel_feedforward) == (256, 8, 2048, 1024)
    assert (model.pixel_layers, model.frame_layers, model.clip_queries, model.clip_layers) == (6, 9, 100, 3)
    assert (model.object_layers, model.window, model.trained_layers) == (6, 6, 3)
    assert (AVISMOptions(), model.frames_at_once) == (AVISMOptions(score=0.3, candidates=100, frames_in_memory=36), 18)
    assert model.freeze_norms and (model.audio_network, model.audio_width) == ("none", 128)


@pytest.mark.parametrize("name", PUBLISHED)
def test_losses_are_those_of_the_published_code(name: str) -> None:
    criterion = model_of(get_recipe(name)).criterion
    assert (criterion.class_weight, criterion.mask_weight, criterion.dice_weight) == (2.0, 5.0, 5.0)
    assert (criterion.no_object_weight, criterion.points) == (0.1, 12544)
    assert (criterion.oversample, criterion.importance) == (3.0, 0.75)
    assert criterion.similarity_weight == 1.0 and criterion.silent_first_is_no_object
    intended = SetConfig()
    assert (intended.similarity_weight, intended.silent_first_is_no_object) == (0.5, False)


@pytest.mark.parametrize("name", PUBLISHED)
def test_training_is_the_published_one(name: str) -> None:
    recipe = get_recipe(name)
    optim, train, data = recipe.optim, recipe.train, recipe.data
    assert (optim.algorithm, optim.lr, optim.weight_decay, optim.betas) == ("adamw", 1e-4, 0.05, (0.9, 0.999))
    assert (optim.schedule, optim.milestones, optim.drop, optim.warmup_steps) == ("steps", (32_000,), 0.1, 0)
    assert (optim.decay, optim.clip_norm, optim.parts) == ("layers", 0.01, {"backbone": GroupConfig(lr=1e-5)})
    assert (train.steps, train.batch_size, train.accumulate, train.precision) == (48_000, 2, 1, "fp32")
    assert (train.ema, train.workers, train.protocol) == (None, 8, "aviseg")
    assert (data.name, data.audio, data.clip_frames, data.reach) == ("aviseg", "features", 5, 20)
    assert data.augment == ("some_frames", "moving_crop", "shorter_side", "flip")
    assert (data.sides, data.longest, data.compat) == (tuple(range(288, 513, 32)), 768, ("replacement",))


def test_the_last_epoch_is_one_of_those_that_are_validated() -> None:
    """Of 616 videos, two a step."""
    train = get_recipe("avism_r50").train
    assert train.steps is not None
    epochs = -(-train.steps // 308)
    assert [epoch for epoch in range(epochs) if train.validates(epoch)] == list(range(11, 156, 16))
    assert epochs == 156


def test_beginnings_and_networks_are_the_only_differences() -> None:
    plain = get_recipe("avism_r50")
    for name in PUBLISHED:
        other = get_recipe(name)
        assert replace(other, model=plain.model, init=plain.init) == plain
    assert get_recipe("avism_r50_coco").model == plain.model
    assert get_recipe("avism_swinl_coco").model == get_recipe("avism_swinl").model


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_model_has_the_parts_that_the_recipe_trains(name: str) -> None:
    """Without memory for the weights: a tenth of the rate for the backbone, and what decays by its kind."""
    import torch

    from avseg.engine.training.optim import build_optimizer
    from avseg.models import build_model
    from avseg.nn.empty import WithoutInitialisation
    from avseg.types import Task

    recipe = get_recipe(name)
    with torch.device("meta"), WithoutInitialisation():
        model = build_model(recipe.model, Task("instance", tuple(f"class {i}" for i in range(26))))
    optimizer = build_optimizer(model, model.param_groups(), recipe.optim)
    assert {(g["name"] == "backbone", g["lr"]) for g in optimizer.param_groups} == {(True, 1e-5), (False, 1e-4)}
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    backbone = {names[id(p)] for g in optimizer.param_groups if g["name"] == "backbone" for p in g["params"]}
    assert backbone == {name for name in names.values() if "backbone" in name}
    spared = {names[id(p)] for g in optimizer.param_groups if g["weight_decay"] == 0 for p in g["params"]}
    decaying = set(names.values()) - spared
    queries = {
        n for n in names.values() if n.startswith(("network.detector.", "network.video.")) and ".layers." not in n
    }
    learned = {n for n in queries if n.endswith(("query.weight", "position.weight", "level.weight"))}
    assert len(learned) == 6 and learned <= spared
    assert "network.pixel_decoder.level_embed" in decaying
    assert {n for n in names.values() if "in_proj" in n or n.endswith("qkv.bias")} <= decaying
    tables = {n for n in names.values() if n.endswith("relative_position_bias_table")}
    assert tables <= spared and len(tables) == (24 if "swin" in name else 0)
    assert all("norm" in n or n in learned | tables or ".input_proj." in n or ".bn" in n for n in spared), spared


def test_small_twins_differ_in_what_their_masks_hear() -> None:
    heard, deaf = get_recipe("avism_small"), get_recipe("avism_small_deaf_masks")
    assert model_of(heard).heard_masks and replace(heard, model=replace(model_of(heard), heard_masks=False)) == deaf
    assert heard.init.needs == () and heard.data.root is None
