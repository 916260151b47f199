"""From published weights to ours: tables of renaming rules, and strict accounting of every tensor."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from avseg.models.base import Model
from avseg.models.files import find_file, load_strictly
from avseg.models.header import read_header

Rule = tuple[str, str | None]
"""A pattern that matches a whole name, and what it becomes (groups as `\\1`); None: dropped on purpose."""

WRAPPERS = ("state_dict", "model_state_dict", "model", "network", "net")


def rename_keys(state: Mapping[str, Tensor], rules: Sequence[Rule]) -> dict[str, Tensor]:
    """The same tensors under the names of the first rule that matches each.

    Raises:
        ValueError: names that no rule matches, or two that become one.
    """
    renamed: dict[str, Tensor] = {}
    unknown, clashes = [], []
    for name, tensor in state.items():
        matched = next(((m, new) for old, new in rules if (m := re.fullmatch(old, name))), None)
        if matched is None:
            unknown.append(name)
        elif matched[1] is not None:
            new = matched[0].expand(matched[1])
            clashes += [f"{name} -> {new}"] if new in renamed else []
            renamed[new] = tensor
    if unknown:
        raise ValueError(
            f"{len(unknown)} tensors are of no known name: {_first(unknown)}; is this another model's file?"
        )
    if clashes:
        raise ValueError(f"{len(clashes)} tensors come to a name twice: {_first(clashes)}")
    return renamed


def read_checkpoint(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a .pth or .safetensors file: bare, wrapped in a dictionary, or with `module.` before every name.

    Pickles are read by torch's restricted reader, so that a file cannot run code.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a file that holds no tensors by name, or more than tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no checkpoint {path}")
    return unwrapped(load_file(path) if path.suffix == ".safetensors" else _unpickled(path), str(path))


def _unpickled(path: Path) -> Any:
    import pickle

    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, ValueError) as error:
        # torch's own sentence advises to read the file unsafely; what it names, if anything, is of use.
        named = re.search(r"Unsupported (?:global|operand|class)[^.\n]*", str(error))
        reason = f" ({named[0].strip()})" if named else ""
        raise ValueError(
            f"{path} cannot be read as a checkpoint of tensors alone{reason}: it is damaged, no checkpoint, or holds "
            "more than tensors; files that would run code are refused"
        ) from error


def unwrapped(content: Any, origin: str = "the checkpoint") -> dict[str, Tensor]:
    """The state dict inside `content`, without `module.` of parallel training."""
    while isinstance(content, Mapping) and not _is_state(content):
        inner = [content[key] for key in WRAPPERS if isinstance(content.get(key), Mapping)]
        if not inner:
            break
        content = inner[0]
    if not _is_state(content):
        raise ValueError(f"{origin} holds no tensors by name; wanted a state dict, bare or under {', '.join(WRAPPERS)}")
    prefix = "module." if all(name.startswith("module.") for name in content) else ""
    return {name.removeprefix(prefix): tensor for name, tensor in content.items()}


def _is_state(content: Any) -> bool:
    return isinstance(content, Mapping) and bool(content) and all(isinstance(v, Tensor) for v in content.values())


def _first(names: Sequence[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


RESNET_RULES: list[Rule] = [
    (r"fc\..*", None),
    (r"((?:conv1|bn1|layer\d)\..*)", r"\1"),
]
"""torchvision's names are timm's."""

PVT_RULES: list[Rule] = [
    (r"head\..*", None),
    (r"patch_embed1\.(proj|norm)\.(.*)", r"patch_embed.\1.\2"),
    *((rf"patch_embed{k + 1}\.(proj|norm)\.(.*)", rf"stages_{k}.downsample.\1.\2") for k in (1, 2, 3)),
    *((rf"block{k + 1}\.(\d+)\.mlp\.dwconv\.dwconv\.(.*)", rf"stages_{k}.blocks.\1.mlp.dwconv.\2") for k in range(4)),
    *((rf"block{k + 1}\.(\d+)\.(.*)", rf"stages_{k}.blocks.\1.\2") for k in range(4)),
    *((rf"norm{k + 1}\.(.*)", rf"stages_{k}.norm.\1") for k in range(4)),
]
"""From the published PVT-v2 to timm's."""

