"""What files are: published weights in every wrapping, our own model files, and files that are neither."""

from __future__ import annotations

import json
import pickle
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from avseg.cli import run
from avseg.demo import MODEL_FILE
from avseg.models import save_model
from avseg.weights.files import verify
from models.small import small_model
from weights.test_recognise import PUBLISHED

GOLDEN = Path(__file__).parents[1] / "golden"


def seeded(name: str, seed: int = 0) -> dict[str, Tensor]:
    """Tensors of a published list that take no room: numbers of one small storage, each many times."""
    pool = torch.randn(512, generator=torch.Generator().manual_seed(seed))
    folder, _, file = name.partition("/")
    rows = json.loads((GOLDEN / folder / f"keys_{file}.json").read_text(encoding="utf-8"))
    return {key: pool[place % len(pool)].expand(shape) for place, (key, shape, *_) in enumerate(rows)}


def prefixed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"module.{name}": tensor for name, tensor in state.items()}


WRAPPINGS: dict[str, Callable[[dict[str, Tensor]], Any]] = {
    "bare": lambda state: state,
    "model": lambda state: {"model": state, "epoch": 3, "optimizer": {"state": {0: torch.ones(2)}, "param_groups": []}},
    "state_dict": lambda state: {"state_dict": prefixed(state)},
    "module": prefixed,
    "nested": lambda state: {"model": {"state_dict": prefixed(state)}, "iteration": 7},
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_files_are_known_bare_and_wrapped(name: str, tmp_path: Path) -> None:
    wrapping = list(WRAPPINGS)[1 + list(PUBLISHED).index(name) % (len(WRAPPINGS) - 1)]
    for kind, suffix in (("bare", "pth"), (wrapping, "pt")):
        check(name, kind, tmp_path / f"{kind}.{suffix}")


@pytest.mark.parametrize("kind", WRAPPINGS)
def test_every_wrapping_is_taken_off(kind: str, tmp_path: Path) -> None:
    check("tpavi/vggish", kind, tmp_path / "file.pth")
    check("cavp/avss_r50_dlv3p_c71_vgg", kind, tmp_path / "other.pt")


def check(name: str, kind: str, file: Path) -> None:
    """A published list in a file, wrapped, is known as itself."""
    state = seeded(name)
    torch.save(WRAPPINGS[kind](state), file)
    verdict = verify(file)
    assert verdict.rows["record"] == PUBLISHED[name]
    assert verdict.rows["tensors"] == str(len(state)) and verdict.rows["missing"] == "none"
    assert verdict.problem == "" and not verdict.differences.count


def vggish() -> dict[str, Tensor]:
    """Small enough to be written as it is: the PCA, whose list has two tensors."""
    return {name: tensor.contiguous() for name, tensor in seeded("tpavi/vggish_pca").items()}


def write_old(path: Path) -> None:
    torch.save(vggish(), path, _use_new_zipfile_serialization=False)


def write_arrays(path: Path) -> None:
    path.write_bytes(pickle.dumps({"model": {name: t.numpy() for name, t in vggish().items()}, "__author__": "x"}))


READABLE: dict[str, Callable[[Path], None]] = {
    "safetensors": lambda path: save_file(vggish(), path.with_suffix(".safetensors")),
    "old.pth": write_old,
    "arrays.pkl": write_arrays,
}


@pytest.mark.parametrize("name", READABLE)
def test_every_kind_of_file_is_read(name: str, tmp_path: Path) -> None:
    READABLE[name](tmp_path / f"file.{name}")
    [file] = tmp_path.iterdir()
    assert verify(file).rows["record"] == "vggish_pca"


def test_what_is_said_of_a_published_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(seeded("cavp/vpo_stereo_ocr_c22_res18"), tmp_path / "a file.pth")
    rows = verify(tmp_path / "a file.pth").rows
    assert rows["family"] == "cavp" and rows["variant"] == "VPO stereo (22 classes), OCR"
    assert (rows["backbone"], rows["tensors"], rows["licence"]) == ("hrnet_w48", "2046", "not stated")
    assert rows["taken by"] == f"avseg convert cavp '{tmp_path}/a file.pth' -o model.safetensors"
    assert run(["weights", "verify", str(tmp_path / "a file.pth")]) == 0
    said = capsys.readouterr()
    assert "cavp_vpo_stereo_ocr" in said.out and "hrnet_w48" in said.out and said.err == ""


def test_what_differs_is_said_and_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = seeded("tpavi/avss_r50")
    state["output_conv.4.weight"] = torch.zeros(71, 32, 3, 3)
    state |= {f"extra.{number}": torch.zeros(1) for number in range(12)}
    del state["path1.resConfUnit1.conv1.bias"]
    torch.save(state, tmp_path / "other.pth")
    verdict = verify(tmp_path / "other.pth")
    assert verdict.rows["missing"] == "1: path1.resConfUnit1.conv1.bias"
    assert verdict.rows["superfluous"].startswith("12: extra.0; extra.1;")
    assert verdict.rows["superfluous"].endswith("extra.9; and 2 more")
    assert verdict.rows["other shapes"] == "1: output_conv.4.weight (71, 32, 3, 3), wanted (71, 32, 1, 1)"
    assert run(["weights", "verify", str(tmp_path / "other.pth")]) == 1
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    wanted = "differs from tpavi_avss_r50: 1 tensor missing, 12 tensors superfluous, 1 tensor with another shape"
    assert wanted in said.err and "extra.0" in said.out


def test_model_files_of_this_library(tmp_path: Path) -> None:
    rows = verify(MODEL_FILE).rows
    assert rows["record"] == "model file of avseg, format 1" and rows["family"] == "tpavi"
    assert rows["missing"] == rows["superfluous"] == rows["other shapes"] == "none"
    file = save_model(small_model(), tmp_path / "model.safetensors", {"origin": "a test"})
    assert verify(file).problem == "" and verify(file).rows["origin"] == "a test"
    with safe_open(file, "pt") as opened:
        metadata = opened.metadata()
    state = load_file(file)
    first = next(iter(state))
    lacking = {name: tensor for name, tensor in state.items() if name != first}
    save_file({**lacking, "stranger": torch.zeros(1)}, file, metadata=metadata)
    verdict = verify(file)
    assert verdict.differences.missing == (first,) and verdict.differences.superfluous == ("stranger",)
    assert "not a complete model file: 1 tensor missing, 1 tensor superfluous" in verdict.problem
    assert run(["weights", "verify", str(file)]) == 1


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def archive() -> bytes:
    """A whole file of torch.save."""
    import io

    made = io.BytesIO()
    torch.save(vggish(), made)
    return made.getvalue()


def flipped(content: bytes) -> bytes:
    """One byte inside a tensor of noise changed."""
    place = content.index(vggish()["pca_eigen_vectors"].numpy().tobytes()) + 99
    return content[:place] + bytes([content[place] ^ 255]) + content[place + 1 :]


def tensors() -> bytes:
    from safetensors.torch import save

    return save(vggish())


def own(**changes: str) -> bytes:
    """A model file of this library whose header has other values."""
    from safetensors.torch import save

    header = {"format_version": "1", "family": "tpavi", "config": "{}", "task": '{"kind": "binary"}'}
    return save({"a": torch.zeros(1)}, metadata={**header, **changes})


def jpeg() -> bytes:
    import io

    made = io.BytesIO()
    Image.new("RGB", (8, 8)).save(made, "JPEG")
    return made.getvalue()


def zipped() -> bytes:
    import io

    made = io.BytesIO()
    np.savez(made, a=np.zeros(3))
    return made.getvalue()


NOISE = np.random.RandomState(0).bytes(4000)
HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "text.pth": (lambda: b"hello\nthere", "is a text"),
    "text.safetensors": (lambda: b"hello", "is a text"),
    "long_text.safetensors": (lambda: b"all this is a text and no header of weights\n" * 9, "is a text"),
    "empty.pth": (lambda: b"", "is empty"),
    "empty.safetensors": (lambda: b"", "is empty"),
    "empty.pkl": (lambda: b"", "is empty"),
    "cut.pth": (lambda: archive()[:-3000], "truncated"),
    "beginning.pth": (lambda: archive()[:100], "truncated"),
    "cut.safetensors": (lambda: tensors()[:-5], "truncated"),
    "beginning.safetensors": (lambda: tensors()[:60], "truncated"),
    "flipped.pth": (lambda: flipped(archive()), "is wrong"),
    "picture.pth": (jpeg, "JPEG picture"),
    "picture.safetensors": (jpeg, "JPEG picture"),
    "picture.pkl": (jpeg, "JPEG picture"),
    "page.pth": (lambda: b"\n<!DOCTYPE html><html></html>", "web page"),
    "pointer.pth": (lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
    "noise.pth": (lambda: NOISE, "cannot be read as a checkpoint"),
    "noise.pkl": (lambda: NOISE, "not a complete pickle"),
    "noise.safetensors": (lambda: NOISE, "not a safetensors file"),
    "arrays.npz": (zipped, "cannot be read as a checkpoint"),
    "words.pkl": (lambda: pickle.dumps({"a": [1, 2]}), "no tensors by name"),
    "words.pth": (lambda: pickle.dumps({"a": [1, 2]}), "no tensors by name|cannot be read"),
    "list.pkl": (lambda: pickle.dumps([np.zeros(3)]), "no tensors by name"),
    "renamed.pth": (tensors, "safetensors file with another suffix"),
    "renamed.safetensors": (archive, r"rename it to end in \.pth"),
    "newer.safetensors": (lambda: own(format_version="99"), "format version 99"),
    "family.safetensors": (lambda: own(family="nobody"), "the family 'nobody', which is unknown here"),
    "task.safetensors": (lambda: own(task="3"), "does not describe a valid model|not valid JSON"),
    "kind.safetensors": (lambda: own(task="{}"), "does not describe a valid model"),
    "field.safetensors": (lambda: own(config='{"colour": 1}'), "does not describe a valid model.*colour"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_files_that_are_no_weights(name: str, tmp_path: Path) -> None:
    content, message = HOSTILE[name]
    (tmp_path / name).write_bytes(content())
    with pytest.raises(ValueError, match=message) as raised:
        verify(tmp_path / name)
    assert str(raised.value).startswith(str(tmp_path / name)) and "\n" not in str(raised.value)


def test_nothing_in_a_file_is_run(tmp_path: Path) -> None:
    sprung = tmp_path / "sprung"
    torch.save({"state_dict": Trap(sprung)}, tmp_path / "a.pth")
    (tmp_path / "b.pkl").write_bytes(pickle.dumps(Trap(sprung)))
    for name in ("a.pth", "b.pkl"):
        with pytest.raises(ValueError, match="refused"):
            verify(tmp_path / name)
    assert not sprung.exists()


def test_unknown_weights_folders_and_absent_files(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(3), "bias": torch.zeros(1)}, tmp_path / "line.pth")
    with pytest.raises(ValueError, match="2 tensors of unknown weights, such as weight, bias"):
        verify(tmp_path / "line.pth")
    save_file({}, tmp_path / "none.safetensors")
    with pytest.raises(ValueError, match="holds no tensors"):
        verify(tmp_path / "none.safetensors")
    with pytest.raises(ValueError, match="is a folder"):
        verify(tmp_path)
    with pytest.raises(FileNotFoundError, match="there is no file"):
        verify(tmp_path / "absent.pth")


def test_a_half_fetched_model_file(tmp_path: Path) -> None:
    shutil.copy(MODEL_FILE, tmp_path / "model.safetensors")
    content = (tmp_path / "model.safetensors").read_bytes()
    for part in (0.1, 0.5, 0.999):
        (tmp_path / "model.safetensors").write_bytes(content[: int(len(content) * part)])
        with pytest.raises(ValueError, match=re.escape("model.safetensors is truncated")):
            verify(tmp_path / "model.safetensors")
