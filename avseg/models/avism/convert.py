"""From published AVISM checkpoints to a model of ours, and from detectors to its frame stage
(docs/how-to/convert.md)."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from torch import Tensor, nn

from avseg.config import InputSpec
from avseg.datasets.aviseg.classes import aviseg_classes
from avseg.models.avism.config import AVISMConfig
from avseg.models.avism.presets import LONGEST_SIDE, PRESETS
from avseg.models.base import Model, plain_state
from avseg.models.convert import STEM_RESNET_RULES, SWIN_RULES, Rule, account, read_checkpoint, rename_keys
from avseg.models.files import build_model, load_strictly, save_model
from avseg.nn.empty import WithoutInitialisation
from avseg.types import Task

log = logging.getLogger(__name__)

Dialect = Literal["avism", "avism_coco"]
"""Two key layouts of the same network, which differ in the names of the video module."""
VIDEO_MODULES: dict[Dialect, str] = {"avism": "avism_module.", "avism_coco": "vita_module."}


_PIXEL, _FRAME, _VIDEO = r"sem_seg_head\.pixel_decoder\.", r"sem_seg_head\.predictor\.", r"(?:avism|vita)_module\."
_LEVELS_TIMES_POINTS = 12

_DECODER = {
    "transformer_cross_attention_layers.{i}.multihead_attn.": "layers.{i}.cross_attention.attention.",
    "transformer_cross_attention_layers.{i}.norm.": "layers.{i}.cross_attention.norm.",
    "transformer_self_attention_layers.{i}.self_attn.": "layers.{i}.self_attention.attention.",
    "transformer_self_attention_layers.{i}.norm.": "layers.{i}.self_attention.norm.",
    "transformer_ffn_layers.{i}.": "layers.{i}.feed_forward.",
    "query_feat.": "query.",
    "query_embed.": "position.",
    "decoder_norm.": "norm.",
    "class_embed.": "classify.",
    "mask_embed.": "mask_embedding.",
}
"""Parts that the decoders of frames and clips have alike."""

_FRAME_DECODER = {
    **_DECODER,
    "level_embed.": "level.",
    "av_pre_proj.": "hear.",
    "av_sf.{i}.multihead_attn.": "listen.{i}.attention.",
    "av_sf.{i}.norm.": "listen.{i}.norm.",
    "av_post_proj.": "join.",
}

_PIXEL_DECODER = {
    "input_proj.": "input_proj.",
    "transformer.level_embed": "level_embed",
    "transformer.encoder.layers.": "layers.",
    "adapter_1.norm.": "lateral.norm.",
    "adapter_1.": "lateral.conv.",
    "layer_1.norm.": "smooth.norm.",
    "layer_1.": "smooth.conv.",
    "mask_features.": "mask_features.",
}

_VIDEO_MODULE = {
    **{old: f"decoder.{new}" for old, new in _DECODER.items()},
    "fq_pos.": "decoder.frame_position.",
    "input_proj_dec.": "encoder.enter.",
    "av_proj.": "encoder.hear.",
    "enc_self_attn.{i}.self_attn.": "encoder.objects.{i}.attention.attention.",
    "enc_self_attn.{i}.norm.": "encoder.objects.{i}.attention.norm.",
    "enc_ffn.{i}.": "encoder.objects.{i}.feed_forward.",
    "enc_av_cross_attn.{i}.multihead_attn.": "encoder.sounds.{i}.attention.attention.",
    "enc_av_cross_attn.{i}.norm.": "encoder.sounds.{i}.attention.norm.",
    "enc_av_ffn.{i}.": "encoder.sounds.{i}.feed_forward.",
    "sim_embed_frame.": "frame_similarity.",
    "sim_embed_clip.": "clip_similarity.",
}


def _rules(table: Mapping[str, str], old: str, new: str) -> Iterable[Rule]:
    for name, ours in table.items():
        pattern = re.escape(name).replace(re.escape("{i}"), r"(\d+)")
        last = 2 if "{i}" in name else 1
        yield rf"{old}{pattern}(.*)", rf"{new}{ours.replace('{i}', chr(92) + '1')}\{last}"


_FRAME_RULES: list[Rule] = [
    *_rules(_PIXEL_DECODER, _PIXEL, "pixel_decoder."),
    *_rules(_FRAME_DECODER, _FRAME, "detector."),
]
_VIDEO_RULES: list[Rule] = [
    # Weights of the classes in the loss, and means and deviations of pixels: constants.
    (r"(?:(?:avism|vita)_)?criterion\.empty_weight|pixel_(?:mean|std)", None),
    *_rules(_VIDEO_MODULE, _VIDEO, "video."),
    (rf"{_VIDEO}(?:avism|vita)_mask_features\.(.*)", r"video.mask_features.\1"),
]
_HEARS = r"detector\.(?:hear|listen|join)\..*"
_CLASSES = r"detector\.classify\..*"


def convert(
    upstream: Mapping[str, Tensor],
    task: Task | None = None,
    *,
    vggish: Mapping[str, Tensor] | None = None,
    side: int | None = None,
    **changes: Any,
) -> Model[Any]:
    """A model in evaluation mode with published weights.

    Args:
        upstream: the state dict (`avseg.models.convert.read_checkpoint` reads a file), in either dialect.
        task: by default the 26 classes of AVISeg; give one for weights of other classes.
        vggish: the state dict of VGGish, to hear sound itself; without it clips must come with audio features.
        side: shorter side of the pictures, where the backbone is not a published one.
        changes: fields of the config that depart from the published setting.

    Raises:
        ValueError: unknown, missing, misshaped or doubled tensors; a task that contradicts them; a side that is needed.
    """
    find_dialect(upstream)
    classes = len(_tensor(upstream, f"{_video_module(upstream)}class_embed.weight")) - 1
    task = task or Task("instance", aviseg_classes())
    if len(task.classes) != classes:
        raise ValueError(
            f"the checkpoint has {classes} classes, the task {len(task.classes)}; give the names that it was trained "
            "with, as --classes FILE of the data set's annotations"
        )
    sound = {} if vggish is None else {"audio_network": "vggish"}
    with WithoutInitialisation():
        model = build_model(config_of(upstream, side, **{**sound, **changes}), task)
    load_strictly(model.network, network_state(upstream), "the published checkpoint")
    if vggish is not None:
        load_strictly(model.get_submodule("audio_network"), vggish, "VGGish")
    return model.eval()


def convert_file(
    source: Path, out: Path, *, vggish: Path | None = None, classes: Path | None = None, side: int | None = None
) -> Path:
    """`avseg.models.avism.spec.convert`."""
    upstream = read_checkpoint(source)
    task = None if classes is None else Task("instance", read_classes(classes))
    model = convert(upstream, task, vggish=None if vggish is None else read_checkpoint(vggish), side=side)
    heard = f" and {Path(vggish).name}" if vggish else ""
    dialect = find_dialect(upstream)
    notes = account(upstream, network_state(upstream), dialect)
    return save_model(model, out, {"origin": f"converted from {source.name} ({dialect}){heard}", **notes})


def read_classes(path: Path) -> tuple[str, ...]:
    """Names of a JSON's `categories` in the order of their ids.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no categories with ids and names in it.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no file of classes {path}")
    try:
        rows = json.loads(Path(path).read_text(encoding="utf-8"))["categories"]
        return tuple(str(row["name"]) for row in sorted(rows, key=lambda row: int(row["id"])))
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} has no categories with id and name; give the data set's annotations") from error


