"""Whether two values are the same to the last bit."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import torch


def same(one: Any, other: Any, left_out: tuple[str, ...] = ()) -> None:
    """Two dataclasses of tensors, or two plain values, are equal."""
    assert type(one) is type(other)
    if isinstance(one, torch.Tensor):
        assert torch.equal(one.nan_to_num(-1), other.nan_to_num(-1))  # areas of no mask are NaN
    elif hasattr(one, "__dataclass_fields__"):
        for name in (field.name for field in fields(one) if field.name not in left_out):
            same(getattr(one, name), getattr(other, name))
    elif isinstance(one, list):
        assert len(one) == len(other)
        for mine, its in zip(one, other, strict=True):
            same(mine, its)
    else:
        assert one == other
