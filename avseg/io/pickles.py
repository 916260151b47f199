"""Tensors in plain pickle files, as S4 and MS3 ship their log-mel windows and some networks their weights; read
without executing anything.

Only the names that a pickled tensor or array needs are known to the reader, and each stands for a function of ours
that makes data. A pickle that names anything else is refused before the name is looked up.
"""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

from avseg.io.files import write_aside
from avseg.io.packed import is_file, open_binary


def read_tensor(path: Path) -> Tensor:
    """The tensor or array of a pickle file, detached.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a pickle of one tensor or array, or one that asks for anything else (nothing of it runs).
    """
    value = _unpickled(Path(path), "a pickled tensor", "pickle of a tensor", "compute it again from the sound")
    value = _as_tensor(value)
    if not isinstance(value, Tensor):
        raise ValueError(f"{path} holds a {type(value).__name__}, wanted one tensor or array of numbers")
    return value.detach().clone()


def read_tensors(path: Path) -> Any:
    """Read a pickle of weights: plain values, dictionaries and lists, with arrays as tensors.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a whole pickle, or one that asks for more than tensors and arrays need (nothing of it runs).
    """
    return _with_tensors(_unpickled(Path(path), "a pickle of weights", "pickle of weights", "download it again"))


def _unpickled(path: Path, what: str, wanted: str, advice: str) -> Any:
    if not is_file(path):
        raise FileNotFoundError(f"the pickle {path} is missing")
    try:
        with open_binary(path) as file:
            return _TensorUnpickler(file).load()
    except _RefusedError as error:
        raise ValueError(f"{path} is refused: it asks for {error}, which {what} does not need") from None
    except Exception as error:
        raise ValueError(f"{path} is not a complete {wanted} ({error}); {advice}") from error


def _with_tensors(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _with_tensors(item) for key, item in value.items()}
    return [_with_tensors(item) for item in value] if isinstance(value, list) else _as_tensor(value)


def _as_tensor(value: Any) -> Any:
    """An array of numbers as a tensor of its own memory; everything else as it is."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return torch.from_numpy(value.copy())
    return value.detach() if isinstance(value, Tensor) else value


def write_tensor(path: Path, tensor: Tensor) -> None:
    """Write a floating-point tensor as a plain pickle in the form that S4 and MS3 ship, whole or not at all.

    The same numbers give the same bytes.
    """
    with write_aside(Path(path)) as aside, aside.open("wb") as file:
        _StablePickler(file, protocol=4).dump(tensor.detach().cpu().contiguous().clone().requires_grad_())


class _StablePickler(pickle.Pickler):
    """Torch names a storage by its address in memory, which differs from run to run; here every storage is "0"."""

    def reducer_override(self, value: Any) -> Any:
        if not isinstance(value, torch.storage.TypedStorage):
            return NotImplemented
        made = io.BytesIO()
        torch.save(value, made, _use_new_zipfile_serialization=False)
        return torch.storage._load_from_bytes, (made.getvalue().replace(_text(str(value._cdata)), _text("0")),)


def _text(value: str) -> bytes:
    """A text as protocol 2 of pickle spells it."""
    return b"X" + len(value).to_bytes(4, "little") + value.encode()


class _RefusedError(Exception):
    """A name that no tensor needs."""


class _TensorUnpickler(pickle.Unpickler):
    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file)
        self.makers = _makers()  # fresh ones for every file: what a pickle does to them ends with it

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.makers:
            raise _RefusedError(f"{module}.{name}")
        return self.makers[module, name]

    def persistent_load(self, pid: Any) -> Any:
        raise _RefusedError("an object outside the file")


def _makers() -> dict[tuple[str, str], Any]:
    def storage(data: bytes) -> Any:
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)

    def tensor(store: Any, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any) -> Tensor:
        raw = store._untyped_storage
        empty = torch.empty(0, dtype=store.dtype)
        held = raw.nbytes() // empty.element_size()
        last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
        if min((offset, *size, *stride)) < 0 or prod(size) > held or (0 not in size and last >= held):
            raise ValueError("the tensor is larger than its data")
        return empty.set_(raw, offset, tuple(size), tuple(stride))

    array_kind = object()  # stands for the name numpy.ndarray, which a pickle could call with any size

    def array(kind: object, *_: Any) -> Any:
        if kind is not array_kind:
            raise ValueError("not a plain array")
        return np.ndarray((0,), dtype=np.int8)

    def buffered(
        data: bytes | bytearray,
        kind: np.dtype[Any],
        shape: tuple[int, ...],
        order: str,
        axes: tuple[int, ...] | None = None,
    ) -> Any:
        if order not in ("C", "F", "K") or kind.kind not in "biuf":
            raise ValueError("not a plain array")
        values = np.frombuffer(data, kind).reshape(shape, order="F" if order == "F" else "C")
        return values if axes is None else values.transpose(axes)  # K: NumPy 2.4 keeps the order in memory

    def text(value: str, encoding: str) -> bytes:
        if encoding != "latin1":
            raise ValueError("bytes of an array are written as latin1")
        return value.encode("latin1")

    return {
        ("torch._utils", "_rebuild_tensor_v2"): tensor,
        ("torch.storage", "_load_from_bytes"): storage,
        ("collections", "OrderedDict"): OrderedDict,
        ("numpy.core.multiarray", "_reconstruct"): array,
        ("numpy._core.multiarray", "_reconstruct"): array,
        ("numpy.core.numeric", "_frombuffer"): buffered,
        ("numpy._core.numeric", "_frombuffer"): buffered,
        ("numpy", "ndarray"): array_kind,
        ("numpy", "dtype"): np.dtype,
        ("_codecs", "encode"): text,
        ("__builtin__", "bytes"): lambda: b"",  # how old protocols write no bytes at all
    }
