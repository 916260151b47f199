"""What codes tell, on cases whose answer is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from code_measures import area_under_curve, kept_codes, matches, mutual_information


def test_mutual_information_of_the_same_and_of_nothing() -> None:
    names = np.array([0, 0, 1, 2, 2, 2])
    assert mutual_information(names, 10 - names) == pytest.approx(1.0)
    assert mutual_information(names, np.zeros(6)) == 0.0
    assert mutual_information([0, 0, 1, 1], [0, 1, 0, 1]) == pytest.approx(0.0, abs=1e-12)


def test_mutual_information_of_a_case_done_by_hand() -> None:
    # Three codes for two classes: I = ln 2, H(class) = ln 2, H(code) = 1.5 ln 2.
    assert mutual_information([0, 0, 1, 1], [0, 0, 1, 2]) == pytest.approx(2 * math.log(2) / (2.5 * math.log(2)))
    with pytest.raises(ValueError, match="2 and 3 names"):
        mutual_information([1, 2], [1, 2, 3])


def test_own_partners_that_fit_are_found_and_chance_is_not() -> None:
    rng = np.random.default_rng(0)
    noise = rng.random((30, 30))
    found = matches(noise + 0.5 * np.eye(30), permutations=500)
    assert found.share > found.chance + 0.3 and found.p_value == pytest.approx(1 / 501)
    assert found.chance == pytest.approx((noise + 0.5 * np.eye(30)).mean(), abs=0.02)
    alike = matches(np.full((30, 30), 0.7), permutations=100)
    assert alike.share == pytest.approx(0.7) and alike.p_value == 1.0
    with pytest.raises(ValueError, match=r"wanted \(P, P\)"):
        matches(np.zeros((2, 3)))


def test_chance_gives_small_p_values_no_more_often_than_it_may() -> None:
    values = [matches(np.random.default_rng(k).random((12, 12)), 199, seed=k).p_value for k in range(60)]
    assert 0.3 < np.mean(values) < 0.7 and np.mean(np.array(values) <= 0.2) < 0.4


def test_codes_kept_of_two_sources() -> None:
    mixtures = np.array([[1, 2, 5], [3, 3, 4]])
    sources = np.array([[[1, 1, 1], [2, 7, 2]], [[3, 3, 3], [0, 0, 6]]])
    tokens, codes = kept_codes(mixtures, sources, 8)
    # Mixture 0: two of three tokens are codes of its sources; all of {1} and half of {2, 7} are heard in it.
    assert tokens == pytest.approx(np.array([[2 / 3, 0], [0, 2 / 3]]))
    assert codes == pytest.approx(np.array([[0.75, 0], [0, 0.5]]))


def test_area_under_the_curve_counts_pairs() -> None:
    assert area_under_curve([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1]) == 0.75
    assert area_under_curve([0.5, 0.5, 0.5], [0, 1, 1]) == 0.5
    assert math.isnan(area_under_curve([0.5], [1]))