def find_dialect(upstream: Mapping[str, Tensor]) -> Dialect:
    """Which names the video module has.

    Raises:
        ValueError: not an AVISM checkpoint, or one of both dialects.
    """
    found = [dialect for dialect, prefix in VIDEO_MODULES.items() if any(name.startswith(prefix) for name in upstream)]
    if len(found) != 1:
        raise ValueError(
            f"wanted a checkpoint with one video module, {' or '.join(f'{p}*' for p in VIDEO_MODULES.values())}; found "
            f"{' and '.join(found) or 'none'}"
        )
    if "sem_seg_head.predictor.av_pre_proj.weight" not in upstream:
        raise ValueError(
            "this is not an AVISM checkpoint: it has no audio branch: no sem_seg_head.predictor.av_pre_proj.weight; a "
            "silent detector can begin a training run, as --init.detector"
        )
    return found[0]


def config_of(upstream: Mapping[str, Tensor], side: int | None = None, **changes: Any) -> AVISMConfig:
    """The published setting, with all that names and shapes tell.

    Raises:
        ValueError: a backbone that is not known, or one that was not published while no side is given.
    """
    backbone, video = _backbone(upstream), _video_module(upstream)
    published = {
        made.backbone: made.input.size[0] for preset in PRESETS.values() if isinstance(made := preset(), AVISMConfig)
    }
    side = side or published.get(backbone)  # no tensor tells it
    if side is None:
        raise ValueError(
            f"pictures for {backbone} were published in no size; say their shorter side in pixels with --side, as 360"
        )
    pixel, frame = "sem_seg_head.pixel_decoder.", "sem_seg_head.predictor."
    attention = f"{pixel}transformer.encoder.layers.0."
    found: dict[str, Any] = {
        "input": InputSpec((side, side), rule="shorter_side", longest=LONGEST_SIDE),
        "backbone": backbone,
        "width": len(_tensor(upstream, f"{pixel}mask_features.weight")),
        "heads": len(_tensor(upstream, f"{attention}self_attn.attention_weights.weight")) // _LEVELS_TIMES_POINTS,
        "feedforward": len(_tensor(upstream, f"{frame}transformer_ffn_layers.0.linear1.weight")),
        "pixel_feedforward": len(_tensor(upstream, f"{attention}linear1.weight")),
        "pixel_layers": _count(upstream, f"{pixel}transformer.encoder.layers."),
        "frame_queries": len(_tensor(upstream, f"{frame}query_feat.weight")),
        "frame_layers": _count(upstream, f"{frame}transformer_ffn_layers."),
        "clip_queries": len(_tensor(upstream, f"{video}query_feat.weight")),
        "clip_layers": _count(upstream, f"{video}transformer_ffn_layers."),
        "object_layers": _count(upstream, f"{video}enc_ffn."),
        "audio_width": _tensor(upstream, f"{frame}av_pre_proj.weight").shape[1],
    }
    return AVISMConfig(**{**found, **changes})


