"""Help pages: what they name, what they leave out, and that they come without torch."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import fields, replace
from typing import Any

import pytest

from avseg.cli import command_of, commands, group, run
from avseg.commands.options import options_of
from avseg.commands.parse import Command, Group
from avseg.config import InputSpec
from avseg.data.transforms import eval_transforms
from avseg.datasets import DATASETS, data_config
from avseg.recipes import RECIPES

RECIPES_SHOWN = ("tpavi_s4_r50", "tpavi_avss_pvt", "cavp_vpo_ms_ocr", "avism_r50_coco", "avism_small", "qdformer_small")
PAGES = [
    *([name] for name in commands() if name != "train"),
    *([head, name] for head in commands() for name in group(head)),
    *(["data", name, below] for name, inner in group("data").items() if isinstance(inner, Group) for below in inner),
    *(["train", name] for name in RECIPES_SHOWN),
]
LEAVES = [words for words in PAGES if isinstance(command_of(words)[0], Command)]


@pytest.fixture
def page(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """The help page of some words, at a number of columns."""

    def show(words: list[str], flag: str = "--help", columns: int = 80) -> str:
        monkeypatch.setenv("COLUMNS", str(columns))
        with pytest.raises(SystemExit) as end:
            run([*words, flag])
        assert not end.value.code
        return capsys.readouterr().out

    return show


def names_on(text: str) -> set[str]:
    """Options that a page lists: they stand at the beginnings of its lines."""
    lines = [line.strip("│ ") for line in text.splitlines()]
    heads = [re.split(r"\s{2,}", line)[0] for line in lines if line.startswith("-")]
    return {name.rstrip(".") for head in heads for name in re.findall(r"(?<![\w-])--?[a-z][\w.-]*", head)}


@pytest.mark.parametrize("words", PAGES, ids=" ".join)
@pytest.mark.parametrize("columns", [80, 160])
def test_no_page_speaks_python(words: list[str], columns: int, page: Any) -> None:
    text = page(words, "--help-all", columns)
    for odd in ("{None}", "(default: )", "(default: None)", "(default: True)", "(default: False)", "{True,False}"):
        assert odd not in text
    assert not re.search(r"(?<![\w.])(STR|INT|FLOAT|PATH|BOOL)(?![\w.])", text)
    assert max(len(line) for line in text.splitlines() if not line.startswith("usage:")) <= columns


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("demo", ["--out DIR", "--clips N", "--device DEVICE"]),
        ("predict", ["VIDEO ...", "--model MODEL", "--out DIR", "--fps X", "--masks {png,rle,npz,none}", "--score X"]),
        ("evaluate", ["MODEL", "--data.root DIR", "--data.name NAME", "--out DIR", "[PROTOCOL ...]", "[SUITE ...]"]),
        ("codes", ["MODEL", "[VIDEO ...]", "--out FILE", "--clips N"]),
        ("data synth", ["{s4,ms3,avs_1s7m"]),
        ("data synth s4", ["--root DIR", "--clips N", "--size H W", "--video, --no-video", "--stereo"]),
        ("data synth aviseg", ["--root DIR", "--clips N", "--size H W", "--seconds N N", "--held-out N"]),
        ("data synth vpo_msmi", ["--root DIR", "--sounds N", "--sources N N", "--singles X"]),
        ("data prepare avss", ["--raw DIR", "--root DIR", "--workers N"]),
        ("data prepare aviseg", ["--raw DIR", "--root DIR", "--vggish FILE", "--workers N"]),
        ("data build-vpo", ["--instances FILE", "--images DIR", "--sounds FILE", "--audios DIR", "TRAIN VAL TEST"]),
        ("data check vpo_ms", ["--root DIR"]),
        ("convert tpavi", ["FILE", "-o FILE", "--vggish FILE", "--variant {s4,ms3,avss}"]),
        ("convert cavp", ["FILE", "-o FILE", "--variant {avss,"]),
        ("convert avism", ["FILE", "-o FILE", "--classes FILE", "--side N"]),
        ("train tpavi_s4_r50", ["--optim.lr X", "--train.epochs N", "--init.vggish FILE", "--sweep FIELD=VALUE,VALUE"]),
        ("completion", ["{bash,zsh,fish}"]),
    ],
)
def test_every_page_names_what_to_write(words: str, shown: list[str], page: Any) -> None:
    text = page(words.split())
    assert [name for name in shown if name not in text] == []


@pytest.mark.parametrize("words", LEAVES, ids=" ".join)
def test_pages_completion_and_messages_have_the_same_options(words: list[str], page: Any) -> None:
    """The list that completion and messages read, and tyro's own, made by the same rules of the same hints."""
    command, _ = command_of(words)
    assert isinstance(command, Command)
    listed = {name for option in command.options if not option.positional for name in option.names}
    assert names_on(page(words, "--help-all")) == listed | {"-h", "--help"}


