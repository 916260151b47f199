"""From published weights to ours: tables of renaming rules, and strict accounting of every tensor."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from avseg.io.pickles import read_tensors
from avseg.models.files import read_safetensors

Rule = tuple[str, str | None]
"""A pattern that matches a whole name, and what it becomes (groups as `\\1`); None: dropped on purpose."""

WRAPPERS = ("state_dict", "model_state_dict", "model", "network", "net")


def rename_keys(state: Mapping[str, Tensor], rules: Sequence[Rule]) -> dict[str, Tensor]:
    """Rename each tensor by the first matching rule.

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
        raise ValueError(f"{len(unknown)} tensors have unknown names: {_first(unknown)}; is this another model's file?")
    if clashes:
        raise ValueError(f"{len(clashes)} tensors come to a name twice: {_first(clashes)}")
    return renamed


def layer_rules(theirs: str, ours: str, names: Mapping[str, str]) -> list[Rule]:
    """Rules of numbered layers: for each pair of `names`, what is below `THEIRS.layers.N.OLD` is below `OURS.NEW`.

    Args:
        theirs: a pattern.
        ours: with `\\1` for N.
        names: from old ones, patterns, to new ones.
    """
    return [(rf"{theirs}\.layers\.(\d+)\.{old}\.(.*)", rf"{ours}.{new}.\2") for old, new in names.items()]


def account(upstream: Mapping[str, Tensor], taken: Mapping[str, Tensor], variant: str) -> dict[str, str]:
    """Notes for the header of a model file: the published setting, and how many tensors were taken and dropped."""
    return {
        "variant": variant,
        "tensors_taken": str(len(taken)),
        "tensors_dropped": str(len(upstream) - len(taken)),
    }


def check_variant(variant: str | None, known: Sequence[str]) -> None:
    """
    Raises:
        ValueError: a published setting of another name than these.
    """
    if variant is not None and variant not in known:
        raise ValueError(f"variant {variant!r}, wanted one of {', '.join(known)}")


def told_backbone(upstream: Mapping[str, Tensor], marks: Mapping[str, str]) -> str:
    """The backbone of a state dict: `marks` has the beginnings of names of each.

    Raises:
        ValueError: none of them, or several.
    """
    found = [name for mark, name in marks.items() if any(key.startswith(mark) for key in upstream)]
    if len(found) != 1:
        wanted = " or ".join(f"{mark}*" for mark in marks)
        raise ValueError(f"wanted a checkpoint with one backbone, {wanted}; found {', '.join(found) or 'none'}")
    return found[0]


def as_backbone(upstream: Mapping[str, Tensor], prefix: str, rules: Sequence[Rule]) -> dict[str, Tensor]:
    """Return the tensors below `prefix`, renamed by `rules` to the stages of a network's backbone."""
    inner = {name.removeprefix(prefix): tensor for name, tensor in upstream.items() if name.startswith(prefix)}
    return {f"network.backbone.stages.{name}": tensor for name, tensor in rename_keys(inner, rules).items()}


def read_checkpoint(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a .pth, .pkl or .safetensors file: bare, in a dictionary, or with `module.` before every name.

    torch's files are read by its restricted reader and plain pickles (.pkl, of arrays or tensors) by ours, so that a
    file cannot run code.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a file that holds no tensors by name, or more than tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no checkpoint {path}")
    return unwrapped(read_safetensors(path) if path.suffix == ".safetensors" else _unpickled(path), str(path))


def _unpickled(path: Path) -> Any:
    import zipfile

    if path.suffix == ".pkl" and not zipfile.is_zipfile(path):
        return read_tensors(path)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of a damaged file the restricted reader raises whatever its machinery does
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
    named = isinstance(content, Mapping) and all(isinstance(name, str) for name in content)
    return named and bool(content) and all(isinstance(tensor, Tensor) for tensor in content.values())


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

PREFIXES = {"resnet.": "resnet50", "encoder_backbone.": "pvt_v2_b5"}
"""Where the codes that have grown from AVSBench's keep their backbones."""
PREFIX_RULES: list[Rule] = [
    # A second branch of the ResNet is stored in every checkpoint and never used; ours is the first.
    (r"resnet\.layer[34]_2\..*", None),
    (r"resnet\.(layer[34])_1\.(.*)", r"resnet.\1.\2"),
    (r"((?:resnet|encoder_backbone)\..*)", r"\1"),
]
"""Their names stay, but for those of the ResNet's two branches; then `prefixed_backbones` renames them."""


def prefixed_backbones(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The backbones at `PREFIXES`, as the stages of a network's backbone."""
    return {**as_backbone(state, "resnet.", RESNET_RULES), **as_backbone(state, "encoder_backbone.", PVT_RULES)}


HRNET_RULES: list[Rule] = [
    # Layers of the classifier alone.
    (r"(?:incre_modules|downsamp_modules|final_layer|classifier|fc)\..*", None),
    (r"((?:conv|bn)[12]\..*|(?:layer1|(?:transition|stage)\d)\..*)", r"\1"),
]
"""The published HRNetV2's names are ours."""

STEM_RESNET_RULES: list[Rule] = [
    (r"(?:stem\.)?fc\d*\..*", None),
    (r".*\.num_batches_tracked", None),
    (r"stem\.conv1\.norm\.(.*)", r"bn1.\1"),
    (r"stem\.conv1\.(weight)", r"conv1.\1"),
    *((rf"res{k + 1}\.(\d+)\.conv(\d)\.norm\.(.*)", rf"layer{k}.\1.bn\2.\3") for k in (1, 2, 3, 4)),
    *((rf"res{k + 1}\.(\d+)\.conv(\d)\.(weight)", rf"layer{k}.\1.conv\2.\3") for k in (1, 2, 3, 4)),
    *((rf"res{k + 1}\.(\d+)\.shortcut\.norm\.(.*)", rf"layer{k}.\1.downsample.1.\2") for k in (1, 2, 3, 4)),
    *((rf"res{k + 1}\.(\d+)\.shortcut\.(weight)", rf"layer{k}.\1.downsample.0.\2") for k in (1, 2, 3, 4)),
]
"""From a ResNet's names by stem and `res2` to `res5`, as AVISM's checkpoints and detectors have them."""

SWIN_RULES: list[Rule] = [
    # Where pixels of a window lie follows from its size.
    (r".*\.(?:relative_position_index|attn_mask)", None),
    (r"(?:head|norm)\..*", None),
    (r"(patch_embed\..*|layers\.\d\.blocks\..*)", r"\1"),
    # timm halves a map where a stage begins, others where it ends.
    *((rf"layers\.{k}\.downsample\.(.*)", rf"layers.{k + 1}.downsample.\1") for k in range(3)),
    (r"norm(\d)\.(.*)", r"norms.\1.\2"),
]
"""From the published Swin to ours; ImageNet's files have no norms of the four maps."""
