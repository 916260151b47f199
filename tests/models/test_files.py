"""Model files: whole, strict, and clear about what is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from avseg.models import FAMILIES, load_model, read_header, save_model
from models.small import SEMANTIC, batch, clip, small_model


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(small_model(SEMANTIC), tmp_path_factory.mktemp("m") / "model.safetensors", {"origin": "a test"})


def test_round_trip_is_bit_exact_from_file_and_folder(saved: Path) -> None:
    model = small_model(SEMANTIC)
    b = batch(clip(classes=2))
    for source in (saved, str(saved), saved.parent):
        again = load_model(source)
        assert again.config == model.config and again.task == model.task and not again.training
        assert all(
            torch.equal(a, c) for a, c in zip(again.state_dict().values(), model.state_dict().values(), strict=True)
        )
        assert torch.equal(again.predict(b)[0].logits, model.predict(b)[0].logits)


def test_header_tells_family_config_task_and_notes(saved: Path) -> None:
    header = read_header(saved)
    assert header.family == "tpavi" and header.format_version == 1 and header.notes == {"origin": "a test"}
    assert header.task == SEMANTIC.to_dict() and header.config["backbone"] == "test_resnet"
    with pytest.raises(ValueError, match="family"):
        save_model(small_model(), saved.with_name("other.safetensors"), {"family": "x"})
    assert not saved.with_name("other.safetensors").exists()


def test_hub_ids_load_from_the_cache_without_a_network(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    commit = "0" * 40
    repo = tmp_path / "models--someone--tpavi"
    (repo / "snapshots" / commit).mkdir(parents=True)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text(commit)
    (repo / "snapshots" / commit / "model.safetensors").write_bytes(saved.read_bytes())
    assert load_model("someone/tpavi").task == SEMANTIC
    with pytest.raises(FileNotFoundError, match="someone/else"):
        load_model("someone/else")


def altered(saved: Path, tmp_path: Path, **metadata: str) -> Path:
    known = read_header(saved).to_metadata()
    path = tmp_path / "altered.safetensors"
    save_file(load_file(saved), path, metadata={**known, **metadata})
    return path


def test_files_that_are_no_model_files(saved: Path, tmp_path: Path) -> None:
    for content in (b"", b"hello", b"\xff" * 64, saved.read_bytes()[:100]):
        (tmp_path / "no.safetensors").write_bytes(content)
        with pytest.raises(ValueError, match="is not a model file"):
            load_model(tmp_path / "no.safetensors")
    save_file({"a": torch.zeros(1)}, tmp_path / "bare.safetensors")
    with pytest.raises(ValueError, match="avseg convert"):
        load_model(tmp_path / "bare.safetensors")
    for missing in (tmp_path / "absent.safetensors", tmp_path, "nowhere"):
        with pytest.raises(FileNotFoundError, match=r"no model file .* or demo$"):
            load_model(missing)


def test_spoilt_headers_and_tensors_are_refused_in_one_sentence(saved: Path, tmp_path: Path) -> None:
    for changes in (
        {"task": "{}"},
        {"task": "[]"},
        {"task": '{"kind": "semantic", "classes": 3}'},
        {"config": "[]"},
        {"config": json.dumps({**read_header(saved).config, "width": 1.5})},
        {"config": json.dumps({**read_header(saved).config, "input": 7})},
        {"config": "[" * 100_000},
        {"format_version": "²"},
    ):
        with pytest.raises(ValueError, match=r"is not a (whole )?model file"):
            load_model(altered(saved, tmp_path, **changes))
    (tmp_path / "cut.safetensors").write_bytes(saved.read_bytes()[:-100])
    with pytest.raises(ValueError, match="is not a whole safetensors file"):
        load_model(tmp_path / "cut.safetensors")


def test_a_model_has_one_file_byte_by_byte(tmp_path: Path) -> None:
    """The writer orders the strings of a header at random, anew in every process and for every file."""
    notes = {str(number): 'ä "\u2028\x1f\\' for number in range(20)}
    first, *others = (save_model(small_model(), tmp_path / f"{n}.safetensors", notes) for n in range(4))
    assert all(first.read_bytes() == other.read_bytes() for other in others)
    assert read_header(first).notes == notes and load_model(first).task == small_model().task


DIES = """
import os, sys
from pathlib import Path
import avseg.models.files as files
from models.small import small_model
def killed(state, path, metadata):
    Path(path).with_name(".tmpXX").write_bytes(b"half")  # what safetensors itself writes to
    os._exit(0)
files.save_file = killed
files.save_model(small_model(), Path(sys.argv[1]))
"""


def test_what_a_killed_process_left_of_a_model_file_is_cleared(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    subprocess.run([sys.executable, "-c", DIES, str(path)], check=True, cwd=Path(__file__).parents[1])
    assert [one.name for one in tmp_path.iterdir()] != []
    save_model(small_model(), path)
    assert [one.name for one in tmp_path.iterdir()] == ["model.safetensors"]


def test_newer_format_unknown_family_and_unknown_field(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="update avseg"):
        load_model(altered(saved, tmp_path, format_version="2"))
    with pytest.raises(ValueError, match="did you mean 'tpavi'"):
        load_model(altered(saved, tmp_path, family="tpavy"))
    config = {**read_header(saved).config, "widht": 3}
    with pytest.raises(ValueError, match="did you mean 'width'"):
        load_model(altered(saved, tmp_path, config=json.dumps(config)))


def test_missing_unknown_and_misshaped_tensors_are_named(saved: Path, tmp_path: Path) -> None:
    state = load_file(saved)
    state.pop("network.head.first.bias")
    state["network.stranger"] = torch.zeros(1)
    state["network.head.second.bias"] = torch.zeros(3)
    save_file(state, tmp_path / "wrong.safetensors", metadata=read_header(saved).to_metadata())
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        load_model(tmp_path / "wrong.safetensors")
    for word in ("head.first.bias", "missing", "network.stranger", "unknown", "head.second.bias (3,), wanted (8,)"):
        assert word in str(caught.value)


def test_a_failed_write_leaves_the_old_file(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"old")

    def full(*_: object, **__: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("avseg.models.files.save_file", full)
    with pytest.raises(OSError, match="no space"):
        save_model(small_model(), path)
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_the_door_and_the_configs_need_no_torch(saved: Path) -> None:
    code = (
        "import sys\nfrom avseg.models import FAMILIES, read_header\n"
        f"assert FAMILIES['tpavi'].config().width == 256 and read_header({str(saved)!r}).family == 'tpavi'\n"
        "print('torch' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "False"
    with pytest.raises(ValueError, match="did you mean 'tpavi'"):
        FAMILIES.find("tpav")