@pytest.mark.parametrize("name", RECIPES)
def test_the_options_of_every_recipe_can_be_listed(name: str) -> None:
    command, _ = command_of(["train", name])
    assert isinstance(command, Command)
    named = [option.names[0] for option in command.options]
    assert len(named) == len(set(named)) > 80 and {"--optim.lr", "--data.root", "--model.backbone"} <= set(named)


@pytest.mark.parametrize("name", RECIPES_SHOWN)
def test_a_recipe_shows_twenty_fields_and_the_files_it_needs(name: str, page: Any) -> None:
    shown = names_on(page(["train", name]))
    of_recipe = {option for option in shown if "." in option and ".no-" not in option}
    needed = {"--init.detector", "--init.audio"} & of_recipe
    assert len(of_recipe - needed) == 20
    command, _ = command_of(["train", name])
    assert isinstance(command, Command)
    assert {f"--init.{need}" for need in command.default.recipe.init.needs} <= of_recipe
    assert "--help-all" in page(["train", name])
    assert names_on(page(["train", name], "--help-all")) > shown


@pytest.mark.parametrize("name", ["evaluate", "codes"])
def test_what_does_not_train_has_no_fields_of_training(name: str, page: Any) -> None:
    command, _ = command_of([name])
    assert isinstance(command, Command)
    every = {f"--data.{field.name}".replace("_", "-") for field in fields(DATASETS["aviseg"].config)}
    training = {f"--data.{field}".replace("_", "-") for field in command.absent["DataConfig"]}
    assert every & names_on(page([name, "--data.name", "aviseg"], "--help-all")) == every - training
    assert {"--data.augment", "--data.scales", "--data.sides"} <= training
    assert {"--data.root", "--data.name"} <= names_on(page([name]))
    assert not {"--data.clips", "--data.silent-videos", "--data.mix"} & names_on(page([name], "--help-all"))


@pytest.mark.parametrize(
    ("name", "own"), [("vpo_ms", "--data.sounds"), ("avss", "--data.parts"), ("synth", "--data.kind")]
)
def test_a_page_shows_the_options_of_the_data_set_that_it_is_asked_for(name: str, own: str, page: Any) -> None:
    others = {"--data.sounds", "--data.parts", "--data.kind"} - {own}
    for words in (["evaluate", "MODEL", "--data.name", name], ["train", "tpavi_s4_r50", f"--data.name={name}"]):
        shown = names_on(page(words, "--help-all"))
        assert own in shown and not others & shown


def test_the_fields_that_evaluation_lacks_change_nothing_of_it() -> None:
    changed: dict[str, Any] = {
        "augment": ("flip", "some_frames", "scale", "shorter_side"),
        "scales": (2.0,),
        "clip_frames": 2,
        "reach": 1,
        "sides": (32,),
        "longest": 64,
    }
    command, _ = command_of(["evaluate"])
    assert isinstance(command, Command) and set(command.absent["DataConfig"]) == set(changed)
    for name in ("s4", "avss", "vpo_ms", "aviseg"):
        config = data_config(name)
        there, here = (eval_transforms(of, InputSpec()) for of in (config, replace(config, **changed)))
        assert [repr(transform) for transform in there] == [repr(transform) for transform in here]


def test_switches_are_on_or_off_and_take_no_value() -> None:
    (overlay,) = (option for option in options_of(commands()["predict"]) if "--overlay" in option.names)
    assert overlay.names == ("--overlay", "--no-overlay") and overlay.arity == 0


def test_groups_and_the_program_list_their_commands(page: Any) -> None:
    text = page([])
    assert all(f"• {name} " in text for name in commands())
    for head in commands():
        assert all(f"• {name} " in page([head]) for name in group(head))
    written = page(["data", "synth"], columns=160)
    assert "• aviseg " in written and "• vpo_msmi " in written and "• synth " not in written


def test_pages_and_completion_need_no_torch() -> None:
    code = (
        "import sys, contextlib, io\nfrom avseg.cli import complete, run\n"
        f"for words in {PAGES!r}:\n"
        "    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()): run([*words, '--help'])\n"
        "    complete([*words, '--'])\n"
        "print('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "False\n"
