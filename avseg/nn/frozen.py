"""Batch normalisation that training leaves alone."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Network = TypeVar("Network", bound=nn.Module)

NAMES = ("weight", "bias", "running_mean", "running_var")


class FrozenBatchNorm2d(nn.Module):
    """Normalises by fixed statistics and factors, in training too. All four are buffers, under batch norm's names."""

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, eps: float = 1e-5, after: nn.Module | None = None) -> None:
        """
        Args:
            channels: of the maps.
            eps: added to the variance.
            after: applied to what is normalised; for the activations that timm keeps inside its norms.
        """
        super().__init__()
        self.eps = eps
        self.register_buffer("weight", torch.ones(channels))
        self.register_buffer("bias", torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.after = nn.Identity() if after is None else after

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        normed = F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        out: Tensor = self.after(normed)
        return out


def freeze_norms(network: Network) -> Network:
    """Put a `FrozenBatchNorm2d` of the same numbers in the place of every batch normalisation below a network.

    In place; the keys stay, but for `num_batches_tracked`, which goes. Returns the network.

    Raises:
        ValueError: a norm that has no factors or statistics to keep.
    """
    for name, child in network.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(network, name, _frozen(child))
        else:
            freeze_norms(child)
    return network


def _frozen(norm: nn.BatchNorm2d) -> FrozenBatchNorm2d:
    if any(getattr(norm, name) is None for name in NAMES):
        raise ValueError(f"{norm} has no factors or no statistics, so it cannot be frozen; leave the norms as they are")
    inside = [child for child in norm.children() if not isinstance(child, nn.Identity)]
    frozen = FrozenBatchNorm2d(norm.num_features, norm.eps, nn.Sequential(*inside) if inside else None)
    for name in NAMES:  # not copied into place, so that tensors stay on their device
        setattr(frozen, name, getattr(norm, name).detach())
    return frozen.train(norm.training)