HRNET_RULES: list[Rule] = [
    # Layers of the classifier alone.
    (r"(?:incre_modules|downsamp_modules|final_layer|classifier|fc)\..*", None),
    (r"((?:conv|bn)[12]\..*|(?:layer1|(?:transition|stage)\d)\..*)", r"\1"),
]
"""The published HRNetV2's names are ours."""

BACKBONE_RULES = {
    "resnet50": RESNET_RULES,
    "resnet50_deep": RESNET_RULES,
    "resnet101_deep": RESNET_RULES,
    "hrnet_w48": HRNET_RULES,
    "pvt_v2_b5": PVT_RULES,
}

_OWN_SOUND = r"(?:conv1|fc)\..*"
"""Layers of an ImageNet ResNet that an audio network has of its own."""
_OWN_EMBEDDING = r"embeddings\.4\..*"
"""VGGish's last layer."""


def initialise(
    model: Model[Any],
    *,
    backbone: str | Path | None = None,
    vggish: str | Path | None = None,
    audio: str | Path | None = None,
    model_file: str | Path | None = None,
) -> list[str]:
    """Set the weights a training run begins with, in place.

    Args:
        model: freshly built.
        backbone: ImageNet weights of its backbone, as torchvision or the authors of PVT-v2 and HRNet publish them, as
            timm does, or of a ResNet with a deep stem (64, 64, 128 channels; timm's `resnet50s`, `resnet101s`).
        vggish: the published VGGish weights. CAVP's last layer has a width of its own and stays fresh.
        audio: CAVP with a ResNet-18 that hears: torchvision's of ImageNet. First convolution and last layer stay fresh.
        model_file: a model file of this library; all tensors that agree in name and shape are taken, as the published
            MS3 runs begin from S4. The other files are read after it.

    Returns:
        Names in the files that found no place.

    Raises:
        ValueError: a backbone or audio file that does not fit wholly, a model without such a network, or a model file
            that gives nothing.
    """
    left: list[str] = []
    if model_file is not None:
        left += _take_matching(model, find_file(model_file))
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
    state, own = read_checkpoint(path), module.state_dict()
    taken = {name: tensor for name, tensor in state.items() if not re.fullmatch(fresh, name)}
    kept = {name: tensor for name, tensor in own.items() if re.fullmatch(fresh, name)}
    load_strictly(module, {**_with_counters(taken, own), **kept}, str(path))
    return [name for name in state if name not in taken]


def _take_matching(model: nn.Module, path: Path) -> list[str]:
    read_header(path)
    state, own = load_file(path), model.state_dict()
    fitting = {name: t for name, t in state.items() if name in own and own[name].shape == t.shape}
    if not fitting:
        raise ValueError(f"no tensor of {path} agrees with the model in name and shape; is it of another family?")
    model.load_state_dict(fitting, strict=False)
    return [name for name in state if name not in fitting]


def _take_backbone(model: Model[Any], path: Path) -> list[str]:
    name = str(getattr(model.config, "backbone", ""))
    backbone = model.network.get_submodule("backbone")
    module = getattr(backbone, "stages", backbone)
    state, own = read_checkpoint(path), module.state_dict()
    flat = {re.sub(r"^stages\.(\d)", r"stages_\1", key): tensor for key, tensor in state.items()}
    whole = _with_counters(flat, own)
    if set(own) <= set(whole):  # our own names, the classifier beside
        load_strictly(module, {key: whole[key] for key in own}, str(path))
        return [key for key in flat if key not in own]
    if name not in BACKBONE_RULES:
        raise ValueError(f"{path} has not the names of timm's {name}; known foreign files: {', '.join(BACKBONE_RULES)}")
    renamed = rename_keys(state, BACKBONE_RULES[name])
    load_strictly(module, _with_counters(renamed, own), str(path))
    dropped = [old for old, new in BACKBONE_RULES[name] if new is None]
    return [key for key in state if any(re.fullmatch(old, key) for old in dropped)]


def _with_counters(state: dict[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Old torchvision files lack the batch norms' counters; they start at zero."""
    counters = {n: torch.zeros_like(t) for n, t in own.items() if n.endswith("num_batches_tracked") and n not in state}
    return {**state, **counters}
