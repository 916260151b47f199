"""Intervals by drawing clips again."""

from __future__ import annotations

import math

import numpy as np
import pytest

from avseg.metrics.bootstrap import AT_ONCE, bootstrap_interval, paired_bootstrap


def test_the_interval_is_as_wide_as_the_normal_one_of_many_clips() -> None:
    scores = np.random.default_rng(3).normal(0.6, 0.2, 400)
    low, high = bootstrap_interval(scores)
    half = 1.96 * scores.std() / math.sqrt(400)
    assert low == pytest.approx(scores.mean() - half, abs=0.1 * half)
    assert high == pytest.approx(scores.mean() + half, abs=0.1 * half)
    narrow = bootstrap_interval(scores, level=0.5)
    assert low < narrow[0] < scores.mean() < narrow[1] < high


def test_it_holds_the_truth_about_as_often_as_it_says() -> None:
    generator = np.random.default_rng(0)
    found = [bootstrap_interval(generator.normal(0.5, 0.1, 40), seed=i, draws=400) for i in range(200)]
    held = sum(low <= 0.5 <= high for low, high in found) / 200
    assert 0.88 <= held <= 0.99


def test_seeds_repeat_and_clips_without_a_score_are_left_out() -> None:
    scores = np.random.default_rng(4).uniform(size=30).tolist()
    assert bootstrap_interval(scores, seed=1) == bootstrap_interval([*scores, math.nan], seed=1)
    assert bootstrap_interval(scores, seed=1) != bootstrap_interval(scores, seed=2)


def test_pairs_tell_a_small_steady_difference_that_apart_is_lost() -> None:
    b = np.random.default_rng(5).uniform(0, 1, 60)
    a = b + 0.02 + np.random.default_rng(6).normal(0, 0.01, 60)
    difference, low, high = paired_bootstrap(a, b)
    assert 0 < low < difference < high and difference == pytest.approx((a - b).mean())
    assert bootstrap_interval(a)[0] < bootstrap_interval(b)[1]
    assert paired_bootstrap(b, a)[0] == pytest.approx(-difference)


def test_pairs_without_one_of_their_scores_are_left_out() -> None:
    assert paired_bootstrap([0.5, 0.6, math.nan], [0.4, 0.4, 0.1])[0] == pytest.approx(0.15)
    assert all(math.isnan(value) for value in paired_bootstrap([math.nan], [0.3]))


def test_one_clip_has_no_interval() -> None:
    assert all(math.isnan(end) for end in bootstrap_interval([0.7]))
    difference, *ends = paired_bootstrap([0.7], [0.5])
    assert difference == pytest.approx(0.2) and all(math.isnan(end) for end in ends)


def test_pieces_do_not_change_the_number_of_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = np.linspace(0, 1, 50)
    whole = bootstrap_interval(scores, draws=1001)
    monkeypatch.setattr("avseg.metrics.bootstrap.AT_ONCE", 130)
    assert AT_ONCE > 1001 * 50
    assert bootstrap_interval(scores, draws=1001) == pytest.approx(whole, abs=0.02)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"values": [[1.0, 2.0]]}, r"shape \(1, 2\), wanted \(N,\)"),
        ({"values": [1.0, 2.0], "draws": 0}, "draws 0"),
        ({"values": [1.0, 2.0], "level": 95}, "level 95, wanted 1 or more and one between 0 and 1"),
    ],
)
def test_what_makes_no_interval_is_refused(given: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        bootstrap_interval(**given)  # type: ignore[arg-type]


def test_rows_of_different_length_are_no_pairs() -> None:
    with pytest.raises(ValueError, match="2 scores are compared with 1"):
        paired_bootstrap([0.1, 0.2], [0.3])
