"""Sound by the second: windows around their middle, silence at both ends, and pieces that change nothing."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from torch import Tensor

from avseg.models.zeroshot.config import GateConfig, ZeroShotConfig, hearing
from avseg.models.zeroshot.hearing import Hearing, Second
from avseg.models.zeroshot.names import Nouns
from zeroshot_parts import STUBS


@dataclass
class Kept:
    """A tagger that keeps its windows."""

    labels: tuple[str, ...] = ("dog",)
    windows: list[Tensor] = field(default_factory=list)

    def tags(self, windows: Tensor) -> Tensor:
        self.windows += list(windows)
        return windows.abs().amax(1, keepdim=True).repeat(1, len(self.labels))


def heard(pieces: list[tuple[Tensor, float, int]], seconds: float, rate: int = 100) -> tuple[Kept, list[Second]]:
    """`pieces`: sound, start in s, and the last second that is heard after it."""
    tagger = Kept()
    config = ZeroShotConfig(**STUBS, audio=hearing(seconds), gate=GateConfig(silence=-200.0, on=0.5, off=0.2))
    found = Hearing(tagger, _Rate(config, rate), Nouns.of_vocabulary(["dog"]))  # type: ignore[arg-type]
    for sound, start, last in pieces:
        found.add(sound, rate, start)
        found.hear(0, last)
    return tagger, found.seconds


class _Rate:
    """A config whose tagger hears another rate."""

    def __init__(self, config: ZeroShotConfig, rate: int) -> None:
        self.sound_rate, self._config = rate, config

    def __getattr__(self, name: str) -> object:
        return getattr(self._config, name)


RAMP = torch.arange(1, 1001, dtype=torch.float32) / 1000


def test_a_window_lies_around_the_middle_of_its_second_with_silence_outside() -> None:
    tagger, seconds = heard([(RAMP, 0.0, 9)], 3.0)
    assert [s.number for s in seconds] == list(range(10)) and {len(w) for w in tagger.windows} == {300}
    first, fourth, last = tagger.windows[0], tagger.windows[4], tagger.windows[9]
    assert torch.equal(first, torch.cat([torch.zeros(100), RAMP[:200]]))
    assert torch.equal(fourth, RAMP[300:600])
    assert torch.equal(last, torch.cat([RAMP[800:], torch.zeros(100)]))


@pytest.mark.parametrize("seconds", [1.0, 1.5, 3.0, 4.0])
def test_pieces_that_overlap_give_the_windows_of_the_whole(seconds: float) -> None:
    whole, wanted = heard([(RAMP, 0.0, 9)], seconds)
    reach = (seconds - 1) / 2
    pieces = []
    for begin in range(0, 10, 2):
        first, stop = max(0, round((begin - reach) * 100)), round((begin + 2 + reach) * 100)
        pieces.append((RAMP[first:stop], first / 100, begin + 1))
    parts, found = heard(pieces, seconds)
    assert all(torch.equal(a, b) for a, b in zip(whole.windows, parts.windows, strict=True))
    assert [s.decibels for s in found] == [s.decibels for s in wanted]


def test_sound_may_begin_before_the_pictures_or_after_them() -> None:
    early, _ = heard([(RAMP, -2.0, 3)], 1.0)
    assert torch.equal(early.windows[0], RAMP[200:300])
    late, seconds = heard([(RAMP, 1.5, 3)], 1.0)
    assert seconds[0].decibels == -np.inf and len(late.windows) == 3, "a second without sound is not tagged"
    assert torch.equal(late.windows[0], torch.cat([torch.zeros(50), RAMP[:50]]))


def test_a_hole_between_pieces_is_silence() -> None:
    tagger, seconds = heard([(RAMP[:200], 0.0, 1), (RAMP[400:], 4.0, 5)], 1.0)
    assert [np.isfinite(s.decibels) for s in seconds] == [True, True, False, False, True, True]
    assert torch.equal(tagger.windows[2], RAMP[400:500])


def test_sound_comes_to_the_rate_of_the_tagger() -> None:
    tagger = Kept()
    config = ZeroShotConfig(**STUBS, audio=hearing(2.0))
    found = Hearing(tagger, config, Nouns.of_vocabulary(["dog"]))
    found.add(torch.sin(torch.arange(48000 * 3) * 2 * torch.pi * 440 / 48000), 48000, 0.0)
    found.hear(0, 2)
    assert {len(window) for window in tagger.windows} == {32000}
    wanted = torch.sin((torch.arange(16000 * 3)) * 2 * torch.pi * 440 / 16000)
    inside = tagger.windows[1][500:-500]
    assert torch.allclose(inside, wanted[8000 + 500 : 40000 - 500], atol=2e-3)
    with pytest.raises(ValueError, match="goes on at 16000 Hz after 48000 Hz"):
        found.add(torch.zeros(10), 16000, 3.0)


def test_the_most_probable_tags_are_told() -> None:
    tagger = Kept(labels=tuple("abcdefg"))
    config = ZeroShotConfig(**STUBS, audio=hearing(1.0))
    found = Hearing(tagger, config, Nouns.of_vocabulary(list("abcdefg")))
    found.add(torch.full((16000,), 0.25), 16000, 0.0)
    found.hear(0, 1)
    assert found.seconds[0].tags == tuple((name, 0.25) for name in "abcde") and found.seconds[1].tags == ()
    assert found.seconds[0].decibels == pytest.approx(-12.04, abs=0.01)
