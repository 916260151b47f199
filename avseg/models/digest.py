"""Fingerprints of the weights of models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


def update_with(digest: Any, state: Mapping[str, Tensor]) -> None:
    """Take names and bytes of tensors, in the order of their names, into a digest of `hashlib`."""
    for name, tensor in sorted(state.items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
