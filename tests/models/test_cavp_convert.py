"""CAVP's published files: every tensor is accounted for, sizes are read off shapes, nothing is run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from avseg.config import to_dict
from avseg.models import initialise, load_model
from avseg.models.cavp.config import CAVPConfig
from avseg.models.cavp.convert import config_of, convert, convert_file, find_variant, network_state
from avseg.models.cavp.model import CAVP
from avseg.models.cavp.network import CAVPNetwork
from avseg.models.cavp.spec import SPEC
from avseg.models.convert import read_checkpoint
from avseg.models.files import load_strictly
from avseg.nn.empty import WithoutInitialisation
from avseg.types import Task
from small import small_config

GOLDEN = Path(__file__).parents[1] / "golden"


# File, variant, backbone, decoder, width of the fusion, parameters as published.
PUBLISHED = [
    ("avsobj_r50_dlv3p_c2_vgg", "avsbench", "resnet50_deep", "deeplab", 304, 119_769_268),
    ("avsobj_pvtb5_c2_vgg", "avsbench", "pvt_v2_b5", "deeplab", 112, 160_327_156),
    ("avss_r50_dlv3p_c71_vgg", "avss_224", "resnet50_deep", "deeplab", 304, 119_787_001),
    ("avss_pvtb5_c71_vgg", "avss_224", "pvt_v2_b5", "deeplab", 112, 160_344_889),
    ("avssingle_r50_dlv3p_c24_vgg", "single", "resnet50_deep", "deeplab", 304, 119_774_922),
    ("vpo_mono_r50_dlv3p_c22_res18", "vpo", "resnet50_deep", "deeplab", 304, 58_238_344),
    ("vpo_mono_r101_dlv3p_c22_res18", "vpo", "resnet101_deep", "deeplab", 304, 77_230_472),
    ("vpo_mono_hrnet_c22_res18", "vpo", "hrnet_w48", "hrnet", 720, 100_984_258),
    ("vpo_mono_ocr_c22_res18", "vpo", "hrnet_w48", "ocr", 512, 98_289_022),
    ("vpo_stereo_r50_dlv3p_c22_res18", "vpo_stereo", "resnet50_deep", "deeplab", 304, 58_241_480),
    ("vpo_stereo_r101_dlv3p_c22_res18", "vpo_stereo", "resnet101_deep", "deeplab", 304, 77_233_608),
    ("vpo_stereo_hrnet_c22_res18", "vpo_stereo", "hrnet_w48", "hrnet", 720, 100_987_394),
    ("vpo_stereo_ocr_c22_res18", "vpo_stereo", "hrnet_w48", "ocr", 512, 98_292_158),
]


def keys(name: str) -> list[tuple[str, list[int]]]:
    found: list[tuple[str, list[int]]] = json.loads((GOLDEN / f"cavp/keys_{name}.json").read_text(encoding="utf-8"))
    return found


def weightless(name: str) -> dict[str, Tensor]:
    """Tensors that take no room: what is tested is names and shapes."""
    return {key: torch.zeros(()).expand(shape) for key, shape in keys(name)}


def test_every_published_file_is_here() -> None:
    assert {path.stem for path in (GOLDEN / "cavp").glob("keys_*.json")} == {f"keys_{row[0]}" for row in PUBLISHED}


def published_size(network: CAVPNetwork) -> int:
    """Parameters as the publications count them: with those of the checkpoints that are never used.

    They are position embeddings of 128 x 128 pixels and of one sound, and a classifier of sounds with two classes.
    """
    unused = (16384 + 1) * network.width + 2 * (network.width + 1)
    return sum(parameter.numel() for parameter in network.parameters()) + unused


@pytest.mark.parametrize(
    ("name", "variant", "backbone", "decoder", "width", "size"), PUBLISHED, ids=[row[0] for row in PUBLISHED]
)
def test_published_keys_load_strictly_and_count(
    name: str, variant: Any, backbone: str, decoder: Any, width: int, size: int
) -> None:
    upstream = weightless(name)
    assert find_variant(upstream) == variant
    config = config_of(upstream, variant)
    assert config == SPEC.preset(variant, backbone=backbone, decoder=decoder)
    classes = int(name.split("_c")[1].split("_")[0])
    with WithoutInitialisation():
        network = CAVPNetwork(classes, config)
    load_strictly(network, network_state(upstream), name)
    assert network.width == width
    assert published_size(network) == size
    counted = sum(tensor.numel() for key, tensor in upstream.items() if not key.endswith(_STATISTICS))
    assert counted == size


_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def test_a_file_of_shape_alone_becomes_a_model() -> None:
    upstream = weightless("vpo_stereo_r50_dlv3p_c22_res18")
    model = convert(upstream)
    assert isinstance(model, CAVP) and not model.training
    assert model.task.channels == 22 and model.task.classes[4] == "car" and model.config.audio_channels == 2
    assert model.config.output_stride == 8 and model.config.mel_frames == 300
    other = convert(upstream, output_stride=16, contrast=None)
    assert other.config.output_stride == 16 and other.config.contrast is None
    with pytest.raises(ValueError, match="22 classes, the semantic task needs 3"):
        convert(upstream, Task("semantic", ("a", "b")))


def test_variants_are_told_by_classes_channels_and_the_caller() -> None:
    avss = weightless("avss_r50_dlv3p_c71_vgg")
    assert config_of(avss, find_variant(avss)).input.size == (224, 224)
    assert config_of(avss, find_variant(avss, "avss")).input.rule == "keep"
    with pytest.raises(ValueError, match="71 classes, so it belongs to avss_224 or avss, not to vpo"):
        find_variant(avss, "vpo")
    mono = weightless("vpo_mono_r50_dlv3p_c22_res18")
    with pytest.raises(ValueError, match="so it belongs to vpo, not to vpo_stereo"):
        find_variant(mono, "vpo_stereo")
    merged = {**mono, "segment.upsample.classifier.weight": torch.zeros(20, 256, 1, 1)}
    with pytest.raises(ValueError, match="20 classes, which no published setting has"):
        find_variant(merged)
    assert find_variant(merged, "vpo") == "vpo"
    with pytest.raises(ValueError, match=r"not a CAVP checkpoint: it has no segment\.upsample"):
        find_variant({"a": torch.zeros(1)})


def faulty(upstream: dict[str, Tensor]) -> Iterator[tuple[dict[str, Tensor], str]]:
    yield {**upstream, "stranger.weight": torch.zeros(1)}, "unknown names: stranger.weight"
    yield {**upstream, "backbone.layer1.0.conv1.weight": torch.zeros(1)}, "unknown names: backbone.layer1"
    yield (
        {k: v for k, v in upstream.items() if k != "segment.aspp.map_convs.2.weight"},
        r"missing: decoder\.aspp\.branches\.2\.weight",
    )
    yield (
        {**upstream, "cross_att.norm.bias": torch.zeros(5)},
        r"fusion\.out_norm\.bias \(5,\), wanted \(304,\)",
    )
    yield {k: v for k, v in upstream.items() if "audio_backbone.backbone.fc" not in k}, "missing: audio.fc.weight"


def test_extra_missing_and_misshaped_keys_are_named() -> None:
    for state, message in faulty(weightless("vpo_mono_r50_dlv3p_c22_res18")):
        with pytest.raises(ValueError, match=message):
            convert(state)


def test_a_whole_training_state_converts_file_to_file(tmp_path: Path) -> None:
    """As published: `module.` before every name, beside the states of two optimisers."""
    g = torch.Generator().manual_seed(0)
    state = {
        key: torch.randn(shape[:1], generator=g).reshape(-1, *[1] * (len(shape) - 1)).expand(shape)
        if shape
        else torch.tensor(3)
        for key, shape in keys("vpo_mono_r50_dlv3p_c22_res18")
    }
    toy = nn.Linear(2, 2)
    optimisers = [torch.optim.Adam(toy.parameters()), torch.optim.SGD(toy.parameters(), lr=0.1, momentum=0.9)]
    toy(torch.ones(1, 2)).sum().backward()
    for optimiser in optimisers:
        optimiser.step()
    content = {
        "model": {f"module.{key}": tensor for key, tensor in state.items()},
        "audio_optimizer": optimisers[0].state_dict(),
        "visual_optimizer": optimisers[1].state_dict(),
        "epoch": 59,
        "iteration": 4711,
    }
    torch.save(content, tmp_path / "cavp.pth")
    assert list(read_checkpoint(tmp_path / "cavp.pth")) == list(state)
    with pytest.raises(ValueError, match="wanted one of avss, avss_224"):
        convert_file(tmp_path / "cavp.pth", tmp_path / "out.safetensors", variant="vps")
    model = load_model(convert_file(tmp_path / "cavp.pth", tmp_path / "out.safetensors"))
    own = model.network.state_dict()
    for ours, theirs in (
        ("backbone.stages.layer4.2.conv3.weight", "backbone.backbone.layer4.2.conv3.weight"),
        ("decoder.aspp.pool_reduce.weight", "segment.aspp.pool_red_conv.weight"),
        ("decoder.second_norm.running_var", "segment.upsample.last_conv.4.running_var"),
        ("fusion.mlp.2.bias", "cross_att.blocks.0.mlp.fc2.bias"),
        ("projector.leave.weight", "visual_projector.fc2.weight"),
        ("audio.fc.bias", "audio_backbone.backbone.fc.bias"),
    ):
        assert torch.equal(own[ours], state[theirs]), ours


# First weights of a run.


def small(**changes: Any) -> CAVP:
    torch.manual_seed(0)
    defaults = {"audio_network": CAVPConfig().audio_network, "contrast": None}
    return CAVP(small_config("cavp", **{**defaults, **changes}), Task("binary"))


def drawn(module: nn.Module) -> dict[str, Tensor]:
    return {name: torch.randn_like(t) if t.is_floating_point() else t for name, t in module.state_dict().items()}


@pytest.mark.parametrize("backbone", ["resnet50_deep", "hrnet_w48"])
def test_backbone_files_may_be_nested_and_have_a_classifier(backbone: str, tmp_path: Path) -> None:
    options = {"width": 8, "modules": (1, 1, 1)} if backbone == "hrnet_w48" else {}
    with WithoutInitialisation():
        model = small(backbone=backbone, backbone_options=options, decoder="deeplab", audio_network="small")
    module = getattr(model.network.backbone, "stages", model.network.backbone)
    state = drawn(module)
    extra = {"fc.weight": torch.zeros(2, 2), "fc.bias": torch.zeros(2)}
    if backbone == "hrnet_w48":
        extra = {"incre_modules.0.0.conv1.weight": torch.zeros(1), "classifier.weight": torch.zeros(1)}
    counted = {name: t for name, t in state.items() if not name.endswith("num_batches_tracked")}
    torch.save({"model": {**counted, **extra}}, tmp_path / "file.pth")
    assert initialise(model, backbone=tmp_path / "file.pth") == list(extra)
    assert all(torch.equal(tensor, state[name]) for name, tensor in module.state_dict().items() if name in counted)
    counted.pop("bn1.weight")
    torch.save(counted, tmp_path / "broken.pth")
    with pytest.raises(ValueError, match=r"missing: bn1\.weight"):
        initialise(model, backbone=tmp_path / "broken.pth")


def test_vggish_gives_all_but_the_last_layer(tmp_path: Path) -> None:
    with WithoutInitialisation():
        model = small(audio_network="vgg", mel_frames=96)
    torch.nn.init.ones_(model.network.audio.embeddings[4].weight)
    state = {
        key: torch.randn(shape[0]).reshape(-1, *[1] * (len(shape) - 1)).expand(shape)
        for key, shape in json.loads((GOLDEN / "tpavi/keys_vggish.json").read_text(encoding="utf-8"))
    }
    torch.save(state, tmp_path / "vggish.pth")
    assert initialise(model, vggish=tmp_path / "vggish.pth") == ["embeddings.4.weight", "embeddings.4.bias"]
    own = model.network.audio.state_dict()
    assert torch.equal(own["embeddings.2.weight"], state["embeddings.2.weight"])
    assert own["embeddings.4.weight"].shape == (16, 4096) and bool((own["embeddings.4.weight"] == 1).all())
    with pytest.raises(ValueError, match="'vgg'"):
        initialise(small(audio_network="small"), vggish=tmp_path / "vggish.pth")


def test_an_imagenet_resnet18_gives_all_but_its_ends(tmp_path: Path) -> None:
    model = small(audio_channels=2)
    state = drawn(model.network.audio)
    state |= {
        "conv1.weight": torch.zeros(64, 3, 7, 7),
        "fc.weight": torch.zeros(1000, 512),
        "fc.bias": torch.zeros(1000),
    }
    torch.save(state, tmp_path / "resnet18.pth")
    before = model.network.audio.conv1.weight.clone()
    assert sorted(initialise(model, audio=tmp_path / "resnet18.pth")) == ["conv1.weight", "fc.bias", "fc.weight"]
    own = model.network.audio.state_dict()
    assert torch.equal(own["conv1.weight"], before) and torch.equal(own["bn1.weight"], state["bn1.weight"])
    assert torch.equal(own["layer4.1.conv2.weight"], state["layer4.1.conv2.weight"])
    with pytest.raises(ValueError, match="audio_network='resnet18'"):
        initialise(small(audio_network="small"), audio=tmp_path / "resnet18.pth")


# What a config refuses.


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"aspp_width": 30}, "30 \\+ detail_width 48 is not divided by 4 heads"),
        ({"decoder": "ocr", "head_width": 5}, "twice head_width 5 is not divided"),
        ({"audio_network": "vgg"}, "'vgg' takes one channel and 96 log-mel frames"),
        ({"mel_frames": 302}, "a window of 3.0 s has 301 log-mel frames"),
        ({"auxiliary_weight": 0.4}, "auxiliary_weight is 0.4 with decoder='deeplab'"),
        ({"output_stride": 4}, "output_stride 4 is none of 8, 16"),
        ({"heads": 0}, "heads 0, wanted 1 or more"),
    ],
)
def test_configs_that_contradict_themselves(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CAVPConfig(**fields)


def test_published_settings() -> None:
    assert SPEC.preset("vpo") == CAVPConfig()
    assert SPEC.preset("vpo_stereo", backbone="hrnet_w48").decoder == "hrnet"
    bench = SPEC.preset("avsbench", backbone="pvt_v2_b5")
    assert isinstance(bench, CAVPConfig)
    assert (bench.input.size, bench.audio_network, bench.mel_frames, bench.aspp_width) == ((224, 224), "vgg", 96, 64)
    assert to_dict(SPEC.preset("avss"))["output_stride"] == 16
    with pytest.raises(ValueError, match="cavp has no preset 'avsss'; did you mean 'avss'"):
        SPEC.preset("avsss")
