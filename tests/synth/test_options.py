"""Options of single data sets reach their writer, and no other."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from avseg.synth.options import MoreOptions


def test_each_layout_takes_its_own() -> None:
    assert MoreOptions(movies=2).of("aviseg")["movies"] == 2
    assert "singles" not in MoreOptions().of("aviseg")
    assert MoreOptions(singles=0.5, stereo=True).of("vpo_msmi") == {"singles": 0.5, "stereo": True}
    assert MoreOptions(stereo=True).of("s4") == {}


LAYOUTS = ("s4", "ms3", "avs_1s7m", "avss", "single", "aviseg", "vpo_ss", "vpo_ms", "vpo_msmi")
OPTIONS: dict[str, tuple[Any, set[str]]] = {
    "seconds": ((3, 4), {"aviseg"}),
    "stretch": ((1, 2), {"aviseg"}),
    "held_out": (3, {"aviseg"}),
    "segmentation": ("rle", {"aviseg"}),
    "sample_rate": (44100, {"aviseg"}),
    "movies": (1, {"aviseg"}),
    "singles": (0.1, {"vpo_msmi"}),
    "stereo": (True, set(LAYOUTS) - {"aviseg"}),
}
"""A value that is not the default, and the layouts that have the option."""


def test_every_option_has_its_layouts() -> None:
    assert {field.name for field in fields(MoreOptions)} == set(OPTIONS)


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_of_another_layout_is_refused(option: str, name: str) -> None:
    value, layouts = OPTIONS[option]
    options = MoreOptions(**{option: value})
    if name in layouts:
        assert options.of(name).get(option, value) == value
    else:
        with pytest.raises(ValueError, match=f"--{option.replace('_', '-')} is not for {name};"):
            options.of(name)


def test_all_strays_are_named() -> None:
    with pytest.raises(ValueError, match="--stretch, --held-out is not for vpo_ms"):
        MoreOptions(held_out=3, stretch=(1, 2)).of("vpo_ms")
