"""AVISM's published files and the files that its training begins with: every tensor is accounted for."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from avseg.cli import run
from avseg.datasets.aviseg.classes import aviseg_classes
from avseg.models import initialise, load_model
from avseg.models.avism.config import AVISMConfig
from avseg.models.avism.convert import config_of, convert, convert_file, find_dialect, network_state, take_detector
from avseg.models.avism.model import AVISM
from avseg.models.avism.network import AVISMNetwork
from avseg.models.files import load_strictly
from avseg.nn.empty import WithoutInitialisation
from avseg.types import Task
from small import small_config

GOLDEN = Path(__file__).parents[1] / "golden"
FILES = {
    "avism_r50": ("avism", 66_072_246),
    "avism_coco_r50": ("avism_coco", 66_072_246),
    "avism_swinl": ("avism", 237_649_578),
    "avism_coco_swinl": ("avism_coco", 237_649_578),
}
CONSTANT = ("empty_weight", "relative_position_index", "running_mean", "running_var")


def keys(name: str) -> list[tuple[str, list[int]]]:
    found: list[tuple[str, list[int]]] = json.loads((GOLDEN / f"avism/keys_{name}.json").read_text(encoding="utf-8"))
    return found


def weightless(name: str) -> dict[str, Tensor]:
    """Tensors that take no room: what is tested is names and shapes."""
    whole = "relative_position_index"
    return {
        key: torch.zeros((), dtype=torch.int64 if key.endswith(whole) else torch.float32).expand(shape)
        for key, shape in keys(name)
    }


def numbered(name: str) -> dict[str, Tensor]:
    """Tensors that take little room and differ."""
    g = torch.Generator().manual_seed(0)
    return {
        key: torch.randn(shape[:1], generator=g).reshape(-1, *[1] * (len(shape) - 1)).expand(shape)
        for key, shape in keys(name)
    }


@pytest.fixture(scope="module")
def upstream() -> dict[str, Tensor]:
    return weightless("avism_r50")


@pytest.mark.parametrize("name", FILES)
def test_published_keys_load_strictly_and_count(name: str) -> None:
    state = weightless(name)
    assert find_dialect(state) == FILES[name][0]
    config = config_of(state)
    swin = {"backbone": "swin_large_patch4_window12_384", "frame_queries": 200, "input": config.input}
    assert config == AVISMConfig(**(swin if "swinl" in name else {}))
    assert config.input.size == ((448, 448) if "swinl" in name else (360, 360))
    with torch.device("meta"):
        network = AVISMNetwork(26, config)
    renamed = {key: tensor.to("meta") for key, tensor in network_state(state).items()}
    load_strictly(network, renamed, name)
    assert sum(parameter.numel() for parameter in network.parameters()) == FILES[name][1]
    dropped = [key for key in state if key.endswith(CONSTANT[:2])]
    assert len(renamed) == len(state) - len(dropped) == {"r50": 802, "swinl": 894}[name.split("_")[-1]] - len(dropped)
    assert len(dropped) == (2 if "r50" in name else 26)


@pytest.mark.parametrize("backbone", ["r50", "swinl"])
def test_both_kinds_of_names_are_one_network(backbone: str) -> None:
    one, other = (
        {key.partition("_module")[2] or key: name for key, name in found.items()}
        for found in map(origins, (f"avism_{backbone}", f"avism_coco_{backbone}"))
    )
    assert one == {key.replace(".vita_", ".avism_"): name for key, name in other.items()}


def origins(name: str) -> dict[str, str]:
    """What each published tensor is called here."""
    state = {key: torch.tensor(index) for index, (key, _) in enumerate(keys(name))}
    names = {int(tensor): new for new, tensor in network_state(state).items()}
    return {key: names[index] for index, key in enumerate(state) if index in names}


def test_every_published_file_is_here() -> None:
    assert {path.stem for path in (GOLDEN / "avism").glob("keys_*.json")} == {f"keys_{name}" for name in FILES}


def faulty(upstream: dict[str, Tensor]) -> Iterator[tuple[dict[str, Tensor], str]]:
    yield {**upstream, "stranger.weight": torch.zeros(1)}, r"unknown names: stranger\.weight"
    yield {**upstream, "backbone.res2.0.conv9": torch.zeros(1)}, r"unknown names: backbone\.res2\.0\.conv9"
    yield (
        {k: v for k, v in upstream.items() if k != "avism_module.enc_av_ffn.3.norm.bias"},
        r"missing: video\.encoder\.sounds\.3\.feed_forward\.norm\.bias",
    )
    yield (
        {**upstream, "sem_seg_head.predictor.av_post_proj.weight": torch.zeros(256, 512)},
        r"detector\.join\.weight \(256, 512\), wanted \(256, 768\)",
    )
    yield {**upstream, "vita_module.av_proj.bias": torch.zeros(256)}, "one video module.*found avism and avism_coco"
    yield {k: v for k, v in upstream.items() if not k.startswith("avism_module")}, "one video module.*found none"
    yield (
        {k: v for k, v in upstream.items() if ".av_" not in k},
        r"has no audio branch: no sem_seg_head\.predictor\.av_pre_proj\.weight",
    )
    yield {**upstream, "avism_module.class_embed.weight": torch.zeros(41, 256)}, "40 classes, the task 26"
    yield {k: v for k, v in upstream.items() if ".res4.5." not in k}, "ResNet has 5 blocks in res4"


def test_what_does_not_fit_is_named(upstream: dict[str, Tensor]) -> None:
    for state, message in faulty(upstream):
        with pytest.raises(ValueError, match=message):
            convert(state)


def test_sizes_are_read_off_shapes_and_the_rest_is_asked_for(upstream: dict[str, Tensor]) -> None:
    frame, video = "sem_seg_head.predictor.", "avism_module."
    fewer = {k: v for k, v in upstream.items() if f"{frame}transformer_ffn_layers.8." not in k}
    fewer = {k: v for k, v in fewer.items() if f"{video}enc_ffn.5." not in k}
    fewer |= {f"{video}query_feat.weight": torch.zeros(30, 256), f"{frame}av_pre_proj.weight": torch.zeros(256, 768)}
    attention = "sem_seg_head.pixel_decoder.transformer.encoder.layers.0.self_attn.attention_weights.weight"
    config = config_of({**fewer, attention: torch.zeros(48, 256)}, window=4)
    assert (config.frame_layers, config.object_layers, config.clip_queries) == (8, 5, 30)
    assert (config.audio_width, config.heads, config.window) == (768, 4, 4)
    deeper = {**upstream, **{f"backbone.res4.{k}.conv1.weight": torch.zeros(1) for k in range(23)}}
    with pytest.raises(ValueError, match="resnet101 were published in no size; say their shorter side"):
        config_of(deeper)
    assert config_of(deeper, 480).input.size == (480, 480)
    swin = weightless("avism_swinl")
    swin["backbone.patch_embed.proj.weight"] = torch.zeros(128, 3, 4, 4)
    swin["backbone.layers.0.blocks.0.attn.relative_position_bias_table"] = torch.zeros(169, 4)
    assert config_of(swin, 360).backbone == "swin_base_patch4_window7_224"
    with pytest.raises(ValueError, match="width 100, 18 blocks"):
        config_of({**swin, "backbone.patch_embed.proj.weight": torch.zeros(100, 3, 4, 4)})


def test_a_whole_training_state_converts_file_to_file(tmp_path: Path) -> None:
    state = numbered("avism_coco_r50")
    content = {"model": {f"module.{key}": tensor for key, tensor in state.items()}, "iteration": 47_999}
    torch.save(content, tmp_path / "avism.pth")
    out = tmp_path / "out.safetensors"
    assert run(["convert", "avism", str(tmp_path / "avism.pth"), "-o", str(out)]) == 0
    model = load_model(out)
    assert isinstance(model, AVISM) and model.config == AVISMConfig()
    assert model.task == Task("instance", aviseg_classes()) and len(model.task.classes) == 26
    own = model.network.state_dict()
    for ours, theirs in (
        ("backbone.stages.layer3.5.bn3.running_var", "backbone.res4.5.conv3.norm.running_var"),
        ("backbone.stages.layer2.0.downsample.0.weight", "backbone.res3.0.shortcut.weight"),
        ("pixel_decoder.lateral.conv.weight", "sem_seg_head.pixel_decoder.adapter_1.weight"),
        ("detector.listen.2.attention.in_proj_bias", "sem_seg_head.predictor.av_sf.2.multihead_attn.in_proj_bias"),
        ("video.mask_features.bias", "vita_module.vita_mask_features.bias"),
        ("video.decoder.frame_position.weight", "vita_module.fq_pos.weight"),
    ):
        assert torch.equal(own[ours], state[theirs]), ours


def test_vggish_becomes_part_of_the_model_and_other_classes_have_names(
    upstream: dict[str, Tensor], tmp_path: Path
) -> None:
    heads = {k: torch.zeros(4, *v.shape[1:]) for k, v in upstream.items() if "class_embed" in k}
    torch.save({**upstream, **heads}, tmp_path / "bare.pth")
    sound = {
        key: torch.randn(shape[:1]).reshape(-1, *[1] * (len(shape) - 1)).expand(shape)
        for key, shape in json.loads((GOLDEN / "tpavi/keys_vggish.json").read_text(encoding="utf-8"))
    }
    torch.save(sound, tmp_path / "vggish.pth")
    categories = [{"id": 7, "name": "organ"}, {"id": 2, "name": "dog"}, {"id": 3, "name": "cat"}]
    (tmp_path / "train.json").write_text(json.dumps({"categories": categories}), encoding="utf-8")
    out = convert_file(
        tmp_path / "bare.pth",
        tmp_path / "m.safetensors",
        vggish=tmp_path / "vggish.pth",
        classes=tmp_path / "train.json",
    )
    model = load_model(out)
    assert model.task.classes == ("dog", "cat", "organ") and model.config.audio_network == "vggish"
    assert torch.equal(model.state_dict()["audio_network.embeddings.4.bias"], sound["embeddings.4.bias"])
    (tmp_path / "list.json").write_text("[]", encoding="utf-8")
    with pytest.raises(ValueError, match="no categories with id and name"):
        convert_file(tmp_path / "bare.pth", out, classes=tmp_path / "list.json")
    with pytest.raises(FileNotFoundError, match="no file of classes"):
        convert_file(tmp_path / "bare.pth", out, classes=tmp_path / "absent.json")


# First weights of a run.


@pytest.fixture
def fresh() -> AVISM:
    with WithoutInitialisation():
        model = AVISM(AVISMConfig(), Task("instance", ("a", "b")))
    for parameter in model.parameters():
        parameter.data.fill_(7.0)
    return model


def coco_detector() -> dict[str, Tensor]:
    """As of COCO: 80 classes, no sound; a video module of another kind beside."""
    state = {k: v for k, v in numbered("avism_coco_r50").items() if ".av_" not in k and "enc_av" not in k}
    return state | {
        "sem_seg_head.predictor.class_embed.weight": torch.zeros(81, 256),
        "sem_seg_head.predictor.class_embed.bias": torch.zeros(81),
    }


def is_fresh(tensor: Tensor) -> bool:
    return bool((tensor == 7).all())


def test_a_silent_detector_gives_all_but_classes_sound_and_video(fresh: AVISM, tmp_path: Path) -> None:
    state = coco_detector()
    torch.save({"model": state, "iteration": 0}, tmp_path / "coco.pth")
    left = initialise(fresh, detector=tmp_path / "coco.pth")
    classes = {f"sem_seg_head.predictor.class_embed.{part}" for part in ("weight", "bias")}
    beside = {key for key in state if not key.startswith(("backbone.", "sem_seg_head."))}
    assert set(left) == classes | beside and any(key.startswith("vita_module.") for key in left)
    own = fresh.network.state_dict()
    begun = {name for name, _ in fresh.network.named_parameters() if is_fresh(own[name])}
    assert begun == {
        name
        for name in own
        if name.startswith(("video.", "detector.hear.", "detector.listen.", "detector.join.", "detector.classify."))
    }
    assert torch.equal(own["detector.query.weight"], state["sem_seg_head.predictor.query_feat.weight"])
    assert torch.equal(own["backbone.stages.bn1.running_mean"], state["backbone.stem.conv1.norm.running_mean"])


def test_a_detector_that_hears_gives_its_hearing(fresh: AVISM) -> None:
    state = numbered("avism_r50")
    left = take_detector(fresh.network, state)
    assert len(left) == sum(not k.startswith(("backbone.", "sem_seg_head.")) for k in state) + 2
    own = fresh.network.state_dict()
    assert torch.equal(own["detector.hear.weight"], state["sem_seg_head.predictor.av_pre_proj.weight"])
    assert is_fresh(own["detector.classify.weight"]) and is_fresh(own["video.encoder.hear.weight"])


def test_a_detector_that_does_not_fit_is_refused_untouched(fresh: AVISM) -> None:
    state = coco_detector()
    wrong: list[tuple[dict[str, Tensor], str]] = [
        ({k: v for k, v in state.items() if not k.startswith("sem_seg_head.")}, "no frame stage"),
        ({k: v for k, v in state.items() if "adapter_1.weight" not in k}, r"missing: pixel_decoder\.lateral\.conv"),
        ({**state, "sem_seg_head.stranger": torch.zeros(1)}, r"unknown names: sem_seg_head\.stranger"),
        ({**state, "sem_seg_head.predictor.query_feat.weight": torch.zeros(200, 256)}, r"\(200, 256\), wanted \(100"),
        ({**state, "sem_seg_head.predictor.av_pre_proj.bias": torch.zeros(256)}, r"missing: detector\.hear\.weight"),
    ]
    for given, message in wrong:
        with pytest.raises(ValueError, match=message):
            take_detector(fresh.network, given)
    assert all(is_fresh(parameter) for parameter in fresh.network.parameters())


def test_other_families_have_no_detector(tmp_path: Path) -> None:
    from models.small import small_model

    torch.save({"sem_seg_head.a": torch.zeros(1)}, tmp_path / "d.pth")
    with pytest.raises(ValueError, match="tpavi has no such part"):
        initialise(small_model(), detector=tmp_path / "d.pth")


def small(backbone: str, **options: Any) -> AVISM:
    return AVISM(small_config("avism", backbone=backbone, backbone_options=options), Task("instance", ("a",)))


def drawn(module: nn.Module) -> dict[str, Tensor]:
    return {name: torch.randn_like(t) if t.is_floating_point() else t for name, t in module.state_dict().items()}


def detectors_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A torchvision ResNet-50's tensors as detectors call them, by the published table of shapes."""
    table = {new.removeprefix("backbone.stages."): old for old, new in origins("avism_r50").items()}
    return {table[name].removeprefix("backbone."): tensor for name, tensor in state.items() if name in table}


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_a_resnet_by_detectors_names_in_a_pickle_of_arrays(protocol: int, tmp_path: Path) -> None:
    with WithoutInitialisation():
        model = small("resnet50")
    stages = model.network.get_submodule("backbone.stages")
    state = drawn(stages)
    arrays: dict[str, Any] = {name: tensor.numpy() for name, tensor in detectors_names(state).items()}
    arrays |= {"stem.fc.weight": np.zeros((2, 2), np.float32), "stem.fc.bias": np.zeros(2, np.float32)}
    arrays["res2.0.conv1.norm.num_batches_tracked"] = np.array(3)
    content = {"model": arrays, "__author__": "someone", "matching_heuristics": True}
    (tmp_path / "R-50.pkl").write_bytes(pickle.dumps(content, protocol))
    assert initialise(model, backbone=tmp_path / "R-50.pkl") == ["stem.fc.weight", "stem.fc.bias"]
    assert all(torch.equal(tensor, state[name]) for name, tensor in stages.state_dict().items())
    arrays.pop("res5.2.conv3.weight")
    (tmp_path / "R-50.pkl").write_bytes(pickle.dumps(content, protocol))
    with pytest.raises(ValueError, match=r"missing: layer4\.2\.conv3\.weight"):
        initialise(model, backbone=tmp_path / "R-50.pkl")


