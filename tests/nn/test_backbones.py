"""Backbones through timm, by the names that published files have."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from avseg.nn.backbones import Backbone
from avseg.nn.empty import WithoutInitialisation


def built(name: str, **options: Any) -> Backbone:
    with torch.device("meta"):
        return Backbone(name, options)


def test_resnet50_has_the_names_of_torchvision(golden: Any) -> None:
    rows = golden("tpavi/map_resnet_to_torchvision.json")["map"]
    assert set(built("resnet50").stages.state_dict()) == {used for _, used, _ in rows if used}


def test_pvt_has_stochastic_depth_in_training_by_default() -> None:
    with WithoutInitialisation():
        rates = [m.drop_prob for m in Backbone("pvt_v2_b5").modules() if hasattr(m, "drop_prob")]
    assert max(rates) == pytest.approx(0.1)


@pytest.mark.parametrize("name", ["test_resnet", "mobilenetv4_conv_small_050", "edgenext_xx_small", "mambaout_femto"])
def test_any_timm_model_gives_four_maps(name: str) -> None:
    backbone = Backbone(name).eval()
    with torch.no_grad():
        maps = backbone(torch.randn(1, 3, 64, 96))
    assert [tuple(m.shape) for m in maps] == [
        (1, c, 64 // s, 96 // s) for c, s in zip(backbone.channels, (4, 8, 16, 32), strict=True)
    ]


def test_unknown_names_and_wrong_strides_are_refused() -> None:
    with pytest.raises(ValueError, match="did you mean 'resnet50'"):
        Backbone("resnet5O")
    with pytest.raises(ValueError, match="strides"):
        Backbone("vit_tiny_patch16_224")
