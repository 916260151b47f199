"""From published CAVP checkpoints to a model of ours (docs/how-to/convert.md)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from torch import Tensor

from avseg.models.base import Model
from avseg.models.cavp.config import CAVPConfig
from avseg.models.cavp.presets import PRESETS, Variant
from avseg.models.convert import PVT_RULES, Rule, account, check_variant, read_checkpoint, rename_keys
from avseg.models.files import build_model, load_strictly, save_model
from avseg.nn.empty import WithoutInitialisation
from avseg.types import Task

_DEEPLAB = {
    "aspp.map_convs.": "aspp.branches.",
    "aspp.map_bn.": "aspp.branch_norm.",
    "aspp.red_conv.": "aspp.reduce.",
    "aspp.global_pooling_conv.": "aspp.pool.",
    "aspp.global_pooling_bn.": "aspp.pool_norm.",
    "aspp.pool_red_conv.": "aspp.pool_reduce.",
    "aspp.red_bn.": "aspp.norm.",
    "reduce.0.": "detail.",
    "reduce.1.": "detail_norm.",
    "upsample.last_conv.0.": "first.",
    "upsample.last_conv.1.": "first_norm.",
    "upsample.last_conv.3.": "second.",
    "upsample.last_conv.4.": "second_norm.",
    "upsample.classifier.": "classifier.",
}
_HRNET = {
    "upsample.last_conv.0.": "mix.",
    "upsample.last_conv.1.": "norm.",
    "upsample.classifier.": "classifier.",
}
_ATTENTION = "ocr_distri_head.object_context_block."
_OCR = {
    "aux_head.0.": "regions.0.0.",
    "aux_head.1.": "regions.0.1.",
    "aux_head.3.": "regions.1.",
    "conv3x3.": "pixels.",
    f"{_ATTENTION}f_pixel.0.": "attention.query.0.0.",
    f"{_ATTENTION}f_pixel.1.": "attention.query.0.1.",
    f"{_ATTENTION}f_pixel.3.": "attention.query.1.0.",
    f"{_ATTENTION}f_pixel.4.": "attention.query.1.1.",
    f"{_ATTENTION}f_object.0.": "attention.key.0.0.",
    f"{_ATTENTION}f_object.1.": "attention.key.0.1.",
    f"{_ATTENTION}f_object.3.": "attention.key.1.0.",
    f"{_ATTENTION}f_object.4.": "attention.key.1.1.",
    f"{_ATTENTION}f_down.": "attention.value.",
    f"{_ATTENTION}f_up.": "attention.leave.",
    "ocr_distri_head.conv_bn_dropout.": "attention.join.",
    "upsample.": "classifier.",
}
_FUSION = {
    "patch_embed_v.proj.": "embed_visual.",
    "patch_embed_a.proj.": "embed_audio.",
    "blocks.0.norm1.": "norm.",
    "blocks.0.attn.q.": "query.",
    "blocks.0.attn.k.": "key.",
    "blocks.0.attn.v.": "value.",
    "blocks.0.attn.proj.": "project.",
    "blocks.0.norm2.": "mlp_norm.",
    "blocks.0.mlp.fc1.": "mlp.0.",
    "blocks.0.mlp.fc2.": "mlp.2.",
    "norm.": "out_norm.",
}


def _prefixes(table: Mapping[str, str], old: str, new: str) -> list[Rule]:
    return [(rf"{re.escape(old + a)}(.*)", rf"{new}{b}\1") for a, b in table.items()]


_DECODERS = {"deeplab": _DEEPLAB, "hrnet": _HRNET, "ocr": _OCR}

_COMMON: list[Rule] = [
    # Position embeddings that are not added, and a classifier of sounds that nothing calls.
    (r"cross_att\.pos_embed_[va]", None),
    (r"audio_backbone\.cls_head\..*", None),
    (r"audio_backbone\.backbone\.(.*)", r"audio.\1"),
    (r"visual_projector\.fc1\.(.*)", r"projector.enter.\1"),
    (r"visual_projector\.fc2\.(.*)", r"projector.leave.\1"),
    *_prefixes(_FUSION, "cross_att.", "fusion."),
]


def convert(
    upstream: Mapping[str, Tensor], task: Task | None = None, *, variant: Variant | None = None, **changes: Any
) -> Model[Any]:
    """A model in evaluation mode with published weights.

    Args:
        upstream: the state dict (`avseg.models.convert.read_checkpoint` reads a file).
        task: by default that of the variant; give one for weights of other classes.
        variant: the published setting where the tensors do not tell (see `find_variant`).
        changes: fields of the config that depart from the published setting.

    Raises:
        ValueError: unknown, missing, misshaped or doubled tensors; a variant or task that contradicts them.
    """
    chosen = find_variant(upstream, variant)
    task = task or PRESETS[chosen].task
    assert task is not None
    classes = len(_classifier(upstream))
    wanted = 2 if task.kind == "binary" else task.channels
    if classes != wanted:
        raise ValueError(f"the checkpoint has {classes} classes, the {task.kind} task needs {wanted}")
    config = config_of(upstream, chosen, **changes)
    with WithoutInitialisation():
        model = build_model(config, task)
    load_strictly(model.network, network_state(upstream), "the published checkpoint")
    return model.eval()


def convert_file(source: Path, out: Path, *, variant: Variant | None = None) -> Path:
    """`avseg.models.cavp.spec.convert`."""
    check_variant(variant, get_args(Variant))
    upstream = read_checkpoint(source)
    chosen = find_variant(upstream, variant)
    model = convert(upstream, variant=chosen)
    notes = account(upstream, network_state(upstream), chosen)
    return save_model(model, out, {"origin": f"converted from {source.name} ({chosen})", **notes})


def find_variant(upstream: Mapping[str, Tensor], variant: Variant | None = None) -> Variant:
    """The published setting of a state dict.

    71 classes are AVSS, at 224 x 224 as the published weights are unless `variant` is `avss`; 24 are AVSBench-Single+,
    2 AVSBench-Object or another binary set, and 22 VPO, whose first layer of the audio network tells mono from stereo.

    Raises:
        ValueError: not a CAVP checkpoint, classes of no published setting, or a variant that contradicts the tensors.
    """
    classes = len(_classifier(upstream))
    stem = upstream.get("audio_backbone.backbone.conv1.weight")
    vpo: Variant = "vpo_stereo" if stem is not None and stem.shape[1] == 2 else "vpo"
    possible: dict[int, tuple[Variant, ...]] = {71: ("avss_224", "avss"), 24: ("single",), 2: ("avsbench",), 22: (vpo,)}
    if variant is None and classes not in possible:
        raise ValueError(
            f"the checkpoint has {classes} classes, which no published setting has; say by what setting it was "
            f"trained: {', '.join(get_args(Variant))}"
        )
    if variant is None:
        return possible[classes][0]
    if classes in possible and variant not in possible[classes]:
        raise ValueError(
            f"the checkpoint has {classes} classes, so it belongs to {' or '.join(possible[classes])}, not to {variant}"
        )
    return variant


def config_of(upstream: Mapping[str, Tensor], variant: Variant, **changes: Any) -> CAVPConfig:
    """The published setting, with what shapes and names tell: backbone, decoder, widths, audio network, channels."""
    decoder = _decoder(upstream)
    sizes: dict[str, Any] = {}
    if decoder == "deeplab":
        sizes["aspp_width"] = len(_tensor(upstream, "segment.aspp.red_conv.weight"))
        sizes["detail_width"] = len(_tensor(upstream, "segment.reduce.0.weight"))
        sizes["head_width"] = len(_tensor(upstream, "segment.upsample.last_conv.0.weight"))
    if decoder == "ocr":
        sizes["head_width"] = len(_tensor(upstream, f"segment.{_ATTENTION}f_pixel.0.weight"))
    if "audio_backbone.backbone.conv1.weight" in upstream:
        sizes["audio_network"] = "resnet18"
        sizes["audio_channels"] = upstream["audio_backbone.backbone.conv1.weight"].shape[1]
    else:
        sizes["audio_network"] = "vgg"
    config = PRESETS[variant](backbone=_backbone(upstream), decoder=decoder, **{**sizes, **changes})
    assert isinstance(config, CAVPConfig)
    return config


def network_state(upstream: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename tensors to the names of our network.

    Raises:
        ValueError: names that are no CAVP checkpoint's.
    """
    decoder = _prefixes(_DECODERS[_decoder(upstream)], "segment.", "decoder.")
    if _backbone(upstream) == "pvt_v2_b5":
        backbone = [(rf"backbone\.{old}", new and rf"backbone.stages.{new}") for old, new in PVT_RULES]
    elif _backbone(upstream) == "hrnet_w48":
        backbone = [(r"(backbone\..*)", r"\1")]
    else:
        backbone = [(r"backbone\.backbone\.(.*)", r"backbone.stages.\1")]
    return rename_keys(upstream, [*_COMMON, *decoder, *backbone])


def _decoder(upstream: Mapping[str, Tensor]) -> Any:
    if "segment.aspp.red_conv.weight" in upstream:
        return "deeplab"
    return "ocr" if "segment.conv3x3.0.weight" in upstream else "hrnet"


def _classifier(upstream: Mapping[str, Tensor]) -> Tensor:
    name = "segment.upsample.weight" if _decoder(upstream) == "ocr" else "segment.upsample.classifier.weight"
    return _tensor(upstream, name)


def _backbone(upstream: Mapping[str, Tensor]) -> str:
    if "backbone.patch_embed1.proj.weight" in upstream:
        return "pvt_v2_b5"
    if "backbone.transition1.0.0.weight" in upstream:
        return "hrnet_w48"
    deep = "backbone.backbone.layer3.22.conv1.weight" in upstream
    return "resnet101_deep" if deep else "resnet50_deep"


def _tensor(upstream: Mapping[str, Tensor], name: str) -> Tensor:
    if name not in upstream:
        raise ValueError(f"this is not a CAVP checkpoint: it has no {name}")
    return upstream[name]
