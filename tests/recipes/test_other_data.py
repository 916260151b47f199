"""A recipe on another data set: what it keeps, what it drops, and on what it validates."""

from __future__ import annotations

import pytest

from avseg.commands.train import parse
from avseg.recipes import get_recipe


def test_shared_options_stay_and_those_of_the_former_data_set_go() -> None:
    recipe = parse("demo", ["--data.name", "s4", "--data.root", "x"]).recipe
    assert (recipe.data.name, recipe.data.augment) == ("s4", ("flip", "mute"))
    assert not hasattr(recipe.data, "kind")
    assert recipe.val is None  # 40 clips of the synthetic world before


def test_options_that_both_data_sets_have_stay() -> None:
    before = get_recipe("cavp_vpo_ss_stereo_r50").data
    after = parse("cavp_vpo_ss_stereo_r50", ["--data.name", "vpo_msmi"]).recipe.data
    assert after.name == "vpo_msmi" and type(after) is type(before)
    assert {**vars(after), "name": before.name} == vars(before)


def test_a_word_that_is_no_choice_of_the_other_data_set_goes() -> None:
    assert get_recipe("avism_r50").data.audio == "features"  # type: ignore[attr-defined]
    recipe = parse("avism_r50", ["--data.name", "s4", "--data.augment", "flip"]).recipe
    assert (recipe.data.audio, recipe.data.compat) == ("wav", ())  # type: ignore[attr-defined]


def test_validation_stays_where_it_is_named() -> None:
    words = ["--data.name", "s4", "--val.name", "synth", "--val.kind", "binary"]
    recipe = parse("demo", words).recipe
    assert recipe.val is not None and (recipe.val.name, recipe.val.kind) == ("synth", "binary")  # type: ignore[attr-defined]
    assert recipe.val.held_out_clips == 40  # type: ignore[attr-defined]


def test_an_option_of_the_former_data_set_in_the_command_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse("demo", ["--data.name", "s4", "--data.kind", "binary"])
    assert "the data set 's4' has no option kind (--data.kind, of synth)" in capsys.readouterr().err
