"""Recipes by name: functions that return everything a training run needs. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature

from avseg.engine.config import Recipe
from avseg.registry import Registry

RECIPES: Registry[Callable[..., Recipe]] = Registry(
    "recipe",
    "avseg.recipes",
    {
        "demo": "avseg.recipes.demo:demo",
        "finetune": "avseg.recipes.finetune:finetune",
        "tpavi_s4_r50": "avseg.recipes.tpavi:tpavi_s4_r50",
        "tpavi_s4_pvt": "avseg.recipes.tpavi:tpavi_s4_pvt",
        "tpavi_ms3_r50": "avseg.recipes.tpavi:tpavi_ms3_r50",
        "tpavi_ms3_pvt": "avseg.recipes.tpavi:tpavi_ms3_pvt",
        "tpavi_ms3_r50_from_s4": "avseg.recipes.tpavi:tpavi_ms3_r50_from_s4",
        "tpavi_ms3_pvt_from_s4": "avseg.recipes.tpavi:tpavi_ms3_pvt_from_s4",
        "tpavi_avss_r50": "avseg.recipes.tpavi:tpavi_avss_r50",
        "tpavi_avss_pvt": "avseg.recipes.tpavi:tpavi_avss_pvt",
        "tpavi_vpo_ss_r50": "avseg.recipes.tpavi:tpavi_vpo_ss_r50",
        "tpavi_vpo_ms_r50": "avseg.recipes.tpavi:tpavi_vpo_ms_r50",
        "tpavi_vpo_msmi_r50": "avseg.recipes.tpavi:tpavi_vpo_msmi_r50",
        "avsegformer_s4_r50": "avseg.recipes.avsegformer:avsegformer_s4_r50",
        "avsegformer_s4_pvt": "avseg.recipes.avsegformer:avsegformer_s4_pvt",
        "avsegformer_ms3_r50": "avseg.recipes.avsegformer:avsegformer_ms3_r50",
        "avsegformer_ms3_pvt": "avseg.recipes.avsegformer:avsegformer_ms3_pvt",
        "avsegformer_avss_r50": "avseg.recipes.avsegformer:avsegformer_avss_r50",
        "avsegformer_avss_pvt": "avseg.recipes.avsegformer:avsegformer_avss_pvt",
        "avsegformer_s4_512_r50": "avseg.recipes.avsegformer:avsegformer_s4_512_r50",
        "avsegformer_s4_512_pvt": "avseg.recipes.avsegformer:avsegformer_s4_512_pvt",
        "avsegformer_ms3_512_r50": "avseg.recipes.avsegformer:avsegformer_ms3_512_r50",
        "avsegformer_ms3_512_pvt": "avseg.recipes.avsegformer:avsegformer_ms3_512_pvt",
        "avsegformer_avss_512_r50": "avseg.recipes.avsegformer:avsegformer_avss_512_r50",
        "avsegformer_avss_512_pvt": "avseg.recipes.avsegformer:avsegformer_avss_512_pvt",
        "avsegformer_small": "avseg.recipes.dense_small:avsegformer_small",
        "tpavi_small": "avseg.recipes.dense_small:tpavi_small",
        "catr_s4_pvt": "avseg.recipes.catr:catr_s4_pvt",
        "catr_s4_r50": "avseg.recipes.catr:catr_s4_r50",
        "catr_ms3_pvt": "avseg.recipes.catr:catr_ms3_pvt",
        "catr_ms3_r50": "avseg.recipes.catr:catr_ms3_r50",
        "catr_small": "avseg.recipes.catr_small:catr_small",
        "cavp_avss_r50": "avseg.recipes.cavp:cavp_avss_r50",
        "cavp_avss_224_r50": "avseg.recipes.cavp:cavp_avss_224_r50",
        "cavp_v1s_r50": "avseg.recipes.cavp:cavp_v1s_r50",
        "cavp_v1m_r50": "avseg.recipes.cavp:cavp_v1m_r50",
        "cavp_s4_r50": "avseg.recipes.cavp:cavp_s4_r50",
        "cavp_ms3_r50": "avseg.recipes.cavp:cavp_ms3_r50",
        "cavp_single_r50": "avseg.recipes.cavp:cavp_single_r50",
        "cavp_salient_r50": "avseg.recipes.cavp:cavp_salient_r50",
        "cavp_vpo_ss_r50": "avseg.recipes.cavp:cavp_vpo_ss_r50",
        "cavp_vpo_ms_r50": "avseg.recipes.cavp:cavp_vpo_ms_r50",
        "cavp_vpo_msmi_r50": "avseg.recipes.cavp:cavp_vpo_msmi_r50",
        "cavp_vpo_ss_stereo_r50": "avseg.recipes.cavp:cavp_vpo_ss_stereo_r50",
        "cavp_vpo_ms_stereo_r50": "avseg.recipes.cavp:cavp_vpo_ms_stereo_r50",
        "cavp_vpo_msmi_stereo_r50": "avseg.recipes.cavp:cavp_vpo_msmi_stereo_r50",
        "cavp_vpo_ss_r101": "avseg.recipes.cavp:cavp_vpo_ss_r101",
        "cavp_vpo_ms_r101": "avseg.recipes.cavp:cavp_vpo_ms_r101",
        "cavp_vpo_ss_hrnet": "avseg.recipes.cavp:cavp_vpo_ss_hrnet",
        "cavp_vpo_ms_hrnet": "avseg.recipes.cavp:cavp_vpo_ms_hrnet",
        "cavp_vpo_ss_ocr": "avseg.recipes.cavp:cavp_vpo_ss_ocr",
        "cavp_vpo_ms_ocr": "avseg.recipes.cavp:cavp_vpo_ms_ocr",
        "cavp_stereo_small": "avseg.recipes.cavp_small:cavp_stereo_small",
        "cavp_stereo_small_coordinates": "avseg.recipes.cavp_small:cavp_stereo_small_coordinates",
        "cavp_mono_small": "avseg.recipes.cavp_small:cavp_mono_small",
        "cavp_mono_small_coordinates": "avseg.recipes.cavp_small:cavp_mono_small_coordinates",
        "cavp_contrast_small": "avseg.recipes.cavp_small:cavp_contrast_small",
        "cavp_no_contrast_small": "avseg.recipes.cavp_small:cavp_no_contrast_small",
        "avism_r50": "avseg.recipes.avism:avism_r50",
        "avism_r50_coco": "avseg.recipes.avism:avism_r50_coco",
        "avism_swinl": "avseg.recipes.avism:avism_swinl",
        "avism_swinl_coco": "avseg.recipes.avism:avism_swinl_coco",
        "avism_small": "avseg.recipes.avism_small:avism_small",
        "avism_small_deaf_masks": "avseg.recipes.avism_small:avism_small_deaf_masks",
        "qdformer_small": "avseg.recipes.qdformer_small:qdformer_small",
        "qdformer_1s7m_r50": "avseg.recipes.qdformer:qdformer_1s7m_r50",
        "qdformer_1s7m_swin_t": "avseg.recipes.qdformer:qdformer_1s7m_swin_t",
        "qdformer_1s7m_video_swin_t": "avseg.recipes.qdformer:qdformer_1s7m_video_swin_t",
        "qdformer_s4_r50": "avseg.recipes.qdformer:qdformer_s4_r50",
        "qdformer_s4_swin_t": "avseg.recipes.qdformer:qdformer_s4_swin_t",
        "qdformer_s4_video_swin_t": "avseg.recipes.qdformer:qdformer_s4_video_swin_t",
        "qdformer_ms3_r50": "avseg.recipes.qdformer:qdformer_ms3_r50",
        "qdformer_ms3_swin_t": "avseg.recipes.qdformer:qdformer_ms3_swin_t",
        "qdformer_ms3_video_swin_t": "avseg.recipes.qdformer:qdformer_ms3_video_swin_t",
        "qdformer_avss_r50": "avseg.recipes.qdformer:qdformer_avss_r50",
        "qdformer_avss_swin_t": "avseg.recipes.qdformer:qdformer_avss_swin_t",
        "qdformer_avss_video_swin_t": "avseg.recipes.qdformer:qdformer_avss_video_swin_t",
    },
)
"""Functions that return a recipe, imported on use; one line a recipe. One with a parameter takes its model from a model
file."""

__all__ = ["RECIPES", "describe", "get_recipe"]


def get_recipe(name: str, model: str | None = None) -> Recipe:
    """The recipe of that name; `dataclasses.replace` makes variants of it.

    Args:
        name: in `RECIPES`.
        model: a model file, for recipes that take their model from one; others have their own model and leave it.

    Raises:
        FileNotFoundError: no such model file.
        ValueError: no such recipe, with the nearest name.
    """
    recipe = RECIPES.find(name)
    return recipe(model) if model and signature(recipe).parameters else recipe()


def describe() -> dict[str, str]:
    """Return a description of each recipe in one line: the first paragraph of its docstring."""
    return {name: " ".join((recipe.__doc__ or "").partition("\n\n")[0].split()) for name, recipe in RECIPES.items()}
