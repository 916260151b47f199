"""CAVP's recipes say what its commands and its paper say; the small ones differ as their names do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from avseg.engine.config import GroupConfig, Recipe
from avseg.models.cavp.config import CAVPConfig
from avseg.recipes import RECIPES, get_recipe

ONE, TWO = (0.5, 0.75, 1.0), (0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0)
RESIZED, CROPPED = ("one_frame", "flip", "scale", "size"), ("one_frame", "flip", "scale", "crop")
SINGLE, VPO = ("flip", "scale", "crop"), ("flip", "scale", "jitter", "crop")

# Name: data, epochs, weight decay, drop_last, augment, scales, size, stride, audio network and mel frames,
# contrastive weight. What the data are judged at and by follows below.
PUBLISHED: dict[str, tuple[Any, ...]] = {
    "avss": ("avss", 80, 1e-4, False, CROPPED, ONE, 512, 16, "vgg", 96, 1.0),
    "avss_224": ("avss", 60, 1e-4, True, RESIZED, ONE, 224, 16, "vgg", 96, 1.0),
    "v1s": ("avss", 60, 1e-4, True, RESIZED, ONE, 224, 16, "vgg", 96, 1.0),
    "v1m": ("avss", 60, 1e-4, True, RESIZED, ONE, 224, 16, "vgg", 96, 1.0),
    "s4": ("s4", 60, 1e-4, True, RESIZED, ONE, 224, 16, "vgg", 96, 0.1),
    "ms3": ("ms3", 600, 1e-4, True, RESIZED, ONE, 224, 16, "vgg", 96, 0.1),
    "single": ("single", 60, 1e-4, True, SINGLE, ONE, 512, 16, "vgg", 96, 1.0),
    "salient": ("single", 60, 1e-4, True, SINGLE, ONE, 224, 16, "vgg", 96, 1.0),
    "vpo_ss": ("vpo_ss", 80, 5e-4, True, VPO, TWO, 512, 8, "resnet18", 300, 1.0),
    "vpo_ms": ("vpo_ms", 80, 5e-4, True, VPO, TWO, 512, 8, "resnet18", 300, 1.0),
    "vpo_msmi": ("vpo_msmi", 80, 5e-4, True, VPO, TWO, 512, 8, "resnet18", 300, 1.0),
}
RESNET50 = [f"cavp_{name}_r50" for name in PUBLISHED]
STEREO = [f"cavp_vpo_{subset}_stereo_r50" for subset in ("ss", "ms", "msmi")]
OTHERS = [f"cavp_vpo_{subset}_{backbone}" for subset in ("ss", "ms") for backbone in ("r101", "hrnet", "ocr")]
BINARY = {"cavp_v1s_r50", "cavp_v1m_r50", "cavp_s4_r50", "cavp_ms3_r50", "cavp_salient_r50"}


def model_of(recipe: Recipe) -> CAVPConfig:
    assert isinstance(recipe.model, CAVPConfig)
    return recipe.model


def test_every_command_of_the_publications_has_its_recipe() -> None:
    heard = {"stereo_small", "stereo_small_coordinates", "mono_small", "mono_small_coordinates"}
    small = {*heard, "contrast_small", "no_contrast_small"}
    wanted = {*RESNET50, *STEREO, *OTHERS, *(f"cavp_{name}" for name in small)}
    assert {name for name in RECIPES if name.startswith("cavp_")} == wanted


@pytest.mark.parametrize("name", RESNET50)
def test_data_model_and_length_are_the_published_ones(name: str) -> None:
    recipe, wanted = get_recipe(name), PUBLISHED[name.removeprefix("cavp_").removesuffix("_r50")]
    data, train, model = recipe.data, recipe.train, model_of(recipe)
    assert model.contrast is not None
    assert wanted == (
        *(data.name, train.epochs, recipe.optim.weight_decay, train.drop_last, data.augment, data.scales),
        *(model.input.size[0], model.output_stride, model.audio_network, model.mel_frames, model.contrast.weight),
    )
    assert (model.backbone, model.decoder, model.audio_channels) == ("resnet50_deep", "deeplab", 1)
    assert (model.contrast.temperature, model.contrast.views, model.contrast.overwrite) == (0.1, 512, 0.5)
    assert model.contrast.bank == ("none" if name in BINARY else "filled")
    assert model.input.size[0] == model.input.size[1]
    assert model.input.rule == ("stretch" if data.augment == RESIZED else "keep")
    assert data.labels_at == {RESIZED: "input", CROPPED: "file"}.get(data.augment, "auto")
    assert model.audio.seconds == (3.0 if model.mel_frames == 300 else 1.0)
    assert recipe.init.needs == ("backbone", "audio" if model.audio_network == "resnet18" else "vggish")
    assert (train.batch_size, train.accumulate, train.ema, train.precision, train.seed) == (16, 1, None, "fp32", 666)


@pytest.mark.parametrize("name", [*RESNET50, *STEREO, *OTHERS])
def test_each_part_has_its_published_optimiser(name: str) -> None:
    optim = get_recipe(name).optim
    assert (optim.algorithm, optim.lr, optim.momentum, optim.schedule) == ("sgd", 1e-3, 0.9, "poly")
    assert (optim.power, optim.lag, optim.floor, optim.warmup_steps, optim.clip_norm) == (0.9, 1, 1e-8, 0, None)
    assert (optim.betas, optim.decay) == ((0.9, 0.999), "all")  # of projector and fusion
    of_objects = name in ("cavp_s4_r50", "cavp_ms3_r50")
    assert optim.parts == {
        "backbone": GroupConfig(lr=5e-4 if of_objects else 1e-3, decay="weights"),
        "decoder": GroupConfig(lr=1e-2, decay="weights"),
        "audio": GroupConfig(algorithm="adam", lr=1e-4 if of_objects else 1e-3, weight_decay=0.0, schedule="constant"),
    }


def test_validation_is_on_the_own_val_split_when_the_authors_looked() -> None:
    for name in {*RESNET50, *STEREO, *OTHERS} - {"cavp_ms3_r50"}:
        recipe = get_recipe(name)
        epochs = [epoch for epoch in range(recipe.train.epochs) if recipe.train.validates(epoch)]
        assert epochs == [*range(0, 50, 5), *range(50, recipe.train.epochs)]
        assert recipe.val is None and vars(recipe.data).get("compat", ()) == ()
    ms3 = get_recipe("cavp_ms3_r50").train
    assert [epoch for epoch in range(600) if ms3.validates(epoch)] == list(range(9, 600, 10))


def test_runs_are_judged_by_the_figure_the_authors_chose_by() -> None:
    suites = {name: get_recipe(name).data.suite for name in RESNET50}
    assert {name for name, suite in suites.items() if suite == "vpo"} == {
        *("cavp_avss_r50", "cavp_avss_224_r50", "cavp_v1s_r50", "cavp_v1m_r50", "cavp_single_r50", "cavp_salient_r50")
    }  # that of VPO is its own
    assert get_recipe("cavp_s4_r50").train.protocol == get_recipe("cavp_ms3_r50").train.protocol == "cavp"


def test_binary_recipes_read_binary_truth() -> None:
    for part in ("v1s", "v1m"):
        data = get_recipe(f"cavp_{part}_r50").data
        assert (data.parts, data.binary) == ((part,), True)
    assert get_recipe("cavp_salient_r50").data.binary
    assert get_recipe("cavp_avss_r50").data.parts == () and not get_recipe("cavp_avss_r50").data.binary


@pytest.mark.parametrize("name", STEREO)
def test_stereo_is_mono_with_two_channels(name: str) -> None:
    stereo, mono = get_recipe(name), get_recipe(name.replace("_stereo", ""))
    assert stereo.data == replace(mono.data, stereo=True)
    assert stereo.model == replace(model_of(mono), audio_channels=2)
    assert (stereo.optim, stereo.train, stereo.init) == (mono.optim, mono.train, mono.init)


@pytest.mark.parametrize("name", OTHERS)
def test_other_networks_are_trained_alike(name: str) -> None:
    subset, network = name.removeprefix("cavp_vpo_").split("_")
    recipe, plain = get_recipe(name), get_recipe(f"cavp_vpo_{subset}_r50")
    backbone, decoder = {
        "r101": ("resnet101_deep", "deeplab"),
        "hrnet": ("hrnet_w48", "hrnet"),
        "ocr": ("hrnet_w48", "ocr"),
    }[network]
    assert recipe.model == replace(model_of(plain), backbone=backbone, decoder=decoder)  # type: ignore[arg-type]
    assert replace(recipe, model=plain.model) == plain


@pytest.mark.parametrize("subset", ["ss", "ms", "msmi"])
def test_tpavi_on_vpo_sees_the_pictures_of_cavp(subset: str) -> None:
    ours, cavp, avss = (get_recipe(f"{n}_r50") for n in (f"tpavi_vpo_{subset}", f"cavp_vpo_{subset}", "tpavi_avss"))
    assert ours.data == cavp.data
    assert (ours.train.epochs, ours.train.batch_size, ours.optim) == (80, 16, avss.optim)
    model: Any = ours.model
    assert (model.group, model.temporal.kind, model.audio_network, model.input.size) == (
        1,
        "frame",
        "vggish",
        (512, 512),
    )
    assert model.audio.offset == -model.audio.seconds / 2
    assert (model.avm, model.align_bias) == (avss.model.avm, avss.model.align_bias)  # type: ignore[attr-defined]


def test_small_twins_differ_in_one_thing() -> None:
    stereo, mono, placed = (get_recipe(f"cavp_{n}") for n in ("stereo_small", "mono_small", "stereo_small_coordinates"))
    assert replace(stereo, model=mono.model, data=mono.data) == mono
    assert stereo.model == replace(model_of(mono), audio_channels=2)
    assert stereo.data == replace(mono.data, stereo=True)
    assert placed == replace(stereo, model=replace(model_of(stereo), coordinates=True))
    deaf = get_recipe("cavp_mono_small_coordinates")
    assert deaf == replace(mono, model=replace(model_of(mono), coordinates=True))
    contrast, plain = get_recipe("cavp_contrast_small"), get_recipe("cavp_no_contrast_small")
    assert model_of(contrast).contrast is not None
    assert plain == replace(contrast, model=replace(model_of(contrast), contrast=None))


@pytest.mark.parametrize("name", [n for n in RECIPES if n.startswith(("cavp_", "tpavi_vpo_"))])
def test_the_model_has_the_parts_that_the_recipe_trains(name: str) -> None:
    """Every parameter under its part's optimiser; without memory for the weights."""
    import torch

    from avseg.engine.training.optim import build_optimizer
    from avseg.models import build_model
    from avseg.types import Task

    recipe = get_recipe(name)
    classes = {"avss": 70, "single": 23}.get(recipe.data.name, 21)
    binary = name in BINARY
    task = Task("binary") if binary else Task("semantic", tuple(f"class {i}" for i in range(classes)))
    with torch.device("meta"):
        model = build_model(recipe.model, task)
    optimizer = build_optimizer(model, model.param_groups(), recipe.optim)
    if name.startswith("cavp_") and "small" not in name:
        assert {g["name"]: g["lr"] for g in optimizer.param_groups}["decoder"] == 1e-2
        adam = next(g for g in optimizer.param_groups if g["name"] == "audio")
        assert "betas" in adam and (adam["weight_decay"], adam["schedule"]) == (0.0, "constant")
        whole = {g["name"] for g in optimizer.param_groups if len({p.ndim > 1 for p in g["params"]}) == 2}
        assert whole == {"projector", "fusion", "audio"}
