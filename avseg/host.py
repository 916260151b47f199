"""Host copies of tensors on a device, so that no step waits for the device.

A batch is made on the CPU and sent to a device, where kernels are queued and run later. Whoever then asks a tensor for
a number (`tolist`, `bool`, `nonzero`, a mask as an index) waits until all that was queued is done, and meanwhile
nothing new is queued. Which frames exist or carry labels, and what labels say, the host knew before: here it is kept.
"""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

_KNOWN: MutableMapping[Tensor, tuple[Tensor, int]] = WeakTensorKeyDictionary()
"""By tensor: its value on the CPU, and the version of the tensor that it is the value of."""


def known(tensor: Tensor, value: Tensor) -> Tensor:
    """The tensor itself, of which the host knows that it is `value`, a tensor of the CPU."""
    _KNOWN[tensor] = value, _version(tensor)
    return tensor


def on_host(tensor: Tensor) -> Tensor:
    """The tensor on the CPU: what is known of it, or else what the device says when it gets there."""
    value, version = _KNOWN.get(tensor, (None, None))
    return tensor.cpu() if value is None or version != _version(tensor) else value


def sent(tensor: Tensor, device: torch.device | str) -> Tensor:
    """A tensor on a device; the host goes on to know one of its own, and does not wait for it to arrive."""
    if tensor.device.type != "cpu":
        return tensor.to(device)
    if torch.device(device).type == "cuda":  # a copy of pinned memory is not waited for
        return known(tensor.pin_memory().to(device, non_blocking=True), tensor)
    there = tensor.to(device)
    return there if there is tensor else known(there, tensor)


def stacked(tensors: Sequence[Tensor]) -> Tensor:
    """`torch.stack`, of which the host knows what it knows of all the parts."""
    whole = torch.stack(list(tensors))
    if all(tensor in _KNOWN for tensor in tensors):
        known(whole, torch.stack([on_host(tensor) for tensor in tensors]))
    return whole


def places(mask: Tensor) -> tuple[Tensor, ...]:
    """Where a mask is true, as an index of each axis, on its device."""
    return tuple(sent(along, mask.device) for along in on_host(mask).nonzero(as_tuple=True))


def picked(values: Tensor, mask: Tensor) -> Tensor:
    """`values[mask]`: (..., C) and (...) bool -> (M, C), C being any axes."""
    found = values[places(mask)]
    return known(found, on_host(values)[on_host(mask)]) if values in _KNOWN else found


def _version(tensor: Tensor) -> int:
    """Grows when a tensor is written to, where PyTorch counts that."""
    return 0 if tensor.is_inference() else tensor._version
