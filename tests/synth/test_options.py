"""Options of single data sets reach their writer, and no other."""

from __future__ import annotations

import pytest

from avseg.synth.options import MoreOptions


def test_each_layout_takes_its_own() -> None:
    assert MoreOptions(movies=2).of("aviseg")["movies"] == 2
    assert "singles" not in MoreOptions().of("aviseg")
    assert MoreOptions(singles=0.5, stereo=True).of("vpo_msmi") == {"singles": 0.5, "stereo": True}
    assert MoreOptions(stereo=True).of("s4") == {}


@pytest.mark.parametrize(
    ("options", "name", "told"),
    [
        (MoreOptions(movies=1), "s4", "--movies is not for s4"),
        (MoreOptions(held_out=3, stretch=(1, 2)), "vpo_ms", "--stretch, --held-out is not for vpo_ms"),
        (MoreOptions(singles=0.1), "aviseg", "--singles is not for aviseg"),
    ],
)
def test_an_option_of_another_layout_is_refused(options: MoreOptions, name: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        options.of(name)
