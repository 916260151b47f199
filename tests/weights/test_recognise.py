"""Published weights are recognised by their names and shapes, each as itself and as nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import timm
import torch
from torchvision.models import resnet18, resnet34, resnet50
from torchvision.models.video import swin3d_t

from avseg.models.keys import expand
from avseg.weights import RECORDS, Record, recognise
from weights.make_keys import ROOT, built, fold, parts, published_swin, texts

GOLDEN = Path(__file__).parents[1] / "golden"
BY_NAME = {record.name: record for record in RECORDS}

FAMILIES = ("tpavi", "avsegformer", "catr", "cavp", "avism")
PUBLISHED = {
    "tpavi/s4_r50": "tpavi_object_r50",
    "tpavi/ms3_r50": "tpavi_object_r50",
    "tpavi/avss_r50": "tpavi_avss_r50",
    "tpavi/s4_pvt": "tpavi_object_pvt",
    "tpavi/ms3_pvt": "tpavi_object_pvt",
    "tpavi/avss_pvt": "tpavi_avss_pvt",
    "tpavi/vggish": "vggish",
    "avsegformer/s4_r50": "avsegformer_object_r50",
    "avsegformer/s4_pvt": "avsegformer_object_pvt",
    "avsegformer/avss_r50": "avsegformer_avss_r50",
    "avsegformer/avss_pvt": "avsegformer_avss_pvt",
    "tpavi/vggish_pca": "vggish_pca",
    "catr/pvt": "catr_pvt",
    "catr/r50": "catr_r50",
    "cavp/avss_r50_dlv3p_c71_vgg": "cavp_avss_r50",
    "cavp/avsobj_r50_dlv3p_c2_vgg": "cavp_object_r50",
    "cavp/avssingle_r50_dlv3p_c24_vgg": "cavp_single_r50",
    "cavp/avss_pvtb5_c71_vgg": "cavp_avss_pvt",
    "cavp/avsobj_pvtb5_c2_vgg": "cavp_object_pvt",
    "cavp/vpo_mono_r50_dlv3p_c22_res18": "cavp_vpo_mono_r50",
    "cavp/vpo_stereo_r50_dlv3p_c22_res18": "cavp_vpo_stereo_r50",
    "cavp/vpo_mono_r101_dlv3p_c22_res18": "cavp_vpo_mono_r101",
    "cavp/vpo_stereo_r101_dlv3p_c22_res18": "cavp_vpo_stereo_r101",
    "cavp/vpo_mono_hrnet_c22_res18": "cavp_vpo_mono_hrnet",
    "cavp/vpo_stereo_hrnet_c22_res18": "cavp_vpo_stereo_hrnet",
    "cavp/vpo_mono_ocr_c22_res18": "cavp_vpo_mono_ocr",
    "cavp/vpo_stereo_ocr_c22_res18": "cavp_vpo_stereo_ocr",
    "avism/avism_r50": "avism_r50",
    "avism/avism_coco_r50": "avism_coco_r50",
    "avism/avism_swinl": "avism_swinl",
    "avism/avism_coco_swinl": "avism_coco_swinl",
}


def shaped(keys: Any) -> dict[str, Any]:
    """Things with a shape, which is all that a recogniser looks at."""
    return {name: SimpleNamespace(shape=tuple(shape)) for name, shape in dict(keys).items()}


def published(name: str) -> dict[str, Any]:
    folder, _, file = name.partition("/")
    rows = json.loads((GOLDEN / folder / f"keys_{file}.json").read_text(encoding="utf-8"))
    return shaped(row[:2] for row in rows)


def found(state: dict[str, Any]) -> tuple[str, bool]:
    """Name of the record and whether nothing differs; it is the only one that comes as near."""
    match = recognise(state)
    assert match is not None and match.also == () and match.tensors == len(state)
    return match.record.name, match.fits


def test_every_published_list_is_here() -> None:
    lists = {f"{path.parent.name}/{path.stem.removeprefix('keys_')}" for path in GOLDEN.glob("*/keys_*.json")}
    assert lists >= set(PUBLISHED)
    assert {name for name in lists if name.partition("/")[0] in FAMILIES} == set(PUBLISHED)


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_list_is_itself_and_nothing_else(name: str) -> None:
    state = published(name)
    assert found(state) == (PUBLISHED[name], True)
    exact = {record.name for record in RECORDS if record.keys.keys() <= state.keys() and agrees(record, state)}
    assert exact == {PUBLISHED[name]}


def agrees(record: Record, state: dict[str, Any]) -> bool:
    """Whether every tensor is the record's: the plain comparison, for all records."""
    return all(state[name].shape == shape for name, shape in record.keys.items()) and all(
        name in record.keys or record.may_have(name) for name in state
    )


@pytest.mark.parametrize("name", BY_NAME)
def test_a_record_is_recognised_as_itself(name: str) -> None:
    assert found(shaped(BY_NAME[name].keys)) == (name, True)


BACKBONES = {
    "resnet50": lambda: built(resnet50),
    "resnet18": lambda: built(resnet18),
    "video_swin_tiny": lambda: built(swin3d_t),
    "resnet50_deep": lambda: built(lambda: timm.create_model("resnet50s")),
    "resnet101_deep": lambda: built(lambda: timm.create_model("resnet101s")),
    "pvt_v2_b5_timm": lambda: built(lambda: timm.create_model("pvt_v2_b5")),
    "swin_tiny_timm": lambda: built(lambda: timm.create_model("swin_tiny_patch4_window7_224")),
    "swin_tiny": lambda: published_swin(built(lambda: timm.create_model("swin_tiny_patch4_window7_224"))),
    "swin_large": lambda: published_swin(built(lambda: timm.create_model("swin_large_patch4_window12_384"))),
    "hrnet_w48": lambda: {**expand("hrnet_w48"), "classifier.weight": (1000, 2048), "incre_modules.0.0.bn1.bias": (9,)},
    "pvt_v2_b5": lambda: {**expand("pvt_v2_b5"), "head.weight": (1000, 512), "head.bias": (1000,)},
    "resnet50_stem": lambda: {**expand("resnet50_stem"), "stem.fc.weight": (1000, 2048)},
}


