"""VGGish against its published numbers; ResNet-18 and the small audio network."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from avseg.nn.audio_resnet import AudioResNet18
from avseg.nn.small_audio import SmallAudioNet
from avseg.nn.vggish import VGGish
from golden_recipe import seeded_state, sequence


def test_vggish_keys_and_published_numbers(golden: Any) -> None:
    keys, wanted = golden("tpavi/keys_vggish.json"), golden("tpavi/golden_audio.json")["vggish"]
    with torch.device("meta"):
        network = VGGish()
    assert [[name, list(t.shape)] for name, t in network.state_dict().items()] == keys
    assert sum(p.numel() for p in network.parameters()) == 72_141_184
    network.load_state_dict(seeded_state(keys), strict=True, assign=True)
    with torch.inference_mode():
        got = network(sequence((5, 1, 96, 64), 0.0137, 2.0))
    assert list(got.shape) == wanted["shape"]
    assert float(got.mean()) == pytest.approx(wanted["mean"], abs=1e-5)
    assert float(got.std(unbiased=False)) == pytest.approx(wanted["std"], abs=1e-4)
    assert float(got.max()) == pytest.approx(wanted["max"], abs=1e-5)
    assert int((got == 0).sum()) == wanted["zeros"]
    for *at, value in wanted["samples"]:
        assert float(got[tuple(at)]) == pytest.approx(value, abs=1e-5)


def test_small_network_is_small_and_learns() -> None:
    torch.manual_seed(0)
    network = SmallAudioNet(width=64)
    assert 100_000 <= sum(p.numel() for p in SmallAudioNet().parameters()) <= 250_000
    pictures, wanted = torch.randn(8, 1, 96, 64), torch.randn(8, 64)
    optimiser = torch.optim.Adam(network.parameters(), 1e-3)
    losses = []
    for _ in range(6):
        loss = (network(pictures) - wanted).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("channels", [(8,), (8, 16, 24), (4, 4, 8, 8, 8, 8)])
def test_small_network_in_other_sizes(channels: tuple[int, ...]) -> None:
    assert SmallAudioNet(32, channels, in_channels=2).eval()(torch.zeros(3, 2, 96, 64)).shape == (3, 32)


@pytest.mark.parametrize("frames", [1, 37, 96, 300])
def test_small_network_hears_any_length_in_stereo(frames: int) -> None:
    network = SmallAudioNet(32, (4, 8), in_channels=2).eval()
    pictures = torch.randn(3, 2, frames, 64)
    with torch.no_grad():
        got, swapped = network(pictures), network(pictures.flip(1))
    assert got.shape == (3, 32) and not torch.allclose(got, swapped)


@pytest.mark.parametrize(
    ("keys", "width", "channels", "count"),
    [
        ("vpo_mono_r50_dlv3p_c22_res18", 304, 1, 11_326_192),
        ("vpo_stereo_r50_dlv3p_c22_res18", 304, 2, 11_329_328),
        ("vpo_mono_hrnet_c22_res18", 720, 1, 11_539_600),
        ("vpo_stereo_ocr_c22_res18", 512, 2, 11_436_032),
        ("avss_r50_dlv3p_c71_vgg", 304, 0, 72_862_256),
        ("avss_pvtb5_c71_vgg", 112, 0, 72_075_632),
    ],
)
def test_published_audio_networks_of_cavp(golden: Any, keys: str, width: int, channels: int, count: int) -> None:
    """Counts are the published audio columns without `cls_head`, which no forward pass used."""
    prefix = "audio_backbone.backbone."
    with torch.device("meta"):
        network = AudioResNet18(width, channels) if channels else VGGish(width)
    wanted = {k.removeprefix(prefix): s for k, s in golden(f"cavp/keys_{keys}.json") if k.startswith(prefix)}
    assert {name: list(tensor.shape) for name, tensor in network.state_dict().items()} == wanted
    assert sum(p.numel() for p in network.parameters()) == count


def test_resnet_pools_by_the_maximum_and_ends_without_activation() -> None:
    torch.manual_seed(0)
    network = AudioResNet18(16, in_channels=2).eval()
    pictures = torch.randn(2, 2, 300, 64)
    with torch.no_grad():
        x = network.maxpool(torch.relu(network.bn1(network.conv1(pictures))))
        for name in ("layer1", "layer2", "layer3", "layer4"):
            x = network.get_submodule(name)(x)
        got = network(pictures)
        assert x.shape == (2, 512, 10, 2)
        assert torch.allclose(got, x.amax((2, 3)) @ network.fc.weight.T + network.fc.bias, atol=1e-5)
    assert bool((got < 0).any()) and bool((got > 0).any())


def test_vggish_of_another_width_begins_with_a_layer_of_its_own() -> None:
    torch.manual_seed(0)
    last = VGGish(304).embeddings[4]
    assert isinstance(last, torch.nn.Linear) and not last.bias.any()
    assert float(last.weight.detach().std()) == pytest.approx((2 / 4096) ** 0.5, rel=0.01)


def test_pictures_of_another_size_are_refused() -> None:
    with torch.device("meta"), pytest.raises(ValueError, match=r"\(2, 1, 98, 64\), wanted \(N, 1, 96, 64\)"):
        VGGish()(torch.zeros(2, 1, 98, 64))
    for network in (SmallAudioNet(), AudioResNet18()):
        with pytest.raises(ValueError, match=r"\(2, 1, 98, 60\), wanted \(N, 1, L, 64\)"):
            network(torch.zeros(2, 1, 98, 60))
        with pytest.raises(ValueError, match=r"\(2, 2, 98, 64\), wanted \(N, 1, L, 64\)"):
            network(torch.zeros(2, 2, 98, 64))
        with pytest.raises(ValueError, match=r"\(2, 1, 0, 64\)"):
            network(torch.zeros(2, 1, 0, 64))
    with pytest.raises(ValueError, match="1 to 6"):
        SmallAudioNet(channels=())
