"""Image backbones: four maps at strides 4, 8, 16 and 32, through timm. Weights are never fetched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import timm
from torch import Tensor, nn

from avseg.config import did_you_mean

STRIDES = (4, 8, 16, 32)

TRAINING_DEFAULTS: dict[str, dict[str, Any]] = {"pvt_v2_b5": {"drop_path_rate": 0.1}}
"""Published settings that timm leaves out; stochastic depth works in training alone."""


class Backbone(nn.Module):
    """A timm network cut after its four stages; `resnet50` has the layout and names of torchvision's."""

    def __init__(self, name: str, options: Mapping[str, Any] | None = None) -> None:
        """
        Args:
            name: any model of timm that gives features at strides 4, 8, 16, 32.
            options: passed to timm as they are.

        Raises:
            ValueError: a name that timm does not have, or features at other strides.
        """
        super().__init__()
        if not timm.is_model(name):
            raise ValueError(f"timm has no model {name!r}; {_near(name)}")
        wanted = {**TRAINING_DEFAULTS.get(name, {}), **(options or {})}
        self.stages = timm.create_model(
            name, pretrained=False, features_only=True, out_indices=(-4, -3, -2, -1), **wanted
        )
        strides = tuple(self.stages.feature_info.reduction())
        if strides != STRIDES:
            raise ValueError(f"backbone {name!r} gives maps at strides {strides}, wanted {STRIDES}")

    @property
    def channels(self) -> tuple[int, ...]:
        """Widths of the four maps."""
        return tuple(self.stages.feature_info.channels())

    def forward(self, images: Tensor) -> list[Tensor]:
        """(N, 3, H, W) normalised pictures -> four maps (N, C_i, H / stride_i, W / stride_i)."""
        return list(self.stages(images))


def _near(name: str) -> str:
    near = did_you_mean(name, timm.list_models())
    return near.split("?")[0] + "?" if "?" in near else "timm.list_models() lists them"
