"""Pickled tensors are read; nothing in a pickle runs."""

from __future__ import annotations

import collections
import io
import os
import pickle
import pickletools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from avseg.io.pickles import read_tensor, read_tensors, write_tensor


class Runs:
    """Pickles as a call of any function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


def dump(path: Path, value: Any, protocol: int = 4) -> Path:
    path.write_bytes(pickle.dumps(value, protocol=protocol))
    return path


def test_what_is_written_comes_back_without_gradient(tmp_path: Path) -> None:
    windows = torch.randn(5, 1, 96, 64)
    write_tensor(tmp_path / "a.pkl", windows)
    back = read_tensor(tmp_path / "a.pkl")
    assert torch.equal(back, windows)
    assert not back.requires_grad


def test_the_same_numbers_give_the_same_bytes(tmp_path: Path) -> None:
    windows = torch.randn(5, 1, 96, 64)
    kept = [windows.clone() for _ in range(3)]  # so that each lies elsewhere in memory
    for k, copy in enumerate(kept):
        write_tensor(tmp_path / f"{k}.pkl", copy)
    assert len({(tmp_path / f"{k}.pkl").read_bytes() for k in range(3)}) == 1


def test_written_form_is_the_published_one(tmp_path: Path) -> None:
    write_tensor(tmp_path / "a.pkl", torch.zeros(5, 1, 96, 64))
    data = (tmp_path / "a.pkl").read_bytes()
    texts = [argument for code, argument, _ in pickletools.genops(data) if "UNICODE" in code.name]
    assert texts == [
        "torch._utils",
        "_rebuild_tensor_v2",
        "torch.storage",
        "_load_from_bytes",
        "collections",
        "OrderedDict",
    ]
    assert pickle.loads(data).requires_grad  # what the published loaders detach


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("kind", ["float32", "float64", "int64", "strided", "empty"])
def test_tensors_and_arrays_of_every_protocol(tmp_path: Path, protocol: int, kind: str) -> None:
    full = torch.arange(24.0).reshape(2, 3, 4)
    tensor = {"strided": full[:, ::2].transpose(0, 2), "empty": torch.zeros(0, 3)}.get(kind)
    tensor = full.to(getattr(torch, kind)) if tensor is None else tensor
    assert torch.equal(read_tensor(dump(tmp_path / "t.pkl", tensor, protocol)), tensor)
    assert torch.equal(read_tensor(dump(tmp_path / "n.pkl", tensor.numpy(), protocol)), tensor)


@pytest.mark.parametrize("function", [os.system, eval, __import__, getattr, print, torch.load, np.load])
def test_a_malicious_pickle_is_refused_and_does_not_run(tmp_path: Path, function: Any) -> None:
    marker = tmp_path / "ran"
    path = dump(tmp_path / "evil.pkl", Runs(function, f"touch {marker}"))
    with pytest.raises(ValueError, match=r"is refused: it asks for .*does not need"):
        read_tensor(path)
    assert not marker.exists()


def test_a_malicious_storage_inside_is_refused(tmp_path: Path) -> None:
    inner = io.BytesIO()
    marker = tmp_path / "ran"
    torch.save(Runs(os.system, f"touch {marker}"), inner)
    path = dump(tmp_path / "evil.pkl", Runs(torch.storage._load_from_bytes, inner.getvalue()))
    with pytest.raises(ValueError, match="not a complete pickle"):
        read_tensor(path)
    assert not marker.exists()


@pytest.mark.parametrize(("size", "stride"), [((10**12,), (1,)), ((10**12,), (0,)), ((4,), (1,)), ((3,), (-1,))])
def test_a_tensor_past_its_own_bytes_is_refused(tmp_path: Path, size: tuple[int], stride: tuple[int]) -> None:
    inner = io.BytesIO()
    torch.save(torch.TypedStorage(3, dtype=torch.float32, _internal=True), inner, _use_new_zipfile_serialization=False)
    storage = Runs(torch.storage._load_from_bytes, inner.getvalue())
    hooks: Any = collections.OrderedDict()
    evil = Runs(torch._utils._rebuild_tensor_v2, storage, 0, size, stride, False, hooks)
    with pytest.raises(ValueError, match="is larger than its data"):
        read_tensor(dump(tmp_path / "evil.pkl", evil))


def test_a_giant_array_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not a complete pickle"):
        read_tensor(dump(tmp_path / "evil.pkl", Runs(np.ndarray, (10**13,))))


@pytest.mark.parametrize("value", [{"a": 1}, [torch.zeros(2)], "text", np.array(["text"])])
def test_anything_but_one_tensor_is_named(tmp_path: Path, value: Any) -> None:
    with pytest.raises(ValueError, match="wanted one tensor"):
        read_tensor(dump(tmp_path / "other.pkl", value))


def test_damaged_and_missing_files_are_named(tmp_path: Path) -> None:
    whole = dump(tmp_path / "a.pkl", torch.zeros(100)).read_bytes()
    for data in (b"", whole[:50], whole[:-30], b"hello"):
        (tmp_path / "a.pkl").write_bytes(data)
        with pytest.raises(ValueError, match=r"a\.pkl is not a complete pickle"):
            read_tensor(tmp_path / "a.pkl")
    with pytest.raises(FileNotFoundError, match=r"b\.pkl"):
        read_tensor(tmp_path / "b.pkl")


def test_weights_in_a_pickle_come_as_tensors_however_deep_they_lie(tmp_path: Path) -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    stored = {"model": {"a": array, "b": torch.ones(2)}, "names": ["x", array], "step": 7}
    read = read_tensors(dump(tmp_path / "weights.pkl", stored))
    assert torch.equal(read["model"]["a"], torch.from_numpy(array)) and torch.equal(read["model"]["b"], torch.ones(2))
    assert read["names"][0] == "x" and torch.equal(read["names"][1], torch.from_numpy(array)) and read["step"] == 7


def test_weights_that_would_run_are_refused(tmp_path: Path) -> None:
    path = dump(tmp_path / "weights.pkl", {"model": Runs(os.system, f"touch {tmp_path / 'ran'}")})
    with pytest.raises(ValueError, match="is refused"):
        read_tensors(path)
    assert not (tmp_path / "ran").exists()
