"""Open weights in the Hub's cache: which commit, whether all is there, what is fetched, and what goes wrong."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import HfApi, constants

from avseg.models.zeroshot.config import Part
from avseg.models.zeroshot.hub.cache import fetch, located, wanted_files
from avseg.models.zeroshot.hub.origin import origin
from zeroshot.fake_hub import FakeHub

CONFIG = {"config.json": b'{"a": 1}', "preprocessor_config.json": b'{"b": 2}', "vocab.txt": b"dog\n"}
WHOLE = {**CONFIG, "model.safetensors": b"weights of the first commit"}
TAGGER = Part("clap", "lab/tagger")


def indexed(*pieces: str) -> bytes:
    return json.dumps({"weight_map": {str(number): piece for number, piece in enumerate(pieces)}}).encode()


def test_a_commit_is_looked_up_when_it_is_fetched_and_stays_when_the_branch_moves(hub: FakeHub) -> None:
    first = hub.add("lab/tagger", WHOLE)
    assert located(TAGGER) is None
    assert fetch(TAGGER) == located(TAGGER) == Part("clap", "lab/tagger", first)
    second = hub.add("lab/tagger", {**WHOLE, "model.safetensors": b"others"})
    assert located(TAGGER) == Part("clap", "lab/tagger", first)
    assert origin(fetch(TAGGER))["revision"] == second
    at_first = Part("clap", "lab/tagger", first)
    assert located(at_first) == at_first and located(TAGGER) == Part("clap", "lab/tagger", second)
    sent = len(hub.served)
    assert fetch(at_first) == at_first and len(hub.served) == sent


def test_an_old_commit_is_fetched_by_its_number(hub: FakeHub) -> None:
    first = hub.add("lab/tagger", WHOLE)
    hub.add("lab/tagger", {**WHOLE, "model.safetensors": b"others"})
    old = Part("clap", "lab/tagger", first)
    assert located(old) is None and fetch(old) == old == located(old)
    assert located(TAGGER) is None  # nobody asked for `main`


def test_nothing_but_configs_and_one_form_of_the_weights_is_fetched(hub: FakeHub) -> None:
    others = {"sam2.1_hiera_small.pt": b"1", "README.md": b"2", "onnx/model.onnx": b"3", "model.fp16.safetensors": b"4"}
    hub.add("lab/tagger", {**WHOLE, **others, "pytorch_model.bin": b"5", "flax_model.msgpack": b"6"})
    fetch(TAGGER)
    assert sorted(hub.served) == sorted(f"lab/tagger/{name}" for name in WHOLE)


@pytest.mark.parametrize(
    ("there", "weights"),
    [
        (["pytorch_model.bin", "model.pt"], ["pytorch_model.bin"]),
        (["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "pytorch_model.bin"], [0, 1]),
        (["pytorch_model-00001-of-00001.bin", "model-best.safetensors"], [0]),
        (["weights/model.safetensors", "model.onnx"], []),
    ],
)
def test_weights_come_in_the_first_form_that_there_is(there: list[str], weights: list[Any]) -> None:
    wanted = [name if isinstance(name, str) else there[name] for name in weights]
    assert wanted_files(["config.json", *there]) == (["config.json"], wanted)


def test_weights_in_pieces_are_there_when_all_pieces_are(hub: FakeHub) -> None:
    pieces = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    files = {**CONFIG, "model.safetensors.index.json": indexed(*pieces), **{name: name.encode() for name in pieces}}
    hub.add("lab/tagger", files)
    found = fetch(TAGGER)
    folder = Path(constants.HF_HUB_CACHE) / "models--lab--tagger" / "snapshots" / found.revision
    assert {path.name for path in folder.iterdir()} == set(files) and located(TAGGER) == found
    (folder / pieces[1]).unlink()
    assert located(TAGGER) is None


@pytest.mark.parametrize("gone", ["config.json", "preprocessor_config.json", "model.safetensors"])
def test_a_snapshot_that_lacks_a_file_is_not_there_and_is_made_whole(hub: FakeHub, gone: str) -> None:
    hub.add("lab/tagger", WHOLE)
    found = fetch(TAGGER)
    (Path(constants.HF_HUB_CACHE) / "models--lab--tagger" / "snapshots" / found.revision / gone).unlink()
    assert located(TAGGER) is None and fetch(TAGGER) == found == located(found)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows kills otherwise")
def test_a_killed_fetch_is_not_there(hub: FakeHub, tmp_path: Path) -> None:
    commit = hub.add("lab/tagger", {**WHOLE, "model.safetensors": bytes(100_000)})
    hub.stalls_at = "model.safetensors"
    code = "from avseg.models.zeroshot.hub.cache import *\nfetch(Part('clap', 'lab/tagger'))"
    environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "0"}
    work = subprocess.Popen([sys.executable, "-c", code], env=environment, stderr=subprocess.DEVNULL)
    assert hub.stalled.wait(60)
    work.send_signal(signal.SIGKILL)
    work.wait()
    assert (Path(constants.HF_HUB_CACHE) / "models--lab--tagger" / "snapshots" / commit / "config.json").is_file()
    assert located(TAGGER) is None
    hub.stalls_at = ""
    assert fetch(TAGGER) == located(TAGGER) == Part("clap", "lab/tagger", commit)


def test_a_full_cache_works_offline(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.add("lab/tagger", WHOLE)
    found = fetch(TAGGER)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert located(TAGGER) == found


def test_what_the_hub_refuses_is_one_sentence(hub: FakeHub) -> None:
    hub.add("lab/tagger", WHOLE)
    hub.add("lab/secret", WHOLE)
    hub.repositories["lab/secret"].gated = True
    hub.add("lab/shut", WHOLE)
    hub.repositories["lab/shut"].forbidden = True
    hub.add("lab/odd", {**CONFIG, "weights.onnx": b""})
    for part, sentence in (
        (
            Part("sam3", "lab/secret"),
            f"accept its terms: do so at {hub.url}/lab/secret, then log in with `hf auth login`",
        ),
        (Part("sam3", "lab/none"), "the Hub has no lab/none, or shows it only to those who may see it"),
        (Part("clap", "lab/tagger", "0" * 40), "the Hub has no such commit of lab/tagger any more"),
        (Part("clap", "lab/shut"), r"the Hub did not provide lab/shut \(status 403\); try again later"),
        (Part("clap", "lab/odd"), "lab/odd at [0-9a-f]{12} is not what avseg can load"),
    ):
        with pytest.raises(FileNotFoundError, match=sentence) as error:
            fetch(part)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("raised", "sentence"),
    [
        (ConnectionError("no route\nto host"), r"cannot be reached for lab/tagger \(no route\); check the network"),
        (OSError(28, "No space left on device"), "cannot be kept in .*No space left on device.*HF_HOME"),
    ],
)
def test_what_the_machine_refuses_is_one_sentence(
    hub: FakeHub, raised: OSError, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise raised

    monkeypatch.setattr(HfApi, "list_repo_files", fails)
    with pytest.raises(FileNotFoundError, match=sentence):
        fetch(TAGGER)


def folder_of(path: Path, files: dict[str, bytes]) -> Path:
    path.mkdir()
    for name, content in files.items():
        (path / name).write_bytes(content)
    return path


def test_a_folder_is_told_by_what_it_holds(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "tagger", WHOLE)
    found = located(Part("clap", str(folder)))
    assert found is not None and re.fullmatch(r"sha256:[0-9a-f]{64}", found.revision)
    other = folder_of(tmp_path / "copy", {**WHOLE, "README.md": b"another place, and a file that is not loaded"})
    assert located(Part("clap", str(other))) == Part("clap", str(other), found.revision)
    (folder / "model.safetensors").write_bytes(b"weights of another training")
    changed = located(Part("clap", str(folder)))
    assert changed is not None and changed.revision != found.revision
    with pytest.raises(ValueError, match=r"tagger does not hold the weights that the model was made with"):
        located(found)
    (folder / "model.safetensors").unlink()
    with pytest.raises(
        ValueError, match=r"has no model.safetensors or pytorch_model.bin; give one that save_pretrained"
    ):
        located(Part("clap", str(folder)))


def test_a_file_is_told_with_the_data_beside_it(tmp_path: Path) -> None:
    file, data = tmp_path / "model.onnx", tmp_path / "model.data"
    file.write_bytes(b"graph")
    alone = located(Part("yamnet", str(file)))
    data.write_bytes(b"numbers")
    beside = located(Part("yamnet", str(file)))
    assert alone is not None and beside is not None and alone.revision != beside.revision


@pytest.mark.parametrize("where", ["./gone", "gone", "/gone/for/good", "C:\\gone", "a/b/c"])
def test_weights_that_are_nowhere_are_one_sentence(where: str) -> None:
    with pytest.raises(FileNotFoundError, match="not a folder, a file or a Hub id"):
        located(Part("clap", where))


def test_a_folder_that_is_gone_is_not_looked_for_on_the_hub() -> None:
    with pytest.raises(FileNotFoundError, match="there are no weights lab/tagger"):
        located(Part("clap", "lab/tagger", "sha256:" + "0" * 64))


def test_a_part_without_weights_is_there() -> None:
    assert located(Part("stub")) == Part("stub")
