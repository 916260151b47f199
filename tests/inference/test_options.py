"""Options of a session: each family names its own, and the command line takes those of all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from avseg.cli import complete, run
from avseg.commands.session import SessionChoices
from avseg.config import ModelConfig, SessionOptions, from_dict, to_dict
from avseg.models import FAMILIES
from avseg.models.spec import FamilySpec


@dataclass(frozen=True)
class ToyOptions(SessionOptions):
    steps: int = 3
    """How often it looks."""


@dataclass(frozen=True)
class ToyConfig(ModelConfig):
    family: ClassVar[str] = "toy"
    Options: ClassVar[type[SessionOptions]] = ToyOptions
    width: int = 8


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FAMILIES, "_added", dict(FAMILIES._added))
    FAMILIES.add("toy", FamilySpec("toy", ToyConfig, "nowhere:Toy", "", "", "", {}))


@pytest.mark.usefixtures("toy")
def test_options_of_any_family_are_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    named = {parameter.name: parameter for parameter in SessionChoices.parameters()}
    assert {"steps", "threshold", "candidates", "frames_in_memory"} <= set(named) and "score" not in named
    assert named["steps"].help == "Models of the family toy: how often it looks (default: 3)"
    assert "--steps" in complete(["predict", "--st"])
    with pytest.raises(SystemExit):
        run(["predict", "--help"])
    assert "--steps N" in capsys.readouterr().out


def test_what_is_not_given_is_left_to_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, Any]] = []

    def predict_paths(*_: Any, options: dict[str, Any], threshold: float | None = None, **__: Any) -> Any:
        seen.append(options | ({} if threshold is None else {"score": threshold}))
        raise ValueError("enough")

    monkeypatch.setattr("avseg.inference.folder.predict_paths", predict_paths)
    for words in ([], ["--score", "0"], ["--score=0.5", "--candidates", "7"]):
        with pytest.raises(ValueError, match="enough"):
            run(["predict", "a.mp4", "--model", "m", *words])
    assert seen == [{}, {"score": 0.0}, {"score": 0.5, "candidates": 7}]


def test_options_are_changed_by_name_and_checked() -> None:
    assert ToyOptions().changed("toy", steps=5) == ToyOptions(5)
    with pytest.raises(ValueError, match="family toy has no option 'step'; did you mean 'steps'"):
        ToyOptions().changed("toy", step=5)
    with pytest.raises(ValueError, match=r"ToyOptions\.steps is 'five', wanted a value of type int"):
        ToyOptions().changed("toy", steps="five")
    with pytest.raises(ValueError, match="family plain has no option 'steps'; its predictions have no options"):
        SessionOptions().changed("plain", steps=5)


def test_a_config_of_an_earlier_version_gives_its_options_to_the_session() -> None:
    values = {**to_dict(ToyConfig(width=4)), "steps": 9}
    assert from_dict(ToyConfig, values) == ToyConfig(width=4)
    assert ToyConfig().former_options(values) == ToyOptions(9)
    assert ToyConfig().former_options(to_dict(ToyConfig())) == ToyOptions()
