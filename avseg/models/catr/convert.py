"""From the state dict that CATR's training script saves to a model of ours (docs/how-to/convert.md)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from torch import Tensor

from avseg.models.catr.config import CATRConfig
from avseg.models.catr.model import CATR
from avseg.models.catr.presets import PRESETS, Variant
from avseg.models.catr.temporal import LAYERS
from avseg.models.convert import (
    PREFIX_RULES,
    PREFIXES,
    Rule,
    account,
    check_variant,
    layer_rules,
    prefixed_backbones,
    read_checkpoint,
    rename_keys,
    told_backbone,
)
from avseg.models.files import build_model, load_strictly, save_model
from avseg.nn.empty import WithoutInitialisation
from avseg.types import Task

_ENCODER = {
    "self_attn": "self_attention.attention",
    "norm1": "self_attention.norm",
    "linear1": "feed_forward.linear1",
    "linear2": "feed_forward.linear2",
    "norm2": "feed_forward.norm",
}
_DECODER = {
    **_ENCODER,
    "multihead_attn": "cross_attention.attention",
    "norm2": "cross_attention.norm",
    "norm3": "feed_forward.norm",
}
_FUSIONS = {r"av_atten\.multihead_attn": "seen", r"va_atten\.multihead_attn": "heard"}

RULES: list[Rule] = [
    # Built and never used: the neck's finest part, a decoder of AVSBench, fusions beside the encoder's, and in every
    # fusion a convolution as large as five maps.
    (r"conv1\..*", None),
    (r"path[1-4]\..*", None),
    (r"fusion_module\..*", None),
    (r"transformer\.temporal_encoder\.(?:av|va)_atten\..*", None),
    (r"transformer\..*_atten\.vid_embed_proj\..*", None),
    # The gates join three layers. What sound finds in the last of them nothing reads, nor any layer above.
    (rf"transformer\.temporal_encoder\.layers\.{LAYERS - 1}\.va_atten\..*", None),
    (rf"transformer\.temporal_encoder\.layers\.(?:[{LAYERS}-9]|\d\d+)\..*", None),
    *PREFIX_RULES,
    *((rf"conv{k + 2}\.conv2d_list\.(\d+)\.(.*)", rf"network.neck.{k}.branches.\1.\2") for k in range(3)),
    (r"vid_embed_proj\.(.*)", r"network.to_tokens.\1"),
    (r"obj_queries\.weight", "network.queries"),
    (r"transformer\.audio_proj\.fc\.(.*)", r"network.sound.linear.\1"),
    (r"transformer\.audio_proj\.layer_norm\.(.*)", r"network.sound.norm.\1"),
    *layer_rules(r"transformer\.spatial_encoder", r"network.spatial_encoder.\1", _ENCODER),
    *layer_rules(r"transformer\.temporal_encoder", r"network.temporal_encoder.layers.\1.encode", _ENCODER),
    *layer_rules(r"transformer\.temporal_encoder", r"network.temporal_encoder.layers.\1", _FUSIONS),
    (r"transformer\.temporal_encoder\.attention_feature\.0\.(.*)", r"network.temporal_encoder.gate.\1"),
    *(
        (rf"transformer\.temporal_encoder\.output{k + 1}\.{part}\.(.*)", rf"network.temporal_encoder.{ours}.{name}.\1")
        for k, ours in enumerate(("first", "second"))
        for part, name in enumerate(("convolution", "norm", "rectify"))
    ),
    *layer_rules(r"transformer\.decoder", r"network.decoder.layers.\1", _DECODER),
    (r"transformer\.decoder\.norm\.(.*)", r"network.decoder.norm.\1"),
    *((rf"spatial_decoder\.lay{k + 1}\.(.*)", rf"network.mask_features.layers.{k}.\1") for k in range(4)),
    *((rf"spatial_decoder\.gn{k + 1}\.(.*)", rf"network.mask_features.norms.{k}.\1") for k in range(4)),
    *((rf"spatial_decoder\.adapter{k + 1}\.(.*)", rf"network.mask_features.adapters.{k}.\1") for k in range(2)),
    (r"spatial_decoder\.out_lay\.(.*)", r"network.mask_features.out.\1"),
    (r"instance_kernels_head\.layers\.0\.(.*)", r"network.kernels.0.\1"),
    (r"instance_kernels_head\.layers\.1\.(.*)", r"network.kernels.2.\1"),
    (r"is_referred_head\.(.*)", r"network.score.\1"),
]


def convert(
    upstream: Mapping[str, Tensor], *, vggish: Mapping[str, Tensor], variant: Variant = "s4", **changes: Any
) -> CATR:
    """A model in evaluation mode with the weights of the published code.

    Args:
        upstream: the state dict of the network (`avseg.models.convert.read_checkpoint` reads a file).
        vggish: the state dict of VGGish, which is a file of its own upstream.
        variant: the setting; both have the same network.
        changes: fields of the config that depart from the published setting.

    Raises:
        ValueError: unknown, missing, misshaped or doubled tensors.
    """
    config = replace(config_of(upstream, variant), **changes)
    with WithoutInitialisation():
        model = build_model(config, Task("binary"))
    assert isinstance(model, CATR)
    sound = {f"audio_network.{name}": tensor for name, tensor in vggish.items()}
    load_strictly(model, {**renamed(upstream), **sound}, "the checkpoint")
    return model.eval()


def convert_file(source: Path, out: Path, *, variant: Variant = "s4", vggish: Path | None = None) -> Path:
    """`avseg.models.catr.spec.convert`."""
    check_variant(variant, get_args(Variant))
    upstream = read_checkpoint(source)
    config_of(upstream, variant)
    if vggish is None:
        raise ValueError(
            "the audio network is missing: what CATR's training script saves does not hold it; give the VGGish weights "
            "(vggish-10086976.pth) with --vggish FILE"
        )
    model = convert(upstream, vggish=read_checkpoint(vggish), variant=variant)
    origin = f"converted from {source.name} ({variant}) and {Path(vggish).name}"
    return save_model(model, out, {"origin": origin, **account(upstream, renamed(upstream), variant)})


def config_of(upstream: Mapping[str, Tensor], variant: Variant) -> CATRConfig:
    """The published setting, with what names and shapes tell.

    Raises:
        ValueError: this is no state dict of CATR.
    """
    if "transformer.temporal_encoder.layers.0.linear1.weight" not in upstream or "obj_queries.weight" not in upstream:
        raise ValueError("this is not a CATR checkpoint: it has no temporal encoder of obj_queries")
    backbone = told_backbone(upstream, PREFIXES)
    queries, width = upstream["obj_queries.weight"].shape
    sizes = {
        "inner": "transformer.spatial_encoder.layers.0.linear1.weight",
        "temporal_inner": "transformer.temporal_encoder.layers.0.linear1.weight",
        "mask_width": "instance_kernels_head.layers.1.weight",
    }
    config = PRESETS[variant](
        backbone=backbone,
        width=width,
        queries=queries,
        encoder_layers=_count(upstream, r"transformer\.spatial_encoder\.layers\.(\d+)\."),
        decoder_layers=_count(upstream, r"transformer\.decoder\.layers\.(\d+)\."),
        **{name: len(upstream[key]) for name, key in sizes.items() if key in upstream},
    )
    assert isinstance(config, CATRConfig)
    return config


def renamed(upstream: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our names; the backbone by its own table."""
    state = rename_keys(upstream, RULES)
    kept = {name: _reshaped(name, tensor) for name, tensor in state.items() if name.startswith("network.")}
    return {**kept, **prefixed_backbones(state)}


def _reshaped(name: str, tensor: Tensor) -> Tensor:
    """A 1x1 convolution of pixels is a linear map here."""
    return tensor.flatten(1) if name == "network.to_tokens.weight" and tensor.shape[2:].numel() == 1 else tensor


def _count(upstream: Mapping[str, Tensor], pattern: str) -> int:
    """How many layers names tell; at least 1."""
    return max((int(found[1]) + 1 for name in upstream if (found := re.match(pattern, name))), default=1)
