"""From the published TPAVI checkpoints to a model of ours (docs/how-to/convert.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from torch import Tensor

from avseg.models.convert import (
    PREFIX_RULES,
    PREFIXES,
    Rule,
    account,
    check_variant,
    prefixed_backbones,
    read_checkpoint,
    rename_keys,
    told_backbone,
)
from avseg.models.files import build_model, load_strictly, save_model
from avseg.models.tpavi.config import TPAVIConfig
from avseg.models.tpavi.model import TPAVI
from avseg.models.tpavi.presets import PRESETS, Variant
from avseg.nn.empty import WithoutInitialisation
from avseg.types import Task

STAGES = range(4)

_IN_BLOCK = {
    "align_channel": "align",
    "theta": "query",
    "phi": "key",
    "g": "value",
    "W_z.0": "project",
    "W_z.1": "batch_norm",
    "norm_layer": "layer_norm",
}

RULES: list[Rule] = [
    *PREFIX_RULES,
    # The coarsest fusion has nothing to add, so that its first unit is never used.
    (r"path4\.resConfUnit1\..*", None),
    *((rf"conv{k + 1}\.conv2d_list\.(\d+)\.(.*)", rf"network.neck.{k}.branches.\1.\2") for k in STAGES),
    *((rf"path{k + 1}\.resConfUnit1\.conv1\.(.*)", rf"network.decoder.{k}.enter.first.\1") for k in STAGES),
    *((rf"path{k + 1}\.resConfUnit1\.conv2\.(.*)", rf"network.decoder.{k}.enter.second.\1") for k in STAGES),
    *((rf"path{k + 1}\.resConfUnit2\.conv1\.(.*)", rf"network.decoder.{k}.refine.first.\1") for k in STAGES),
    *((rf"path{k + 1}\.resConfUnit2\.conv2\.(.*)", rf"network.decoder.{k}.refine.second.\1") for k in STAGES),
    *(
        (rf"tpavi_b{k + 1}\.{old.replace('.', chr(92) + '.')}\.(\w+)", rf"network.attention.{k}.{new}.\1")
        for k in STAGES
        for old, new in _IN_BLOCK.items()
    ),
    (r"output_conv\.0\.(.*)", r"network.head.first.\1"),
    (r"output_conv\.2\.(.*)", r"network.head.second.\1"),
    (r"output_conv\.4\.(.*)", r"network.head.classify.\1"),
]

_POINTWISE = (".query.", ".key.", ".value.", ".project.")


def convert(
    upstream: Mapping[str, Tensor],
    task: Task | None = None,
    *,
    vggish: Mapping[str, Tensor],
    variant: Variant | None = None,
    **changes: Any,
) -> TPAVI:
    """A model in evaluation mode with published weights.

    Args:
        upstream: the state dict of the segmentation network (`avseg.models.convert.read_checkpoint` reads a file).
        task: by default that of the setting: binary for S4 and MS3, semantic with 70 foreground classes for AVSS.
        vggish: the state dict of VGGish, which is a file of its own upstream.
        variant: the published setting; S4 and MS3 look alike and must be told apart here.
        changes: fields of the config that depart from the published setting, such as `self_attention=True`.

    Raises:
        ValueError: unknown, missing, misshaped or doubled tensors; a variant or task that contradicts them.
    """
    chosen = find_variant(upstream, variant)
    config, task = replace(_config(upstream, chosen), **changes), task or PRESETS[chosen].task
    assert task is not None
    classes = upstream["output_conv.4.weight"].shape[0]
    if task.channels != classes:
        raise ValueError(f"the checkpoint has {classes} channel(s) of logits, the {task.kind} task {task.channels}")
    with WithoutInitialisation():
        model = build_model(config, task)
    assert isinstance(model, TPAVI)
    state = {name: _reshaped(name, tensor) for name, tensor in renamed(upstream).items()}
    load_strictly(model, {**state, **{f"audio_network.{k}": v for k, v in vggish.items()}}, "the published checkpoint")
    return model.eval()


def convert_file(source: Path, out: Path, *, variant: Variant | None = None, vggish: Path | None = None) -> Path:
    """`avseg.models.tpavi.spec.convert`."""
    check_variant(variant, get_args(Variant))
    upstream = read_checkpoint(source)
    chosen = find_variant(upstream, variant)
    if vggish is None:
        raise ValueError(
            "the audio network is missing: published TPAVI checkpoints do not hold it; "
            "give the VGGish weights (vggish-10086976.pth) with --vggish FILE"
        )
    model = convert(upstream, vggish=read_checkpoint(vggish), variant=chosen)
    origin = f"converted from {source.name} ({chosen}) and {Path(vggish).name}"
    return save_model(model, out, {"origin": origin, **account(upstream, renamed(upstream), chosen)})


def find_variant(upstream: Mapping[str, Tensor], variant: Variant | None) -> Variant:
    """The published setting of a state dict: told by its tensors, or by the caller where they do not tell.

    Raises:
        ValueError: not a TPAVI checkpoint, a variant that contradicts it, or S4 and MS3 not told apart.
    """
    if "output_conv.4.weight" not in upstream:
        raise ValueError("this is not a TPAVI checkpoint: it has no output_conv.4.weight")
    semantic = upstream["output_conv.4.weight"].shape[0] > 1
    if semantic:
        if variant in ("s4", "ms3"):
            raise ValueError(f"the checkpoint has many classes, so it belongs to avss, not to {variant}")
        return "avss"
    if variant is None:
        raise ValueError("the weights of S4 and MS3 look alike: say which with --variant s4 or --variant ms3")
    if variant == "avss":
        raise ValueError("the checkpoint has one class, so it belongs to s4 or ms3, not to avss")
    return variant


def _config(upstream: Mapping[str, Tensor], variant: Variant) -> TPAVIConfig:
    """The published setting, with what shapes and names tell."""
    config = PRESETS[variant](backbone=told_backbone(upstream, PREFIXES))
    assert isinstance(config, TPAVIConfig)
    stages = tuple(stage for stage in STAGES if f"tpavi_b{stage + 1}.theta.weight" in upstream)
    matched = tuple(stage for stage in (config.avm.stages if config.avm else ()) if stage in stages)
    return replace(
        config,
        stages=stages,
        avm=replace(config.avm, stages=matched) if config.avm and matched else None,
        align_bias=any(key.endswith("align_channel.bias") for key in upstream) if stages else config.align_bias,
    )


def renamed(upstream: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our names; the backbone by its own table."""
    state = rename_keys(upstream, RULES)
    kept = {name: tensor for name, tensor in state.items() if name.startswith("network.")}
    return {**kept, **prefixed_backbones(state)}


def _reshaped(name: str, tensor: Tensor) -> Tensor:
    """1x1x1 convolutions are linear layers here."""
    if name.startswith("network.attention.") and any(part in name for part in _POINTWISE) and tensor.ndim == 5:
        return tensor.flatten(1) if tensor.shape[2:].numel() == 1 else tensor
    return tensor
