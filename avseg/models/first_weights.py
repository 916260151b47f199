"""The weights that training begins with: from files of backbones, audio networks, detectors and our own models."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from avseg.models.base import Model, load_plain, plain_state, uncompiled
from avseg.models.convert import (
    HRNET_RULES,
    PVT_RULES,
    RESNET_RULES,
    STEM_RESNET_RULES,
    SWIN_RULES,
    Rule,
    read_checkpoint,
    rename_keys,
)
from avseg.models.files import find_file, load_strictly, read_safetensors
from avseg.models.header import read_header
from avseg.nn.video_swin import VideoSwin, one_frame_patches

BACKBONE_RULES = {
    "resnet50": RESNET_RULES,
    "resnet50_deep": RESNET_RULES,
    "resnet101_deep": RESNET_RULES,
    "hrnet_w48": HRNET_RULES,
    "pvt_v2_b5": PVT_RULES,
    "swin": SWIN_RULES,
}

_OWN_SOUND = r"(?:conv1|fc)\..*"
"""Layers of an ImageNet ResNet that an audio network has of its own."""
_OWN_EMBEDDING = r"embeddings\.4\..*"
"""VGGish's last layer."""
_OWN_NORMS = r"norms\.\d\..*"
"""Norms of a Swin's four maps, which no classifier has."""
_MADE = r".*\.(?:relative_position_index|attn_mask|num_batches_tracked)"
"""Not weights: they follow from sizes, or count."""


def initialise(
    model: Model[Any],
    *,
    backbone: str | Path | None = None,
    vggish: str | Path | None = None,
    audio: str | Path | None = None,
    detector: str | Path | None = None,
    model_file: str | Path | None = None,
) -> list[str]:
    """Set the weights a training run begins with, in place.

    Args:
        model: freshly built.
        backbone: ImageNet weights of its backbone, as torchvision or the authors of PVT-v2 and HRNet publish them, as
            timm does, or of a ResNet with a deep stem (64, 64, 128 channels; timm's `resnet50s`, `resnet101s`); also
            a ResNet as detectors name it (`stem.conv1`, `res2`; a pickle of arrays), the published Swin, and of
            `video_swin_tiny` torchvision's Video Swin (`swin3d_t`).
        vggish: the published VGGish weights. CAVP's last layer has a width of its own and stays fresh.
        audio: CAVP with a ResNet-18 that hears: torchvision's of ImageNet. First convolution and last layer stay fresh.
        detector: AVISM: a checkpoint whose frame-level part (`backbone.`, `sem_seg_head.`) is taken, all but its
            classes; what hears is taken where the file has it and begins fresh where not, as in files of COCO.
        model_file: a model file of this library; all tensors that agree in name and shape are taken, as the published
            MS3 runs begin from S4. The other files are read after it, the detector's before that of the backbone.

    Returns:
        Names in the files that found no place.

    Raises:
        ValueError: a backbone, audio or detector file that does not fit wholly, a model without such a network, or a
            model file that gives nothing.
    """
    left: list[str] = []
    if model_file is not None:
        left += _take_matching(model, find_file(model_file))
    if detector is not None:
        left += _take_detector(model, Path(detector))
    if backbone is not None:
        left += _take_backbone(model, Path(backbone))
    if vggish is not None:
        left += _take_vggish(model, Path(vggish))
    if audio is not None:
        left += _take_resnet18(model, Path(audio))
    return left


def _take_vggish(model: Model[Any], path: Path) -> list[str]:
    kind = getattr(model.config, "audio_network", None)
    if kind == "vggish":
        load_strictly(model.get_submodule("audio_network"), read_checkpoint(path), str(path))
        return []
    if kind != "vgg":
        raise ValueError(
            "a VGGish file was given but the model has another audio network; set audio_network='vggish' (TPAVI) or "
            "'vgg' (CAVP)"
        )
    return _take_all_but(model.network.get_submodule("audio"), path, _OWN_EMBEDDING)


def _take_resnet18(model: Model[Any], path: Path) -> list[str]:
    if getattr(model.config, "audio_network", None) != "resnet18":
        raise ValueError(
            "weights of a ResNet-18 were given for the audio network but the model has another one; set "
            "audio_network='resnet18'"
        )
    return _take_all_but(model.network.get_submodule("audio"), path, _OWN_SOUND)


