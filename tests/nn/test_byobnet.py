"""The smallest backbone is timm's, to the last bit that counts."""

from __future__ import annotations

import timm
import torch
from torch import nn

from avseg.nn.backbones import make_backbone
from avseg.nn.byobnet import NAME, SmallBackbone


def of_timm() -> nn.Module:
    network = timm.create_model(NAME, features_only=True, out_indices=(-4, -3, -2, -1))
    assert isinstance(network, nn.Module)
    return network


def with_numbers(network: nn.Module) -> nn.Module:
    """Random factors and statistics, also where networks begin with ones and zeros."""
    generator = torch.Generator().manual_seed(0)
    for tensor in network.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand(tensor.shape, generator=generator, dtype=tensor.dtype) + 0.1)
    return network


def test_equals_timm_in_names_numbers_and_gradients() -> None:
    theirs, ours = with_numbers(of_timm().double()), SmallBackbone().double()
    ours.stages.load_state_dict(theirs.state_dict(), strict=True)
    assert ours.channels == (32, 64, 128, 256)
    images = torch.randn(2, 3, 75, 101, dtype=torch.float64)  # maps of odd sizes are rounded up
    for training in (False, True):
        theirs.train(training), ours.train(training)
        for one, other in zip(ours(images), theirs(images), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)
    sum(x.mean() for x in ours(images)).backward()
    sum(x.mean() for x in theirs(images)).backward()
    wanted = {name: parameter.grad for name, parameter in theirs.named_parameters()}
    for name, parameter in ours.stages.named_parameters():
        torch.testing.assert_close(parameter.grad, wanted[name], rtol=1e-8, atol=1e-10)


def test_begins_as_timm_does() -> None:
    torch.manual_seed(0)
    theirs, ours = of_timm().state_dict(), SmallBackbone().stages.state_dict()
    for name, tensor in ours.items():
        if tensor.ndim < 4:
            assert torch.equal(tensor, theirs[name]), name
        elif tensor.numel() > 2000:
            assert abs(float(tensor.std() / theirs[name].std()) - 1) < 0.1, name


def test_its_norms_can_be_frozen_and_options_are_timms() -> None:
    frozen = make_backbone(NAME, frozen_norms=True)
    assert isinstance(frozen, SmallBackbone)
    assert not [module for module in frozen.modules() if isinstance(module, nn.BatchNorm2d)]
    narrow = make_backbone(NAME, {"in_chans": 3})
    assert not isinstance(narrow, SmallBackbone)
    assert set(narrow.state_dict()) == set(SmallBackbone().state_dict())