@pytest.mark.parametrize("name", BACKBONES)
def test_whole_backbones_with_their_classifiers_are_recognised(name: str) -> None:
    assert found(shaped(BACKBONES[name]())) == (name, True)


def test_a_detector_of_other_classes_is_a_detector() -> None:
    """As VITA's file of COCO has it: the frame stage, 81 classes, and a video module beside."""
    full = {name: tensor.shape for name, tensor in published("avism/avism_coco_r50").items()}
    silent = {name: shape for name, shape in full.items() if ".predictor.av_" not in name}
    silent |= {"sem_seg_head.predictor.class_embed.weight": (81, 256), "sem_seg_head.predictor.class_embed.bias": (81,)}
    assert found(shaped(silent)) == ("detector_r50", True)
    frames = {name: shape for name, shape in silent.items() if not name.startswith(("vita", "criterion"))}
    assert found(shaped(frames)) == ("detector_r50", True)


def test_what_differs_is_named() -> None:
    state = published("cavp/avss_r50_dlv3p_c71_vgg")
    state["segment.upsample.classifier.weight"] = SimpleNamespace(shape=(71, 304, 1, 1))
    del state["visual_projector.fc1.bias"], state["backbone.backbone.bn1.bias"]
    state |= shaped({"ema.decay": (1,)})
    match = recognise(state)
    assert match is not None and match.record.name == "cavp_avss_r50" and not match.fits
    assert set(match.differences.missing) == {"visual_projector.fc1.bias", "backbone.backbone.bn1.bias"}
    assert match.differences.superfluous == ("ema.decay",) and match.differences.count == 4
    assert match.differences.misshaped == (
        "segment.upsample.classifier.weight (71, 304, 1, 1), wanted (71, 256, 1, 1)",
    )


def test_other_sizes_are_of_the_same_family() -> None:
    state = published("cavp/vpo_stereo_r50_dlv3p_c22_res18")
    for name in ("weight", "bias"):
        key = f"segment.upsample.classifier.{name}"
        state[key] = SimpleNamespace(shape=(5, *state[key].shape[1:]))
    match = recognise(state)
    assert match is not None and match.record.name == "cavp_vpo_stereo_r50" and len(match.differences.misshaped) == 2
    deeper = published("avism/avism_r50") | shaped(
        {f"backbone.res4.{k}.conv1.weight": (256, 1024, 1, 1) for k in range(6, 23)}
    )
    match = recognise(deeper)
    assert match is not None and match.record.name == "avism_r50" and len(match.differences.superfluous) == 17


def test_settings_that_cannot_be_told_apart_are_all_named() -> None:
    """Without the one tensor that tells mono from stereo, both come as near."""
    state = published("cavp/vpo_mono_r50_dlv3p_c22_res18")
    del state["audio_backbone.backbone.conv1.weight"]
    match = recognise(state)
    assert match is not None
    assert [record.name for record in (match.record, *match.also)] == ["cavp_vpo_mono_r50", "cavp_vpo_stereo_r50"]


def test_a_known_backbone_does_not_make_a_known_method() -> None:
    """Nine tenths of another method's tensors are those of a PVT under TPAVI's names, its neck too."""
    state = published("tpavi/s4_pvt")
    stranger = {name: tensor for name, tensor in state.items() if name.startswith(("encoder_backbone.", "conv"))}
    agreed = len(stranger) / len(state)
    stranger |= shaped({f"fusion.layers.{k}.norm.weight": (256,) for k in range(100)})
    assert agreed > 0.9 and recognise(stranger) is None


def test_nothing_known_is_nothing() -> None:
    assert recognise({}) is None
    assert recognise(shaped({"weight": (3, 3), "bias": (3,)})) is None
    assert recognise(shaped(built(resnet34))) is None
    assert recognise({"epoch": torch.zeros(()), "features.0.weight": torch.zeros(64, 1, 3, 3)}) is None


def test_names_alone_are_not_enough() -> None:
    assert recognise(shaped(dict.fromkeys(BY_NAME["cavp_avss_r50"].keys, (1,)))) is None


def test_the_short_lists_are_the_long_ones() -> None:
    """tests/weights/make_keys.py writes the keys.json of avseg.models and of its families."""
    for package, text in texts().items():
        assert (ROOT / package.replace(".", "/") / "keys.json").read_text(encoding="utf-8") == text
    sizes = {"K": 71, "A": 2, "Q": 100}
    for name, keys in parts().items():
        assert expand(name, sizes) == {k: tuple(sizes.get(n, n) for n in shape) for k, shape in keys.items()}


def test_folding_keeps_what_is_no_product() -> None:
    keys = {"a.0.b1": (1,), "a.1.b1": (1,), "a.2.b1": (1,), "a.2.b4": (1,), "a.2.c": (2,), "plain": ()}
    folded = fold(keys)
    assert folded == {"a.{0-1}.b1": [1], "a.2.b{1,4}": [1], "a.2.c": [2], "plain": []}


def test_records_are_told_apart() -> None:
    assert len(BY_NAME) == len(RECORDS)
    lists = [tuple(sorted(record.keys.items())) for record in RECORDS]
    assert len(set(lists)) == len(lists)
