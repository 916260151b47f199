"""From the published AVSegFormer checkpoints to a model of ours (docs/explanation/avsegformer.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from torch import Tensor

from avseg.models.avsegformer.config import AVSegFormerConfig
from avseg.models.avsegformer.model import AVSegFormer
from avseg.models.avsegformer.presets import GENERATIONS, PRESETS, Generation, Variant
from avseg.models.convert import (
    PVT_RULES,
    RESNET_RULES,
    Rule,
    account,
    as_backbone,
    check_variant,
    layer_rules,
    read_checkpoint,
    rename_keys,
    told_backbone,
)
from avseg.models.files import build_model, load_strictly, save_model
from avseg.nn.empty import WithoutInitialisation
from avseg.types import Task

NEWEST: Generation = 3
BACKBONE = "backbone."
MARKS = {f"{BACKBONE}conv1.": "resnet50", f"{BACKBONE}patch_embed1.": "pvt_v2_b5"}
CLASSIFIER = "head.fc.4.weight"
GENERATOR = "head.query_generator."

_GENERATOR = {
    "self_attn": "self_attention",
    "norm1": "self_norm",
    "cross_attn": "sound_attention",
    "norm2": "sound_norm",
    r"ffn\.0": "feed_forward.linear1",
    r"ffn\.2": "feed_forward.linear2",
    "norm3": "feed_forward.norm",
}
_ENCODER = {
    "self_attn": "attention",
    "norm1": "norm",
    "linear1": "feed_forward.linear1",
    "linear2": "feed_forward.linear2",
    "norm2": "feed_forward.norm",
}
_DECODER = {
    "self_attn": "self_attention.attention",
    "norm1": "self_attention.norm",
    "cross_attn": "cross_attention.attention",
    "norm2": "cross_attention.norm",
    "linear1": "feed_forward.linear1",
    "linear2": "feed_forward.linear2",
    "norm3": "feed_forward.norm",
}

RULES: list[Rule] = [
    # A second branch of the ResNet; ours is the first.
    (r"backbone\.layer[34]_2\..*", None),
    (r"backbone\.(layer[34])_1\.(.*)", r"backbone.\1.\2"),
    (r"(backbone\..*)", r"\1"),
    (r"vggish\.(.*)", r"audio_network.\1"),
    (r"audio_proj\.(.*)", r"network.audio_projection.\1"),
    (r"head\.in_proj\.(\d)\.(.*)", r"network.projections.\1.\2"),
    (r"head\.level_embed", r"network.encoder.level"),
    (r"head\.learnable_query\.weight", r"network.table"),
    (r"head\.query_generator\.query\.weight", r"network.generator.table"),
    *layer_rules(r"head\.query_generator", r"network.generator.layers.\1", _GENERATOR),
    *layer_rules(r"head\.transformer\.encoder", r"network.encoder.layers.\1", _ENCODER),
    *layer_rules(r"head\.transformer\.decoder", r"network.decoder.\1", _DECODER),
    (r"head\.lateral_conv\.(.*)", r"network.lateral.\1"),
    (r"head\.out_conv\.(.*)", r"network.smooth.\1"),
    (r"head\.fusion_block\.q_proj\.(\w+)", r"network.mixer.query.\1"),
    (r"head\.fusion_block\.kv_proj\.(\w+)", r"network.mixer.key_value.\1"),
    (r"head\.fusion_block\.proj\.(\w+)", r"network.mixer.project.\1"),
    (r"head\.mlp\.layers\.0\.(\w+)", r"network.head.enter.\1"),
    (r"head\.mlp\.layers\.1\.(\w+)", r"network.head.mix.\1"),
    (r"head\.mlp\.layers\.2\.(\w+)", r"network.head.leave.\1"),
    (r"head\.fc\.0\.(\w+)", r"network.head.first.\1"),
    (r"head\.fc\.2\.(\w+)", r"network.head.second.\1"),
    (r"head\.fc\.4\.(\w+)", r"network.head.classify.\1"),
]

# Masks of the decoder's layers: built by all generations, used by the older ones.
LAYER_MASKS: list[Rule] = [
    *((rf"head\.fpn\.up{k + 1}\.1\.(\w+)", rf"network.layer_masks.ups.{k}.\1") for k in range(3)),
    (r"head\.attn_fc\.0\.(\w+)", r"network.layer_masks.first.\1"),
    (r"head\.attn_fc\.2\.(\w+)", r"network.layer_masks.second.\1"),
    (r"head\.attn_fc\.4\.(\w+)", r"network.layer_masks.classify.\1"),
]
UNUSED: list[Rule] = [(r"head\.(?:fpn|attn_fc)\..*", None)]

_POINTWISE = ("network.head.enter.", "network.head.mix.", "network.head.leave.")


def convert(
    upstream: Mapping[str, Tensor],
    task: Task | None = None,
    *,
    variant: Variant | None = None,
    generation: Generation | None = None,
    vggish: Mapping[str, Tensor] | None = None,
    **changes: Any,
) -> AVSegFormer:
    """A model in evaluation mode with published weights.

    Args:
        upstream: the state dict (`avseg.models.convert.read_checkpoint` reads a file).
        task: by default that of the setting: binary for S4 and MS3, semantic with 70 foreground classes for AVSS.
        variant: the published setting; only AVSS at 224 is told by the tensors.
        generation: 3, the newest, has queries that attend to the sound; 2, before 2023-08-14, repeats the sound and
            has a mask for each layer of the decoder. None: the newest.
        vggish: the state dict of VGGish, in place of the one in the checkpoint.
        changes: fields of the config that depart from the published setting.

    Raises:
        ValueError: unknown, missing, misshaped or doubled tensors; a variant, generation or task that contradicts them,
            or does not say what they leave open.
    """
    chosen, generation = find_variant(upstream, variant), find_generation(upstream, generation)
    config = replace(_config(upstream, chosen), **{**GENERATIONS[generation], **changes})
    task = task or PRESETS[chosen].task
    assert task is not None
    classes = upstream[CLASSIFIER].shape[0]
    if task.channels != classes:
        raise ValueError(f"the checkpoint has {classes} channel(s) of logits, the {task.kind} task {task.channels}")
    with WithoutInitialisation():
        model = build_model(config, task)
    assert isinstance(model, AVSegFormer)
    state = renamed(upstream, generation)
    if vggish is not None:
        state = {name: tensor for name, tensor in state.items() if not name.startswith("audio_network.")}
        state |= {f"audio_network.{name}": tensor for name, tensor in vggish.items()}
    load_strictly(model, state, "the published checkpoint")
    return model.eval()


def convert_file(
    source: Path,
    out: Path,
    *,
    variant: Variant | None = None,
    generation: Generation | None = None,
    vggish: Path | None = None,
) -> Path:
    """`avseg.models.avsegformer.spec.convert`."""
    check_variant(variant, get_args(Variant))
    upstream = read_checkpoint(source)
    chosen, generation = find_variant(upstream, variant), find_generation(upstream, generation)
    sound = None if vggish is None else read_checkpoint(vggish)
    model = convert(upstream, variant=chosen, generation=generation, vggish=sound)
    origin = f"converted from {source.name} ({chosen})" + (f" and {Path(vggish).name}" if vggish else "")
    return save_model(model, out, {"origin": origin, **account(upstream, renamed(upstream, generation), chosen)})


def find_variant(upstream: Mapping[str, Tensor], variant: Variant | None) -> Variant:
    """The published setting of a state dict: told by its tensors, or by the caller where they do not tell.

    Raises:
        ValueError: not an AVSegFormer checkpoint, a variant that contradicts it, or S4 and MS3 not told apart.
    """
    if CLASSIFIER not in upstream or "audio_proj.weight" not in upstream:
        raise ValueError(f"this is not an AVSegFormer checkpoint: it has no {CLASSIFIER} beside an audio_proj.weight")
    semantic = upstream[CLASSIFIER].shape[0] > 1
    if variant is None:
        if semantic:
            return "avss"
        raise ValueError(
            "the weights of S4 and MS3, at 224 and at 512, look alike: say which with --variant s4, ms3, s4_512 or "
            "ms3_512 (the released files are of 512)"
        )
    if semantic != variant.startswith("avss"):
        count, of = ("many classes", "avss or avss_512") if semantic else ("one class", "s4, ms3, s4_512 or ms3_512")
        raise ValueError(f"the checkpoint has {count}, so it belongs to {of}, not to {variant}")
    return variant


def find_generation(upstream: Mapping[str, Tensor], generation: Generation | None) -> Generation:
    """The generation of the code that a state dict is of.

    Raises:
        ValueError: the first, which this library does not have, or one that contradicts the tensors, or none where they
            do not tell.
    """
    if generation not in (None, *get_args(Generation)):
        raise ValueError(f"generation {generation!r}, wanted 1, 2 or 3")
    attends = any(name.startswith(GENERATOR) for name in upstream)
    if generation == 1:
        raise ValueError(
            "generation 1 of AVSegFormer (until 2023-04-29) is not built: its sound reaches the queries alone, while "
            "the mask feature of later ones hears it too; use a file of generation 2 or 3"
        )
    if attends and generation == 2:
        raise ValueError(f"the checkpoint has {GENERATOR}*, so it belongs to generation 3, not to 2")
    if not attends and generation is None:
        raise ValueError(
            f"the checkpoint has no {GENERATOR}*, so that it is older than 2023-08-14, and the tensors of the two "
            "older generations look alike: give --generation 2 if it is of 2023-04-29 or later; generation 1 is not "
            "built"
        )
    if not attends and generation == NEWEST:
        raise ValueError(f"the checkpoint has no {GENERATOR}*, so that it is not of generation 3")
    return generation or NEWEST


def _config(upstream: Mapping[str, Tensor], variant: Variant) -> AVSegFormerConfig:
    """The published setting, with the backbone that names tell."""
    config = PRESETS[variant](backbone=told_backbone(upstream, MARKS))
    assert isinstance(config, AVSegFormerConfig)
    return config


def renamed(upstream: Mapping[str, Tensor], generation: Generation = NEWEST) -> dict[str, Tensor]:
    """Our names; the backbone by its own table."""
    state = rename_keys(upstream, [*RULES, *(UNUSED if generation == NEWEST else LAYER_MASKS)])
    rules = PVT_RULES if f"{BACKBONE}patch_embed1.proj.weight" in state else RESNET_RULES
    kept = {name: _reshaped(name, tensor) for name, tensor in state.items() if not name.startswith(BACKBONE)}
    return {**kept, **as_backbone(state, BACKBONE, rules)}


def _reshaped(name: str, tensor: Tensor) -> Tensor:
    """1x1 convolutions of the mask head are linear layers here."""
    pointwise = name.startswith(_POINTWISE) and tensor.ndim == 4 and tensor.shape[2:].numel() == 1
    return tensor.flatten(1) if pointwise else tensor
