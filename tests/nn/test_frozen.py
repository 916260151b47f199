"""Norms that training leaves alone."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import nn

from avseg.nn.backbones import make_backbone
from avseg.nn.empty import WithoutInitialisation
from avseg.nn.frozen import FrozenBatchNorm2d, freeze_norms


def with_statistics(network: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight.data, module.bias.data, module.running_mean, module.running_var):
                assert isinstance(tensor, torch.Tensor)
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
    return network


def test_a_frozen_resnet_counts_as_published_and_keeps_its_keys() -> None:
    with torch.device("meta"):
        free, frozen = (make_backbone("resnet50", frozen_norms=frozen) for frozen in (False, True))
    assert sum(p.numel() for p in frozen.parameters()) == 23_454_912
    assert sum(b.numel() for b in frozen.buffers()) == 106_240
    kept = {key for key in free.state_dict() if not key.endswith("num_batches_tracked")}
    assert set(frozen.state_dict()) == kept
    assert not any(isinstance(module, nn.BatchNorm2d) for module in frozen.modules())


@pytest.mark.parametrize("name", ["resnet10t", "mobilenetv4_conv_small_050"])
def test_frozen_norms_answer_as_in_evaluation_also_in_training(name: str) -> None:
    """The second keeps activations inside its norms."""
    network = with_statistics(timm.create_model(name, features_only=True)).eval()
    images = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        wanted = network(images)
        before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
        frozen = freeze_norms(network).train()
        for ours, theirs in zip(frozen(images), wanted, strict=True):
            assert torch.allclose(ours, theirs, atol=1e-5)
    after = frozen.state_dict()
    assert all(torch.equal(before[key], tensor) for key, tensor in after.items())


def test_the_picture_learns_through_a_frozen_norm_but_the_norm_does_not() -> None:
    norm = FrozenBatchNorm2d(3)
    norm.weight.mul_(2)
    norm.running_var.fill_(4.0 - 1e-5)
    x = torch.randn(2, 3, 4, 4, requires_grad=True)
    norm.train()(x).sum().backward()
    assert not list(norm.parameters())
    assert torch.allclose(x.grad if x.grad is not None else torch.empty(0), torch.ones(()))


def test_norms_without_factors_are_refused() -> None:
    with pytest.raises(ValueError, match="has no factors or no statistics"):
        freeze_norms(nn.Sequential(nn.BatchNorm2d(3, affine=False)))


def test_backbones_without_batch_norms_stay_as_they_are() -> None:
    options = {"embed_dim": 12, "num_heads": (1, 1, 1, 1), "depths": (1, 1, 1, 1)}
    with WithoutInitialisation():
        keys = [
            set(make_backbone("swin_tiny_patch4_window7_224", options, frozen_norms=frozen).state_dict())
            for frozen in (False, True)
        ]
    assert keys[0] == keys[1]
