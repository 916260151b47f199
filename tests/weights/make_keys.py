"""Write the keys.json of avseg.models and of its families: key lists of published weights, folded
(python tests/weights/make_keys.py).

They come from the lists in tests/golden and, for backbones alone, from the networks of torchvision and timm.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

Shape = tuple[int | str, ...]
Keys = dict[str, Shape]

GOLDEN = Path(__file__).parents[1] / "golden"
ROOT = Path(__file__).parents[2]
HEARS = r"sem_seg_head\.predictor\.av_.*"


def golden(name: str) -> Keys:
    folder, _, file = name.partition("/")
    rows = json.loads((GOLDEN / folder / f"keys_{file}.json").read_text(encoding="utf-8"))
    return {key: tuple(shape) for key, shape, *_ in rows}


def below(keys: Keys, prefix: str) -> Keys:
    return {name.removeprefix(prefix): shape for name, shape in keys.items() if name.startswith(prefix)}


def without(keys: Keys, pattern: str) -> Keys:
    return {name: shape for name, shape in keys.items() if not re.fullmatch(pattern, name)}


def only(keys: Keys, pattern: str) -> Keys:
    return {name: shape for name, shape in keys.items() if re.fullmatch(pattern, name)}


def lettered(letter: str, one: Keys, other: Keys) -> Keys:
    """The same names, with a letter where two lists differ in size."""
    assert list(one) == list(other)
    return {
        name: tuple(letter if a != b else a for a, b in zip(shape, other[name], strict=True))
        for name, shape in one.items()
    }


def built(make: Callable[[], Any]) -> Keys:
    """Names and shapes of a network that takes no memory."""
    import torch

    with torch.device("meta"):
        return {name: tuple(tensor.shape) for name, tensor in make().state_dict().items()}


def published_swin(keys: Keys) -> Keys:
    """timm's Swin by its authors' names: maps are halved where a stage ends."""
    moved = {
        re.sub(r"layers\.(\d)\.downsample", lambda m: f"layers.{int(m[1]) - 1}.downsample", name): shape
        for name, shape in keys.items()
    }
    return {name.replace("head.fc.", "head."): shape for name, shape in moved.items()}


def fold(keys: Keys) -> dict[str, list[int | str]]:
    """Names that differ in numbers alone and have one shape become one pattern."""
    groups: dict[tuple[tuple[str, ...], Shape], list[tuple[frozenset[int], ...]]] = defaultdict(list)
    for name, shape in keys.items():
        pieces = re.split(r"(\d+)", name)
        groups[tuple(pieces[::2]), shape].append(tuple(frozenset([int(number)]) for number in pieces[1::2]))
    return {written(text, numbers): list(shape) for (text, shape), found in groups.items() for numbers in merged(found)}


def merged(found: list[tuple[frozenset[int], ...]]) -> list[tuple[frozenset[int], ...]]:
    for place in reversed(range(len(found[0]))):
        rest: dict[tuple[frozenset[int], ...], frozenset[int]] = {}
        for numbers in found:
            others = numbers[:place] + numbers[place + 1 :]
            rest[others] = rest.get(others, frozenset()) | numbers[place]
        found = [(*others[:place], joined, *others[place:]) for others, joined in rest.items()]
    return found


def written(text: Iterable[str], numbers: tuple[frozenset[int], ...]) -> str:
    pieces = list(text)
    return pieces[0] + "".join(spelt(n) + piece for n, piece in zip(numbers, pieces[1:], strict=True))


def spelt(numbers: frozenset[int]) -> str:
    """A number as it is; more of them as {0-2,4}."""
    if len(numbers) == 1:
        return str(min(numbers))
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return "{" + ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs) + "}"


def parts() -> dict[str, Keys]:
    return {**tpavi(), **avsegformer(), **catr(), **cavp(), **avism(), **backbones()}


def avsegformer() -> dict[str, Keys]:
    projections = r"head\.in_proj\..*"
    own = {
        name: without(golden(f"avsegformer/{name}"), r"(?:backbone|vggish)\..*")
        for name in ("s4_r50", "s4_pvt", "avss_r50", "avss_pvt")
    }
    found = {
        f"avseg.models.avsegformer:projections_{short}": only(own[f"s4_{short}"], projections)
        for short in ("r50", "pvt")
    }
    heads = [without(own[f"{name}_r50"], projections) for name in ("avss", "s4")]
    generator = r"head\.query_generator\..*"
    found["avseg.models.avsegformer:generator"] = only(heads[0], generator)
    found["avseg.models.avsegformer:head"] = without(lettered("K", *heads), generator)
    return found


def tpavi() -> dict[str, Keys]:
    lists = {name: golden(f"tpavi/{name}") for name in ("s4_r50", "s4_pvt", "avss_r50", "avss_pvt")}
    found: dict[str, Keys] = {
        "vggish": golden("tpavi/vggish"),
        "vggish_pca": golden("tpavi/vggish_pca"),
        "avseg.models.tpavi:resnet50": below(lists["s4_r50"], "resnet."),
        "pvt_v2_b5": below(lists["s4_pvt"], "encoder_backbone."),
    }
    for backbone, prefix in (("r50", "resnet"), ("pvt", "encoder_backbone")):
        semantic, binary = (without(lists[f"{name}_{backbone}"], rf"{prefix}\..*") for name in ("avss", "s4"))
        found[f"avseg.models.tpavi:{backbone}"] = lettered("K", semantic, {name: binary[name] for name in semantic})
        found["avseg.models.tpavi:align_bias"] = {name: shape for name, shape in binary.items() if name not in semantic}
    return found


def catr() -> dict[str, Keys]:
    r50, pvt = golden("catr/r50"), golden("catr/pvt")
    own = without(r50, r"resnet\..*")
    necks = r"conv[1-4]\..*"
    assert without(own, necks) == without(pvt, rf"encoder_backbone\..*|{necks}")
    return {
        "avseg.models.catr:resnet50": below(r50, "resnet."),
        "avseg.models.catr:r50": only(own, necks),
        "avseg.models.catr:pvt": only(pvt, necks),
        "avseg.models.catr:both": without(own, necks),
    }


def cavp() -> dict[str, Keys]:
    deep, pvt = (golden(f"cavp/avss_{name}") for name in ("r50_dlv3p_c71_vgg", "pvtb5_c71_vgg"))
    objects, pvt_objects = (golden(f"cavp/avsobj_{name}") for name in ("r50_dlv3p_c2_vgg", "pvtb5_c2_vgg"))
    found = {
        "resnet50_deep": below(deep, "backbone.backbone."),
        "resnet101_deep": below(golden("cavp/vpo_mono_r101_dlv3p_c22_res18"), "backbone.backbone."),
        "hrnet_w48": below(golden("cavp/vpo_mono_hrnet_c22_res18"), "backbone."),
        "avseg.models.cavp:vgg": without(lettered("K", deep, objects), r"backbone\..*"),
        "avseg.models.cavp:pvt": without(lettered("K", pvt, pvt_objects), r"backbone\..*"),
    }
    for head, backbone in (("res18", "r50_dlv3p"), ("hrnet", "hrnet"), ("ocr", "ocr")):
        mono, stereo = (golden(f"cavp/vpo_{kind}_{backbone}_c22_res18") for kind in ("mono", "stereo"))
        found[f"avseg.models.cavp:{head}"] = without(lettered("A", mono, stereo), r"backbone\..*")
    return found


def avism() -> dict[str, Keys]:
    found: dict[str, Keys] = {}
    lists = {name: golden(f"avism/avism_{name}") for name in ("r50", "swinl")}
    for name, keys in lists.items():
        frames = only(keys, r"sem_seg_head\..*")
        found[f"avseg.models.avism:frame_{name}"] = without(frames, HEARS)
        found["avseg.models.avism:hears"] = only(frames, HEARS)
        found["avseg.models.avism:criterion"] = only(keys, r"criterion\..*")
    video = lettered("Q", below(lists["r50"], "avism_module."), below(lists["swinl"], "avism_module."))
    found["avseg.models.avism:video"] = without(video, r"avism_mask_features\..*")
    found["avseg.models.avism:video_mask"] = below(video, "avism_mask_features.")
    found["resnet50_stem"] = below(lists["r50"], "backbone.")
    found["swin_large_four_norms"] = below(lists["swinl"], "backbone.")
    return found


def backbones() -> dict[str, Keys]:
    import timm
    from torchvision.models import resnet18, resnet50
    from torchvision.models.video import swin3d_t

    tiny, large = (
        built(lambda name=name: timm.create_model(name))
        for name in ("swin_tiny_patch4_window7_224", "swin_large_patch4_window12_384")
    )
    ends = r"(?:head|norm)\..*"
    return {
        "resnet50": without(built(resnet50), r"fc\..*|.*\.num_batches_tracked"),
        "resnet18": without(built(resnet18), r"fc\..*|.*\.num_batches_tracked"),
        "pvt_v2_b5_timm": without(built(lambda: timm.create_model("pvt_v2_b5")), r"head\..*"),
        "swin_tiny": without(published_swin(tiny), ends),
        "swin_large": without(published_swin(large), ends),
        "swin_tiny_timm": without(tiny, ends),
        "swin_large_timm": without(large, ends),
        "swin3d_tiny": without(built(swin3d_t), r"head\..*"),
    }


def texts() -> dict[str, str]:
    """By package its file, one pattern a line."""
    blocks: dict[str, list[str]] = defaultdict(list)
    for address, keys in parts().items():
        package, _, name = address.rpartition(":")
        lines = ",\n".join(f"    {json.dumps(k)}: {json.dumps(v)}" for k, v in fold(keys).items())
        blocks[package or "avseg.models"].append(f"  {json.dumps(name)}: {{\n{lines}\n  }}")
    return {package: "{\n" + ",\n".join(found) + "\n}\n" for package, found in blocks.items()}


if __name__ == "__main__":
    for package, text in texts().items():
        (ROOT / package.replace(".", "/") / "keys.json").write_text(text, encoding="utf-8")
