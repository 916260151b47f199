"""Converting and initialising from published files: every tensor is accounted for, nothing is run."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from avseg.models import initialise, load_model, save_model
from avseg.models.convert import read_checkpoint, rename_keys, unwrapped
from avseg.models.tpavi.convert import convert, convert_file, find_variant
from avseg.types import Task
from models.small import small_model


@pytest.fixture(scope="module")
def vggish(golden: Any) -> dict[str, Tensor]:
    return {name: torch.zeros(()).expand(shape) for name, shape in golden("tpavi/keys_vggish.json")}


@pytest.fixture
def upstream(golden: Any) -> dict[str, Tensor]:
    """Tensors that take no room: what is tested is names and shapes."""
    return {name: torch.zeros(()).expand(shape) for name, shape in golden("tpavi/keys_s4_r50.json")}


@pytest.mark.parametrize(("backbone", "name"), [("r50", "resnet50"), ("pvt", "pvt_v2_b5")])
def test_ms3_keys_load_strictly(golden: Any, vggish: dict[str, Tensor], backbone: str, name: str) -> None:
    """Those of S4 and AVSS do in the tests of the golden numbers."""
    state = {n: torch.zeros(()).expand(s) for n, s in golden(f"tpavi/keys_ms3_{backbone}.json")}
    config = convert(state, Task("binary"), vggish=vggish, variant="ms3").config
    assert config.backbone == name and config.stages == (0, 1, 2, 3)
    assert config.align_bias and not config.valid_mask and config.avm is not None


def test_s4_and_ms3_must_be_told_apart(upstream: dict[str, Tensor], golden: Any) -> None:
    with pytest.raises(ValueError, match="--variant s4 or --variant ms3"):
        find_variant(upstream, None)
    with pytest.raises(ValueError, match="one class"):
        find_variant(upstream, "avss")
    semantic = {"output_conv.4.weight": torch.zeros(71, 32, 1, 1)}
    assert find_variant(semantic, None) == "avss"
    with pytest.raises(ValueError, match="not to s4"):
        find_variant(semantic, "s4")
    with pytest.raises(ValueError, match="not a TPAVI checkpoint"):
        find_variant({"a": torch.zeros(1)}, None)


def faulty(upstream: dict[str, Tensor]) -> Iterator[tuple[dict[str, Tensor], str]]:
    yield {**upstream, "stranger.weight": torch.zeros(1)}, "stranger.weight"
    yield {**upstream, "resnet.layer9.weight": torch.zeros(1)}, "resnet.layer9.weight|layer9.weight"
    yield (
        {k: v for k, v in upstream.items() if k != "conv2.conv2d_list.1.bias"},
        r"missing: network.neck.1.branches.1.bias",
    )
    yield {**upstream, "output_conv.0.bias": torch.zeros(5)}, r"head.first.bias \(5,\), wanted \(128,\)"
    yield {**upstream, "tpavi_b1.g.weight": torch.zeros(128, 256, 3, 1, 1)}, "misshaped"
    yield {k: v for k, v in upstream.items() if not k.startswith("resnet.")}, "one backbone"
    yield {**upstream, "resnet.layer3.0.conv1.weight": torch.zeros(1)}, "twice"


def test_extra_missing_misshaped_and_doubled_keys_are_named(
    upstream: dict[str, Tensor], vggish: dict[str, Tensor]
) -> None:
    for state, message in faulty(upstream):
        with pytest.raises(ValueError, match=message):
            convert(state, Task("binary"), vggish=vggish, variant="s4")
    with pytest.raises(ValueError, match=r"audio_network\.features\.0\.bias"):
        convert(
            upstream, Task("binary"), vggish={k: v for k, v in vggish.items() if k != "features.0.bias"}, variant="s4"
        )
    with pytest.raises(ValueError, match="semantic task 3"):
        convert(upstream, Task("semantic", ("a", "b")), vggish=vggish, variant="s4")


def test_a_network_without_attention_is_recognised(upstream: dict[str, Tensor], vggish: dict[str, Tensor]) -> None:
    bare = {name: tensor for name, tensor in upstream.items() if not name.startswith("tpavi_")}
    model = convert(bare, Task("binary"), vggish=vggish, variant="ms3")
    assert model.config.stages == () and model.config.avm is None


def test_wrapped_and_prefixed_checkpoints_are_the_bare_one(tmp_path: Path) -> None:
    bare = {"a.weight": torch.arange(3.0), "b": torch.ones(2)}
    prefixed = {f"module.{name}": tensor for name, tensor in bare.items()}
    for content in (bare, prefixed, {"state_dict": prefixed, "epoch": 3}, {"model": {"state_dict": bare}}):
        torch.save(content, tmp_path / "c.pth")
        read = read_checkpoint(tmp_path / "c.pth")
        assert list(read) == list(bare) and all(torch.equal(read[k], bare[k]) for k in bare)
    with pytest.raises(ValueError, match="no tensors by name"):
        unwrapped({"epoch": 3})
    with pytest.raises(FileNotFoundError):
        read_checkpoint(tmp_path / "absent.pth")


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_a_malicious_pickle_does_not_run(tmp_path: Path) -> None:
    sprung = tmp_path / "sprung"
    torch.save({"state_dict": Trap(sprung)}, tmp_path / "a.pth")
    (tmp_path / "b.pth").write_bytes(pickle.dumps(Trap(sprung)))
    (tmp_path / "c.pth").write_bytes(b"")
    (tmp_path / "d.pth").write_text("no pickle at all")
    for name in "abcd":
        with pytest.raises(ValueError, match="cannot be read as a checkpoint") as raised:
            read_checkpoint(tmp_path / f"{name}.pth")
        assert "weights_only" not in str(raised.value)
    assert not sprung.exists()
    pickle.loads((tmp_path / "b.pth").read_bytes())
    assert sprung.exists()


def test_damaged_checkpoints_are_refused_whatever_the_reader_raises(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(3)}, tmp_path / "whole.pth", _use_new_zipfile_serialization=False)
    whole = (tmp_path / "whole.pth").read_bytes()
    for content in (b"\x80\x02R.", b"\x80\x02s.", b"\x80\x02h\x05.", whole[:-9]):
        (tmp_path / "spoilt.pth").write_bytes(content)
        with pytest.raises(ValueError, match="cannot be read as a checkpoint"):
            read_checkpoint(tmp_path / "spoilt.pth")
    save_file({"a": torch.zeros(3)}, tmp_path / "spoilt.safetensors")
    (tmp_path / "spoilt.safetensors").write_bytes((tmp_path / "spoilt.safetensors").read_bytes()[:-1])
    with pytest.raises(ValueError, match="is not a whole safetensors file"):
        read_checkpoint(tmp_path / "spoilt.safetensors")
    torch.save({1: torch.zeros(3)}, tmp_path / "spoilt.pth")
    with pytest.raises(ValueError, match="no tensors by name"):
        read_checkpoint(tmp_path / "spoilt.pth")


def test_rules_name_what_they_do_not_know_and_what_clashes() -> None:
    state = {"a.x": torch.zeros(1), "b.x": torch.zeros(1), "c": torch.zeros(1)}
    assert set(rename_keys(state, [(r"[ab]\.(.*)", None), ("c", "d")])) == {"d"}
    with pytest.raises(ValueError, match=r"twice: b\.x -> x"):
        rename_keys(state, [(r"[ab]\.(.*)", r"\1"), ("c", None)])
    with pytest.raises(ValueError, match="unknown names: c;"):
        rename_keys(state, [(r"[ab]\.(.*)", None)])


def test_file_to_file_and_back(golden: Any, tmp_path: Path) -> None:
    """With real files, once, for the smaller network."""
    g = torch.Generator().manual_seed(0)
    state = {n: torch.randn(s, generator=g) if s else torch.tensor(0) for n, s in golden("tpavi/keys_s4_r50.json")}
    torch.save({"state_dict": {f"module.{name}": tensor for name, tensor in state.items()}}, tmp_path / "s4.pth")
    with pytest.raises(ValueError, match="--vggish"):
        convert_file(tmp_path / "s4.pth", tmp_path / "out.safetensors", variant="s4")
    with pytest.raises(ValueError, match="wanted one of s4, ms3, avss"):
        convert_file(tmp_path / "s4.pth", tmp_path / "out.safetensors", variant="s5")
    audio = {
        n: torch.randn(s[:1]).reshape(-1, *[1] * (len(s) - 1)).expand(s) for n, s in golden("tpavi/keys_vggish.json")
    }
    torch.save(audio, tmp_path / "vggish.pth")
    out = convert_file(tmp_path / "s4.pth", tmp_path / "out.safetensors", variant="s4", vggish=tmp_path / "vggish.pth")
    model = load_model(out)
    own = model.state_dict()
    assert torch.equal(own["network.neck.2.branches.3.weight"], state["conv3.conv2d_list.3.weight"])
    assert torch.equal(own["network.attention.0.query.weight"], state["tpavi_b1.theta.weight"][:, :, 0, 0, 0])
    assert torch.equal(own["network.backbone.stages.layer4.2.conv3.weight"], state["resnet.layer4_1.2.conv3.weight"])
    assert torch.equal(own["network.decoder.0.enter.first.bias"], state["path1.resConfUnit1.conv1.bias"])
    assert torch.equal(own["audio_network.embeddings.4.bias"], audio["embeddings.4.bias"])


def test_initialise_takes_a_backbone_file_and_leaves_the_classifier(tmp_path: Path) -> None:
    model = small_model(backbone="resnet18", width=8, inner=4)
    stages = model.network.backbone.stages
    state = {name: torch.randn_like(t) if t.is_floating_point() else t for name, t in stages.state_dict().items()}
    torch.save({**state, "fc.weight": torch.zeros(2, 2), "fc.bias": torch.zeros(2)}, tmp_path / "resnet.pth")
    assert initialise(model, backbone=tmp_path / "resnet.pth") == ["fc.weight", "fc.bias"]
    assert torch.equal(stages.state_dict()["layer4.1.conv2.weight"], state["layer4.1.conv2.weight"])
    state.pop("conv1.weight")
    torch.save(state, tmp_path / "broken.pth")
    with pytest.raises(ValueError, match="resnet18"):
        initialise(model, backbone=tmp_path / "broken.pth")


def test_initialise_reads_the_published_backbone_files(golden: Any, tmp_path: Path) -> None:
    from avseg.models.convert import PVT_RULES, RESNET_RULES
    from avseg.nn.backbones import Backbone

    for name, prefix, rules, keys in (
        ("resnet50", "resnet.", RESNET_RULES, [k for k, _, _ in golden("tpavi/map_resnet_to_torchvision.json")["map"]]),
        ("pvt_v2_b5", "encoder_backbone.", PVT_RULES, [k for k, _ in golden("tpavi/map_pvt_to_timm.json")["map"]]),
    ):
        published = {k.removeprefix(prefix).replace("_1.", "."): torch.zeros(1) for k in keys if "_2." not in k}
        with torch.device("meta"):
            own = set(Backbone(name, {"drop_path_rate": 0.0}).stages.state_dict())
        assert (
            set(rename_keys({**published, "head.weight": torch.zeros(1)} if "pvt" in name else published, rules)) == own
        )


def test_initialise_takes_what_agrees_with_another_model_file(tmp_path: Path) -> None:
    first = small_model(stages=(0, 1), dilations=(3, 6))
    save_model(first, tmp_path / "first.safetensors")
    second = small_model(dilations=(3, 6))
    torch.nn.init.ones_(second.network.head.first.weight)
    left = initialise(second, model_file=tmp_path / "first.safetensors")
    assert left == []
    assert torch.equal(second.network.head.first.weight, first.network.head.first.weight)
    other = small_model(width=8, inner=4, dilations=(3, 6))
    left = initialise(other, model_file=tmp_path / "first.safetensors")
    assert "network.head.first.weight" in left and "network.backbone.stages.conv1.0.weight" not in left
    with pytest.raises(ValueError, match="audio_network='vggish'"):
        initialise(second, vggish=tmp_path / "v.pth")