def network_state(upstream: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename tensors to the names of our network.

    Raises:
        ValueError: names that are no AVISM checkpoint's, or two that become one.
    """
    return rename_keys(upstream, [*_backbone_rules(upstream), *_FRAME_RULES, *_VIDEO_RULES])


def take_detector(network: nn.Module, state: Mapping[str, Tensor], origin: str = "the checkpoint") -> list[str]:
    """Set the frame stage of `network` to that of a checkpoint with AVISM's names or a silent detector's, in place.

    Backbone, pixel decoder and frame decoder must fit wholly, except that classes begin fresh, and so do the layers
    that hear if the checkpoint has none of them. The video module is left alone.

    Args:
        network: that of a model of this family.
        state: the checkpoint's tensors.
        origin: what messages call it.

    Returns:
        Names in the checkpoint that were not taken: those of its classes and all beside the frame stage.

    Raises:
        ValueError: no frame stage, or one that does not fit.
    """
    frames = {name: t for name, t in state.items() if name.startswith(("backbone.", "sem_seg_head."))}
    if not any(name.startswith("sem_seg_head.") for name in frames):
        raise ValueError(f"{origin} has no frame stage: no tensor's name begins with sem_seg_head.")
    renamed = rename_keys(frames, [*_backbone_rules(frames), *_FRAME_RULES])
    taken = {name: tensor for name, tensor in renamed.items() if not re.fullmatch(_CLASSES, name)}
    silent = not any(re.fullmatch(_HEARS, name) for name in taken)
    own = plain_state(network)
    fresh = [n for n in own if re.fullmatch(_CLASSES, n) or (silent and re.fullmatch(_HEARS, n))]
    kept = {name: own[name] for name in own if name in fresh or name.startswith("video.")}
    load_strictly(network, {**taken, **kept}, origin)
    log.info(
        "%s gave %d tensors of the frame stage; %s begin fresh, as does the video module",
        origin, len(taken), "classes and all that hears" if silent else "classes",
    )  # fmt: skip
    dropped = {name for name in frames if name.startswith("sem_seg_head.predictor.class_embed.")}
    return [name for name in state if name not in frames or name in dropped]


def _backbone_rules(upstream: Mapping[str, Tensor]) -> list[Rule]:
    if "backbone.patch_embed.proj.weight" in upstream:
        return [(rf"backbone\.(?:{old})", new and f"backbone.{new}") for old, new in SWIN_RULES]
    return [(rf"backbone\.(?:{old})", new and f"backbone.stages.{new}") for old, new in STEM_RESNET_RULES]


def _backbone(upstream: Mapping[str, Tensor]) -> str:
    if "backbone.patch_embed.proj.weight" not in upstream:
        _tensor(upstream, "backbone.stem.conv1.weight")
        depths = {6: "resnet50", 23: "resnet101", 36: "resnet152"}
        blocks = _count(upstream, "backbone.res4.")
        if blocks not in depths or "backbone.res4.0.conv3.weight" not in upstream:
            raise ValueError(f"the checkpoint's ResNet has {blocks} blocks in res4; known: {depths}")
        return depths[blocks]
    width = len(upstream["backbone.patch_embed.proj.weight"])
    depth = _count(upstream, "backbone.layers.2.blocks.")
    table = len(_tensor(upstream, "backbone.layers.0.blocks.0.attn.relative_position_bias_table"))
    sizes = {(96, 6): "tiny", (96, 18): "small", (128, 18): "base", (192, 18): "large"}
    windows = {23**2: "window12_384", 13**2: "window7_224"}  # (2 w - 1)^2 relative places
    if (width, depth) not in sizes or table not in windows:
        raise ValueError(
            f"the checkpoint's Swin has width {width}, {depth} blocks in its third stage and {table} relative places; "
            "known are tiny, small, base and large with windows of 7 or 12"
        )
    return f"swin_{sizes[width, depth]}_patch4_{windows[table]}"


def _video_module(upstream: Mapping[str, Tensor]) -> str:
    return VIDEO_MODULES[find_dialect(upstream)]


def _count(upstream: Mapping[str, Tensor], prefix: str) -> int:
    """How many numbered parts there are below a prefix."""
    return len({name.removeprefix(prefix).split(".")[0] for name in upstream if name.startswith(prefix)})


def _tensor(upstream: Mapping[str, Tensor], name: str) -> Tensor:
    if name not in upstream:
        raise ValueError(f"this is not an AVISM checkpoint: it has no {name}")
    return upstream[name]
