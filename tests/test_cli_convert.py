"""`avseg convert`: what it says of a file that it takes, and of one that another command takes."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from avseg.cli import command_of, run
from avseg.commands.convert import next_lines
from avseg.commands.parse import Command
from avseg.models import load_model
from avseg.models.avism.config import AVISMConfig
from avseg.models.header import read_header

GOLDEN = Path(__file__).parent / "golden"
LISTS = {
    "tpavi": "tpavi/keys_s4_r50.json",
    "cavp": "cavp/keys_avss_r50_dlv3p_c71_vgg.json",
    "avism": "avism/keys_avism_r50.json",
    "vggish": "tpavi/keys_vggish.json",
}


def weightless(name: str) -> dict[str, Tensor]:
    """Tensors of the names and shapes of published weights, which take no room in a file."""
    keys: Sequence[tuple[str, list[int]]] = json.loads((GOLDEN / LISTS[name]).read_text(encoding="utf-8"))
    return {key: torch.zeros(1).expand(shape) if shape else torch.tensor(0) for key, shape in keys}


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """A checkpoint of every kind, in a folder with a space in its name."""
    folder = tmp_path / "the weights"
    folder.mkdir()
    for name in LISTS:
        torch.save({"model": weightless(name)}, folder / f"{name}.pth")
    return {name: folder / f"{name}.pth" for name in LISTS}


def words_of(line: str) -> list[str]:
    program, *words = shlex.split(line)
    assert program == "avseg"
    return words


def test_what_was_made_is_told_with_the_next_command(
    files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "my models" / "cavp.safetensors"
    assert run(["convert", "cavp", str(files["cavp"]), "-o", str(out)]) == 0
    printed = capsys.readouterr().out
    header, count = read_header(out), len(weightless("cavp"))
    taken, dropped = (int(header.notes[f"tensors_{what}"]) for what in ("taken", "dropped"))
    assert taken + dropped == count and taken == len(load_model(out).network.state_dict()) and dropped == 4
    for name, value in {
        "family": "cavp",
        "variant": "avss_224",
        "task": "semantic, 70 classes",
        "backbone": "resnet50_deep",
        "tensors": f"{taken} taken, {dropped} dropped",
    }.items():
        assert re.search(rf"^  {name} +{value}", printed, re.MULTILINE), name
    first, second = printed.splitlines()[-2:]
    line = first.removeprefix("next: ")
    assert words_of(line) == ["predict", "VIDEO", "--model", str(out), "--out", "avseg-out"]
    for part in (line, *second.removeprefix("no video? ").split(" && ")):
        command, words = command_of(words_of(part))
        assert isinstance(command, Command)
        command.parse(list(words))  # ends the program where it is not understood


def test_a_model_that_does_not_hear_is_sent_to_features() -> None:
    lines = next_lines(Path("a b.safetensors"), AVISMConfig(audio_network="none"))
    assert "--vggish FILE" in lines[0]
    command, words = command_of(words_of(lines[1]))
    assert isinstance(command, Command)
    assert command.parse(list(words)).keywords["model"].model == "a b.safetensors"


@pytest.mark.parametrize("family", ["tpavi", "cavp", "avism"])
@pytest.mark.parametrize("given", ["tpavi", "cavp", "avism"])
def test_a_file_of_another_family_is_sent_to_its_own_command(
    family: str, given: str, files: dict[str, Path], tmp_path: Path
) -> None:
    if family == given:
        return
    out = tmp_path / "out.safetensors"
    with pytest.raises(ValueError, match=f"is a checkpoint of {given}, .*not of {family}; run ") as error:
        run(["convert", family, str(files[given]), "-o", str(out)])
    assert not out.exists()
    line = re.sub(r" \(.*\)$", "", str(error.value).split("; run ")[1])
    command, words = command_of(words_of(line))
    assert isinstance(command, Command) and command.prog == f"avseg convert {given}"
    call = command.parse(list(words))
    assert call.keywords["checkpoint"] == files[given] and call.keywords["out"] == out


def test_other_files_are_recognised_too(files: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "out.safetensors"
    with pytest.raises(ValueError, match=r"is a checkpoint of sound, VGGish of AudioSet, not of cavp; run .*--vggish"):
        run(["convert", "cavp", str(files["vggish"]), "-o", str(out)])
    from avseg.demo import MODEL_FILE

    with pytest.raises(ValueError, match="is already a model file of avseg, of the family tpavi; use it directly"):
        run(["convert", "cavp", str(MODEL_FILE), "-o", str(out)])
    torch.save({"weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match="this is not a CAVP checkpoint"):
        run(["convert", "cavp", str(tmp_path / "other.pth"), "-o", str(out)])
    with pytest.raises(ValueError, match="--variant s4 or --variant ms3"):
        run(["convert", "tpavi", str(files["tpavi"]), "-o", str(out)])
    assert not out.exists()
