"""Deep ResNets, HRNet and PVT as dense prediction wants them: keys, sizes, and dilations that weights do not show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from timm.models.hrnet import HighResolutionNetFeatures
from torch import Tensor, nn
from torch.nn import functional as F

from avseg.nn.backbones import DeepResNet, make_backbone
from avseg.nn.empty import WithoutInitialisation
from avseg.nn.hrnet import HRNet

if TYPE_CHECKING:
    from avseg.nn.backbones import ImageBackbone

Sizes = list[tuple[int, int]]


def built(name: str, output_stride: int = 32) -> ImageBackbone:
    with torch.device("meta"):
        return make_backbone(name, output_stride=output_stride)


def sizes(name: str, height: int, width: int, output_stride: int = 32) -> Sizes:
    maps = built(name, output_stride)(torch.zeros(1, 3, height, width, device="meta"))
    return [(m.shape[2], m.shape[3]) for m in maps]


@pytest.mark.parametrize(
    ("name", "keys", "published", "ours", "count"),
    [
        ("resnet50_deep", "vpo_mono_r50_dlv3p_c22_res18", "backbone.backbone.", "stages.", 23_631_808),
        ("resnet101_deep", "vpo_mono_r101_dlv3p_c22_res18", "backbone.backbone.", "stages.", 42_623_936),
        ("hrnet_w48", "vpo_mono_hrnet_c22_res18", "backbone.", "", 65_325_120),
    ],
)
def test_keys_and_shapes_are_the_published_ones(
    golden: Any, name: str, keys: str, published: str, ours: str, count: int
) -> None:
    rows = golden(f"cavp/keys_{keys}.json")
    wanted = {ours + key.removeprefix(published): shape for key, shape in rows if key.startswith(published)}
    backbone = built(name)
    assert {key: list(tensor.shape) for key, tensor in backbone.state_dict().items()} == wanted
    assert sum(p.numel() for p in backbone.parameters()) == count


def test_pvt_has_as_many_tensors_and_numbers_as_published(golden: Any) -> None:
    backbone = built("pvt_v2_b5")
    rows = [shape for key, shape in golden("cavp/keys_avss_pvtb5_c71_vgg.json") if key.startswith("backbone.")]
    assert sorted(list(t.shape) for t in backbone.state_dict().values()) == sorted(rows)
    assert sum(p.numel() for p in backbone.parameters()) == 81_443_008


def test_pvt_normalises_all_four_maps() -> None:
    backbone = make_backbone("pvt_v2_b5", {"depths": (1, 1, 1, 1)}).eval()
    with torch.no_grad():
        for index, stage_map in enumerate(backbone(torch.randn(1, 3, 64, 64))):
            norm = backbone.get_submodule(f"stages.stages_{index}.norm")
            assert isinstance(norm, nn.LayerNorm) and norm.eps == 1e-6
            # A fresh norm scales by one and shifts by none, so each pixel's mean is 0 and its variance 1.
            assert torch.allclose(stage_map.mean(1), torch.zeros(()), atol=1e-5)
            assert torch.allclose(stage_map.var(1, unbiased=False), torch.ones(()), atol=1e-2)


@pytest.mark.parametrize(
    ("output_stride", "wanted"), [(8, [32, 16, 16, 16]), (16, [32, 16, 8, 8]), (32, [32, 16, 8, 4])]
)
@pytest.mark.parametrize("name", ["resnet50_deep", "resnet101_deep"])
def test_deep_resnets_keep_sizes_by_output_stride(name: str, output_stride: int, wanted: list[int]) -> None:
    assert sizes(name, 128, 128, output_stride) == [(side, side) for side in wanted]


def test_odd_sizes_round_up() -> None:
    plain = [(17, 25), (9, 13), (5, 7), (3, 4)]
    assert sizes("resnet50_deep", 65, 97, 16) == [*plain[:3], plain[2]]
    assert sizes("resnet50_deep", 65, 97, 8) == [*plain[:2], plain[1], plain[1]]
    assert sizes("hrnet_w48", 65, 97) == plain


def literal_stage(stage: Any, x: Tensor, stride: int, dilations: list[int]) -> Tensor:
    """Bottlenecks written out: 1x1, 3x3 with its stride and dilation, 1x1, added to what came in."""

    def normed(x: Tensor, norm: Any) -> Tensor:
        return F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias)

    for number, dilation in enumerate(dilations):
        block = stage[number]
        step = stride if number == 0 else 1
        out = F.relu(normed(F.conv2d(x, block.conv1.weight), block.bn1))
        out = F.conv2d(out, block.conv2.weight, stride=step, padding=dilation, dilation=dilation)
        out = normed(F.conv2d(F.relu(normed(out, block.bn2)), block.conv3.weight), block.bn3)
        if number == 0:
            x = normed(F.conv2d(x, block.downsample[0].weight, stride=step), block.downsample[1])
        x = F.relu(x + out)
    return x


@pytest.fixture(scope="module")
def weights() -> dict[str, Tensor]:
    torch.manual_seed(0)
    state = make_backbone("resnet50_deep").state_dict()
    # timm begins with residual branches that are off.
    return {k: torch.rand_like(v) + 0.5 if k.endswith("bn3.weight") else v for k, v in state.items()}


@pytest.mark.parametrize(
    ("output_stride", "side", "third", "fourth"),
    [
        (8, 72, (1, [1, 2, 2, 2, 2, 2]), (1, [2, 4, 8])),
        (16, 144, (2, [1] * 6), (1, [2, 4, 8])),
        (32, 64, (2, [1] * 6), (2, [1] * 3)),
    ],
)
def test_dilations_and_strides_are_effective(
    weights: dict[str, Tensor],
    output_stride: int,
    side: int,
    third: tuple[int, list[int]],
    fourth: tuple[int, list[int]],
) -> None:
    """On maps of 9 x 9 pixels, which a dilation of 8 still sees."""
    with WithoutInitialisation():
        backbone = make_backbone("resnet50_deep", output_stride=output_stride)
    assert isinstance(backbone, DeepResNet)
    backbone.load_state_dict(weights)
    with torch.no_grad():
        maps = backbone.eval()(torch.randn(1, 3, side, side))
        for index, (stride, dilations) in ((2, third), (3, fourth)):
            stage = backbone.get_submodule(f"stages.layer{index + 1}")
            wanted = literal_stage(stage, maps[index - 1], stride, dilations)
            assert torch.allclose(maps[index], wanted, rtol=1e-3, atol=1e-4 * float(wanted.abs().max()))


def timm_stage(block: str, modules: int, widths: tuple[int, ...]) -> dict[str, Any]:
    branches = len(widths)
    return {
        "num_modules": modules,
        "num_branches": branches,
        "block_type": block,
        "num_blocks": (4,) * branches,
        "num_channels": widths,
        "fuse_method": "SUM",
    }


def test_hrnet_equals_timm_with_bilinear_up_sampling() -> None:
    torch.manual_seed(0)
    layout = {
        "stem_width": 64,
        "stage1": timm_stage("BOTTLENECK", 1, (64,)),
        "stage2": timm_stage("BASIC", 1, (4, 8)),
        "stage3": timm_stage("BASIC", 4, (4, 8, 16)),
        "stage4": timm_stage("BASIC", 3, (4, 8, 16, 32)),
    }
    published = HighResolutionNetFeatures(layout, feature_location="", out_indices=(1, 2, 3, 4))
    for module in published.modules():
        if isinstance(module, nn.Upsample):
            module.mode, module.align_corners = "bilinear", True
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.1
    ours = HRNet(width=4).double()
    ours.load_state_dict(published.double().state_dict(), strict=True)
    images = torch.randn(2, 3, 32, 64, dtype=torch.float64)
    for training in (False, True):
        with torch.no_grad():
            pairs = zip(ours.train(training)(images), published.train(training)(images), strict=True)
            for a, b in pairs:
                assert torch.allclose(a, b, atol=1e-9 * float(b.abs().max()))


def test_hrnet_maps_have_gradients_at_odd_sizes() -> None:
    torch.manual_seed(0)
    network = make_backbone("hrnet_w48", {"width": 4, "modules": (1, 1, 1)}).double()
    assert network.channels == (4, 8, 16, 32)
    maps = network(torch.randn(2, 3, 67, 45, dtype=torch.float64))
    torch.stack([m.square().mean() for m in maps]).sum().backward()
    assert all(p.grad is not None for p in network.parameters())


def test_wrong_strides_and_options_are_refused() -> None:
    with pytest.raises(ValueError, match="only resnet50_deep and resnet101_deep can be dilated; wanted 32"):
        make_backbone("resnet50", output_stride=16)
    with pytest.raises(ValueError, match="hrnet_w48"):
        make_backbone("hrnet_w48", output_stride=8)
    with pytest.raises(ValueError, match="output_stride 4, wanted 8, 16 or 32"):
        make_backbone("resnet50_deep", output_stride=4)
    with pytest.raises(ValueError, match="the options depth; it has width and modules"):
        make_backbone("hrnet_w48", {"depth": 3})
    with pytest.raises(ValueError, match="did you mean 'resnet50_deep'"):
        make_backbone("resnet50_dep")