def _take_all_but(module: nn.Module, path: Path, fresh: str) -> list[str]:
    """Load a file into a module, save for names that match `fresh`, which keep what they have; those of the file."""
    state, own = read_checkpoint(path), plain_state(module)
    taken = {name: tensor for name, tensor in state.items() if not re.fullmatch(fresh, name)}
    kept = {name: tensor for name, tensor in own.items() if re.fullmatch(fresh, name)}
    load_strictly(module, {**_with_counters(taken, own), **kept}, str(path))
    return [name for name in state if name not in taken]


def _take_matching(model: nn.Module, path: Path) -> list[str]:
    read_header(path)
    state, own = read_safetensors(path), plain_state(model)
    fitting = {name: t for name, t in state.items() if name in own and own[name].shape == t.shape}
    if not fitting:
        raise ValueError(f"no tensor of {path} agrees with the model in name and shape; is it of another family?")
    load_plain(model, fitting, strict=False)
    return [name for name in state if name not in fitting]


def _take_detector(model: Model[Any], path: Path) -> list[str]:
    home = importlib.import_module(type(uncompiled(model)).__module__.rpartition(".")[0] + ".convert")
    if not hasattr(home, "take_detector"):
        raise ValueError(f"a detector's checkpoint {path} was given, but {model.config.family} has no such part")
    left: list[str] = home.take_detector(model, read_checkpoint(path), str(path))
    return left


def _take_backbone(model: Model[Any], path: Path) -> list[str]:
    name = str(getattr(model.config, "backbone", ""))
    backbone = uncompiled(model.network.get_submodule("backbone"))
    module = getattr(backbone, "stages", backbone)
    state, own = read_checkpoint(path), plain_state(module)
    if isinstance(backbone, VideoSwin):
        return _take_video_swin(backbone, state, path)
    norms = {key: tensor for key, tensor in own.items() if re.fullmatch(_OWN_NORMS, key)}
    flat = {_as_own(key, own): tensor for key, tensor in state.items()}
    whole = {**norms, **_with_counters(flat, own)}
    if set(own) <= set(whole):  # our own names, the classifier beside
        load_strictly(module, {key: whole[key] for key in own}, str(path))
        return [key for key in flat if key not in own and not key.endswith("num_batches_tracked")]
    rules = STEM_RESNET_RULES if "stem.conv1.weight" in state else _rules_of(name)
    if rules is None:
        raise ValueError(f"{path} has not the names of timm's {name}; known foreign files: {', '.join(BACKBONE_RULES)}")
    renamed = rename_keys(state, rules)
    load_strictly(module, {**norms, **_with_counters(renamed, own)}, str(path))
    dropped = [old for old, new in rules if new is None]
    return [key for key in state if any(re.fullmatch(old, key) for old in dropped) and not re.fullmatch(_MADE, key)]


def _take_video_swin(backbone: VideoSwin, state: dict[str, Tensor], path: Path) -> list[str]:
    """torchvision's weights, whose patches are two frames; or our own, whose patches are one."""
    patches = state.get("patch_embed.proj.weight")
    if patches is None or patches.ndim != 5 or "features.0.0.norm1.weight" not in state:
        raise ValueError(f"{path} has not the names of torchvision's swin3d_t, which video_swin_tiny begins from")
    taken = one_frame_patches(state)
    norms = {key: tensor for key, tensor in plain_state(backbone).items() if re.fullmatch(_OWN_NORMS, key)}
    load_strictly(backbone, {**norms, **taken}, str(path))
    return [key for key in state if key.startswith("head.")]


def _rules_of(backbone: str) -> list[Rule] | None:
    return BACKBONE_RULES.get("swin" if backbone.startswith("swin_") else backbone)


def _as_own(key: str, own: Mapping[str, Tensor]) -> str:
    """timm flattens its stages in networks of features alone, or does not."""
    spellings = (key, re.sub(r"^(stages|layers)\.(\d)", r"\1_\2", key), re.sub(r"^layers_(\d)", r"layers.\1", key))
    return next((spelling for spelling in spellings if spelling in own), spellings[1])


def _with_counters(state: dict[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Old torchvision files lack the batch norms' counters; they start at zero."""
    counters = {n: torch.zeros_like(t) for n, t in own.items() if n.endswith("num_batches_tracked") and n not in state}
    return {**state, **counters}
