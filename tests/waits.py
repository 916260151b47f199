"""A CPU that plays two machines, a host and a device, and writes down where the host would wait for the device.

`Here` are the tensors of the host; all others are taken for those of the device, which is called `cpu:0`. Tensors made
without that device, and what is made of tensors of the host alone, are the host's; `to("cpu:0")` brings them over.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from avseg.host import known
from avseg.types import Batch

ROOT = Path(__file__).parents[1] / "avseg"
READS = {
    *("item", "tolist", "cpu", "numpy", "__bool__", "__int__", "__float__", "__index__", "__contains__"),
    *("nonzero", "argwhere", "unique", "unique_consecutive", "_unique2", "bincount", "masked_select", "equal"),
    *("allclose", "is_nonzero", "new_tensor"),
}
"""Of a tensor of the device: functions that give numbers to the host, or take some from it."""
KERNELS = {
    *("_local_scalar_dense", "nonzero", "_unique2", "unique_dim", "unique_consecutive", "bincount", "masked_select"),
    *("equal", "is_nonzero", "repeat_interleave"),
}
"""The same where PyTorch calls them itself; `repeat_interleave` of counts that are a tensor."""


DEVICE = torch.device("cpu", 0)


class Here(Tensor):
    """A tensor of the host."""


class _Functions(TorchFunctionMode):
    def __init__(self, found: list[str]) -> None:
        super().__init__()
        self.found = found

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, named = getattr(func, "__name__", str(func)), kwargs or {}
        tensors = [x for x in tree_leaves((args, named)) if isinstance(x, Tensor)]
        here = [isinstance(x, Here) for x in tensors]
        with torch._C.DisableTorchFunctionSubclass():
            out = func(*args, **named)
        if isinstance(out, torch.device):
            return torch.device("cpu") if here == [True] else DEVICE
        if name in ("__get__", "__set__", "__len__", "dim", "size", "stride", "is_inference"):
            return _as(Here, out) if here == [True] else out
        if not tensors:
            return self._made(name, named, out)
        if all(here):
            moved = name == "to" and DEVICE in (*args, *named.values())
            return out.as_subclass(Tensor).clone() if moved else _as(Here, out)
        if any(own and x.ndim for own, x in zip(here, tensors, strict=True)):
            self._write(f"{name} of both")
        elif not any(here) and (name in READS or _reads_index(name, args)):
            self._write(name)
            return _as(Here, out) if name == "cpu" else out
        return out

    def _made(self, name: str, named: dict[str, Any], out: Any) -> Any:
        if named.get("device") is None or torch.device(named["device"]) != DEVICE:
            return _as(Here, out)
        if name in ("tensor", "as_tensor"):
            self._write(name)
        return out

    def _write(self, what: str) -> None:
        frames = [f for f in traceback.extract_stack() if f.filename.startswith(str(ROOT))]
        place = f"{Path(frames[-1].filename).relative_to(ROOT)}:{frames[-1].name}" if frames else "elsewhere"
        self.found.append(f"{place}: {what}")


class _Kernels(TorchDispatchMode):
    def __init__(self, found: list[str]) -> None:
        super().__init__()
        self.found = found

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        tensors = [x for x in tree_leaves((args, kwargs or {})) if isinstance(x, Tensor)]
        counts = name != "repeat_interleave" or func._overloadname == "Tensor"
        if name in KERNELS and counts and not all(isinstance(x, Here) for x in tensors):
            self.found.append(f"kernel {name}")
        return func(*args, **(kwargs or {}))


def _as(kind: type[Tensor], value: Any) -> Any:
    return tree_map(lambda x: x.as_subclass(kind) if isinstance(x, Tensor) and not x.requires_grad else x, value)


def _reads_index(name: str, args: tuple[Any, ...]) -> bool:
    """Whether an index is a mask, whose true places have to be counted, or a number that lies on the device."""
    if name not in ("__getitem__", "__setitem__", "index_put", "index_put_"):
        return False
    index = args[1] if isinstance(args[1], (tuple, list)) else (args[1],)
    masks = [x for x in index if isinstance(x, Tensor) and not isinstance(x, Here)]
    lists = any(isinstance(x, list) for x in index)
    return lists or any(x.dtype == torch.bool or x.ndim == 0 for x in masks)


@contextmanager
def waits() -> Iterator[list[str]]:
    """Where the host waits in the block: places in avseg and functions there, or kernels that PyTorch called itself."""
    found: list[str] = []
    with _Functions(found), _Kernels(found):
        yield found


def on_device(batch: Batch) -> Batch:
    """The batch as `Batch.to` brings it to a device."""

    def sent(value: Any) -> Any:
        return known(value.clone(), value.as_subclass(Here)) if isinstance(value, Tensor) else value

    moved = {f.name: sent(getattr(batch, f.name)) for f in fields(batch)}
    targets = [replace(t, **{f.name: sent(getattr(t, f.name)) for f in fields(t)}) for t in batch.targets or []]
    return replace(batch, **{**moved, "targets": targets or None})
