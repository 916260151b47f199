"""Bounds of what losses may be set to: the last value that is right, and the first beyond it."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from avseg.losses import info_nce
from avseg.losses.config import AVMConfig, ContrastConfig, QueryConfig, SetConfig

RIGHT: list[tuple[type, str, Any]] = [
    (AVMConfig, "weight", 0.0),
    (AVMConfig, "stages", (0,)),
    *[(ContrastConfig, name, value) for name, value in (("weight", 0.0), ("temperature", 1e-3), ("limit", 2))],
    *[(ContrastConfig, "overwrite", share) for share in (0.0, 1.0)],
    *[(ContrastConfig, name, 1) for name in ("views", "slots")],
    *[(SetConfig, "importance", share) for share in (0.0, 1.0)],
    *[(SetConfig, name, 1) for name in ("points", "oversample")],
    *[(QueryConfig, "alpha", share) for share in (0.0, 1.0)],
]
WRONG: list[tuple[type, str, Any]] = [
    (AVMConfig, "weight", -0.01),
    (AVMConfig, "stages", (1, -1)),
    *[(ContrastConfig, name, value) for name, value in (("weight", -0.01), ("temperature", 0.0), ("limit", 1))],
    *[(ContrastConfig, "overwrite", share) for share in (-0.01, 1.01)],
    *[(ContrastConfig, name, 0) for name in ("views", "slots")],
    *[(SetConfig, "importance", share) for share in (-0.01, 1.01)],
    (SetConfig, "points", 0),
    (SetConfig, "oversample", 0.99),
    *[(QueryConfig, "alpha", share) for share in (-0.01, 1.01)],
]
for _kind, _names in (
    (SetConfig, ("class_weight", "mask_weight", "dice_weight", "no_object_weight", "similarity_weight")),
    (QueryConfig, ("class_weight", "box_weight", "giou_weight", "mask_weight", "dice_weight", "gamma")),
):
    RIGHT += [(_kind, name, 0.0) for name in _names]
    WRONG += [(_kind, name, -0.01) for name in _names]


@pytest.mark.parametrize(("kind", "name", "value"), RIGHT)
def test_the_last_right_value_is_taken(kind: type, name: str, value: Any) -> None:
    assert getattr(kind(**{name: value}), name) == value


@pytest.mark.parametrize(("kind", "name", "value"), WRONG)
def test_the_first_wrong_value_is_refused_by_name(kind: type, name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=name):
        kind(**{name: value})


def test_the_term_of_pixels_alone_has_the_temperature_of_the_configuration() -> None:
    pixels = torch.nn.functional.normalize(torch.randn(6, 4, generator=torch.Generator().manual_seed(0)), dim=1)
    labels = torch.tensor([1, 1, 1, 2, 2, 2])
    assert ContrastConfig().temperature == 0.1
    assert torch.equal(info_nce(pixels, labels), info_nce(pixels, labels, 0.1))
    assert not torch.equal(info_nce(pixels, labels), info_nce(pixels, labels, 0.2))