def test_a_torchvision_resnet_leaves_its_classifier_and_no_counters(tmp_path: Path) -> None:
    with WithoutInitialisation():
        model = small("resnet50")
    stages = model.network.get_submodule("backbone.stages")
    state = drawn(stages)
    counters = {f"{k.rpartition('.')[0]}.num_batches_tracked": torch.tensor(1) for k in state if k.endswith("_var")}
    torch.save({**state, **counters, "fc.weight": torch.zeros(2, 2), "fc.bias": torch.zeros(2)}, tmp_path / "r.pth")
    assert initialise(model, backbone=tmp_path / "r.pth") == ["fc.weight", "fc.bias"]
    assert torch.equal(stages.state_dict()["bn1.running_var"], state["bn1.running_var"])


TINY_SWIN = {"embed_dim": 16, "depths": (1, 2, 1, 1), "num_heads": (1, 2, 2, 4)}


@pytest.mark.parametrize("naming", ["published", "published pickle", "timm", "timm features"])
def test_a_swin_of_imagenet_in_every_naming(naming: str, tmp_path: Path) -> None:
    model = small("swin_tiny_patch4_window7_224", **TINY_SWIN)
    backbone = model.network.get_submodule("backbone")
    torch.nn.init.constant_(backbone.norms[0].weight, 5.0)
    state = drawn(backbone)
    plain = {name: tensor for name, tensor in state.items() if not name.startswith("norms.")}
    head = {"norm.weight": torch.zeros(128), "head.weight": torch.zeros(2, 128)}
    content: dict[str, Any] = {**plain, **head}
    if naming == "timm features":
        content = {name.replace("layers.", "layers_"): tensor for name, tensor in content.items()}
    if naming.startswith("published"):
        for stage in (1, 2, 3):
            for part in ("norm.weight", "norm.bias", "reduction.weight"):
                content[f"layers.{stage - 1}.downsample.{part}"] = plain[f"layers.{stage}.downsample.{part}"]
        content = {name: tensor for name, tensor in content.items() if not name.startswith("layers.3.downsample")}
        content["layers.0.blocks.0.attn.relative_position_index"] = torch.zeros(49, 49, dtype=torch.int64)
        content["layers.1.blocks.1.attn_mask"] = torch.zeros(4, 49, 49)
    path = tmp_path / ("swin.pkl" if "pickle" in naming else "swin.pth")
    if "pickle" in naming:
        path.write_bytes(pickle.dumps({"model": content, "__author__": "third_party", "matching_heuristics": True}))
    else:
        torch.save({"model": content}, path)
    assert initialise(model, backbone=path) == list(head)
    own = backbone.state_dict()
    assert all(torch.equal(own[name], tensor) for name, tensor in plain.items())
    assert bool((own["norms.0.weight"] == 5).all())


def test_a_pickle_that_asks_for_more_than_arrays_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.pkl").write_bytes(pickle.dumps({"model": {"a": Path("x")}}))
    with pytest.raises(ValueError, match="is refused: it asks for pathlib"):
        initialise(small("swin_tiny_patch4_window7_224", **TINY_SWIN), backbone=tmp_path / "bad.pkl")
