"""Parts of a model that can begin from a file of weights, and what is taken of which kind of file."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from avseg.lazy import imported
from avseg.models.base import plain_state, uncompiled
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
from avseg.models.files import load_strictly
from avseg.nn.backbones import VIDEO

Taker = Callable[[nn.Module, dict[str, Tensor], str], list[str]]
"""Sets the weights of a module, in place, to those of a file: (module, its tensors by name, what messages call it) ->
the names that found no place. It raises ValueError for a file that does not fit."""

BACKBONE_RULES = {
    "resnet50": RESNET_RULES,
    "resnet50_deep": RESNET_RULES,
    "resnet101_deep": RESNET_RULES,
    "hrnet_w48": HRNET_RULES,
    "pvt_v2_b5": PVT_RULES,
    "swin": SWIN_RULES,
}
OWN_SOUND = r"(?:conv1|fc)\..*"
"""Layers of an ImageNet ResNet that an audio network has of its own."""
OWN_EMBEDDING = r"embeddings\.4\..*"
"""VGGish's last layer."""
_OWN_NORMS = r"norms\.\d\..*"
"""Norms of a Swin's four maps, which no classifier has."""
_MADE = r".*\.(?:relative_position_index|attn_mask|num_batches_tracked)"
"""Not weights: they follow from sizes, or count."""


@dataclass(frozen=True, eq=False)
class WeightSlot:
    """One part that a file can begin."""

    module: nn.Module | None
    """None: a model of this config has no such part."""
    take: Taker
    advice: str = ""
    """Where there is no such part: what to set so that there is one."""

    def begin(self, path: Path) -> list[str]:
        """Take a file; the names in it that found no place.

        Raises:
            FileNotFoundError: no such file.
            ValueError: no such part, or a file that does not fit.
        """
        if self.module is None:
            raise ValueError(f"weights of a part were given that the model does not have ({path}); {self.advice}")
        return self.take(uncompiled(self.module), read_checkpoint(path), str(path))


def whole(module: nn.Module, state: dict[str, Tensor], origin: str) -> list[str]:
    """Files that fit name by name."""
    load_strictly(module, state, origin)
    return []


def all_but(fresh: str) -> Taker:
    """Files that fit but for names that match the pattern `fresh`: these keep the weights that they have."""

    def take(module: nn.Module, state: dict[str, Tensor], origin: str) -> list[str]:
        own = plain_state(module)
        taken = {name: tensor for name, tensor in state.items() if not re.fullmatch(fresh, name)}
        kept = {name: tensor for name, tensor in own.items() if re.fullmatch(fresh, name)}
        load_strictly(module, {**_with_counters(taken, own), **kept}, origin)
        return [name for name in state if name not in taken]

    return take


def backbone_slot(network: nn.Module, name: str) -> WeightSlot:
    """The slot of `network.backbone`, which `avseg.nn.backbones` calls `name`.

    Files have our own names, timm's, or those of the backbone's authors."""

    def take(module: nn.Module, state: dict[str, Tensor], origin: str) -> list[str]:
        if name == VIDEO:
            return _take_video_swin(module, state, origin)
        return _take_backbone(getattr(module, "stages", module), state, origin, name)

    return WeightSlot(network.get_submodule("backbone"), take)


def _take_backbone(module: nn.Module, state: dict[str, Tensor], origin: str, name: str) -> list[str]:
    own = plain_state(module)
    norms = {key: tensor for key, tensor in own.items() if re.fullmatch(_OWN_NORMS, key)}
    flat = {_as_own(key, own): tensor for key, tensor in state.items()}
    given = {**norms, **_with_counters(flat, own)}
    if set(own) <= set(given):  # our own names, the classifier beside
        load_strictly(module, {key: given[key] for key in own}, origin)
        return [key for key in flat if key not in own and not key.endswith("num_batches_tracked")]
    rules = STEM_RESNET_RULES if "stem.conv1.weight" in state else _rules_of(name)
    if rules is None:
        known = ", ".join(BACKBONE_RULES)
        raise ValueError(f"{origin} has not the names of timm's {name}; known foreign files: {known}")
    renamed = rename_keys(state, rules)
    load_strictly(module, {**norms, **_with_counters(renamed, own)}, origin)
    dropped = [old for old, new in rules if new is None]
    return [key for key in state if any(re.fullmatch(old, key) for old in dropped) and not re.fullmatch(_MADE, key)]


def _take_video_swin(module: nn.Module, state: dict[str, Tensor], origin: str) -> list[str]:
    """torchvision's weights, whose patches are two frames; or our own, whose patches are one."""
    patches = state.get("patch_embed.proj.weight")
    if patches is None or patches.ndim != 5 or "features.0.0.norm1.weight" not in state:
        raise ValueError(f"{origin} has not the names of torchvision's swin3d_t, which video_swin_tiny begins from")
    norms = {key: tensor for key, tensor in plain_state(module).items() if re.fullmatch(_OWN_NORMS, key)}
    load_strictly(module, {**norms, **imported("avseg.nn.video_swin:one_frame_patches")(state)}, origin)
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
