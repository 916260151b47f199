"""Options of the writers and preparations of data sets reach the one that has them, and no other."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from avseg.cli import complete, run
from avseg.data.config import DataConfig
from avseg.datasets import DATASETS, DatasetSpec
from avseg.datasets.folders import check, names_with, prepare, write
from avseg.prepare.report import CheckReport

WRITTEN = ("s4", "ms3", "avs_1s7m", "avss", "single", "vpo_ss", "vpo_ms", "vpo_msmi", "aviseg", "folder")
PREPARED = ("s4", "ms3", "avss", "aviseg")
CHECKED = ("s4", "ms3", "avss", "vpo_ss", "vpo_ms", "vpo_msmi", "aviseg", "folder")
STILLS = {"vpo_ss", "vpo_ms", "vpo_msmi"}
OF_WRITING: dict[str, tuple[Any, set[str]]] = {
    "difficulty": ("hard", set(WRITTEN)),
    "size": ((32, 48), set(WRITTEN)),
    "video": (True, set(WRITTEN) - STILLS - {"aviseg", "folder"}),
    "stereo": (True, set(WRITTEN) - {"aviseg"}),
    "sounds": (6, STILLS),
    "sources": ((1, 1), {"vpo_ms", "vpo_msmi"}),
    "singles": (0.1, {"vpo_msmi"}),
    "seconds": ((3, 4), {"aviseg"}),
    "stretch": ((1, 2), {"aviseg"}),
    "held_out": (3, {"aviseg"}),
    "segmentation": ("rle", {"aviseg"}),
    "sample_rate": (44100, {"aviseg"}),
    "movies": (1, {"aviseg"}),
}
"""A value of every option, and the data sets that have it."""
OF_PREPARING = {"vggish": Path("w.pth"), "short": "silence", "resampling": "exact"}


def words_of(option: str, value: Any) -> list[str]:
    name = f"--{option.replace('_', '-')}"
    return [name] if value is True else [name, *map(str, value if isinstance(value, tuple) else (value,))]


def test_which_data_sets_are_written_prepared_and_checked() -> None:
    assert set(names_with("write")) == set(WRITTEN)
    assert set(names_with("prepare")) == set(PREPARED)
    assert set(names_with("check")) == set(CHECKED)


@pytest.mark.parametrize("name", WRITTEN)
def test_the_record_of_each_has_its_options(name: str) -> None:
    known = {field.name for field in dataclasses.fields(DATASETS[name].write_options)}
    assert known == {option for option, (_, names) in OF_WRITING.items() if name in names}


@pytest.mark.parametrize("name", WRITTEN)
def test_an_option_of_another_data_set_is_refused(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for option, (value, names) in OF_WRITING.items():
        if name in names:
            continue
        with pytest.raises(ValueError, match=f"data set '{name}' is written without the option '{option}'; "):
            write(name, tmp_path, 6, 0, **{option: value})
        with pytest.raises(SystemExit) as end:
            run(["data", "synth", name, "--root", str(tmp_path), *words_of(option, value)])
        assert end.value.code == 2
        said = capsys.readouterr().err
        assert said.startswith(f"avseg data synth {name}: there is no option --{option.replace('_', '-')}")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", [name for name in PREPARED if name != "aviseg"])
def test_options_of_features_are_for_one_preparation(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for option, value in OF_PREPARING.items():
        with pytest.raises(ValueError, match=f"'{name}' is prepared without options, got '{option}'"):
            prepare(name, tmp_path, tmp_path, **{option: value})
        with pytest.raises(SystemExit):
            run(["data", "prepare", name, "--raw", "a", "--root", "b", *words_of(option, value)])
        assert f"there is no option --{option}" in capsys.readouterr().err


def test_what_a_data_set_cannot_is_said_with_those_that_can(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"there is no data set 'synth' that can be written with synthetic clips; known: aviseg, "
    ):
        write("synth", tmp_path, 3, 0)
    with pytest.raises(
        ValueError, match=r"there is no data set 'single' that can be prepared from raw material; known: aviseg"
    ):
        prepare("single", tmp_path, tmp_path)
    with pytest.raises(ValueError, match=r"there is no data set 'avs_1s7m' that can be checked; did you mean 'avss'"):
        check("avs_1s7m", tmp_path)


@dataclasses.dataclass(frozen=True)
class Greetings:
    """What the plug-in's writer has."""

    words: int = 2
    """How many words."""


def write_greetings(root: Path, clips: int, seed: int, options: Greetings, workers: int = 0) -> str:
    root.mkdir()
    (root / "clips.txt").write_text("\n".join([" ".join(["hello"] * options.words)] * clips))
    return f"{clips} greetings"


def check_greetings(root: Path, workers: int = 0) -> CheckReport:
    count = len((root / "clips.txt").read_text().splitlines())
    return CheckReport("greetings", root, {"train": 3}, {"train": count}, {"train": count})


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    """A data set of another package."""
    spec = DatasetSpec(
        "greetings",
        DataConfig,
        f"{__name__}:nothing",
        "vpo",
        "Greetings, spoken",
        check=f"{__name__}:check_greetings",
        write=f"{__name__}:write_greetings",
        write_options=Greetings(),
    )
    monkeypatch.setattr(DATASETS, "_added", {"greetings": spec})


def test_a_data_set_of_another_package_has_the_commands(
    plugin: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = str(tmp_path / "out")
    assert run(["data", "synth", "greetings", "--root", root, "--clips", "3", "--words", "4"]) == 0
    assert capsys.readouterr().out == "3 greetings\n"
    assert (tmp_path / "out" / "clips.txt").read_text() == "\n".join(["hello hello hello hello"] * 3)
    assert run(["data", "check", "greetings", "--root", root]) == 0
    assert "all files exist and can be read" in capsys.readouterr().out
    assert write("greetings", tmp_path / "other", 1, 0, words=1) == "1 greetings"
    assert complete(["data", "synth", "gre"]) == ["greetings"]
    assert complete(["data", "prepare", "gre"]) == []
    with pytest.raises(SystemExit):
        run(["data", "synth", "greetings", "--help"])
    assert "How many words." in capsys.readouterr().out


@pytest.mark.parametrize(
    "words", [("data",), ("data", "synth"), ("data", "synth", "aviseg"), ("data", "build-vpo"), ("data", "check", "s4")]
)
def test_the_pages_need_no_torch(words: tuple[str, ...]) -> None:
    code = (
        "import sys, contextlib, io\nfrom avseg.cli import run\n"
        f"with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()): run([*{words}, '--help'])\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "False"
