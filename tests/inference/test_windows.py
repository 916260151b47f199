"""Groups of frames, the grid of pictures, and the sound that goes with them."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from avseg.config import AudioWindow, Temporal
from avseg.inference.windows import Grid, heard, nominal_times, windows

BLOCK = Temporal("block", 5, spacing=1.0, shown_after=0.9375)


def test_at_one_a_second_blocks_follow_each_other_and_the_tail_is_short() -> None:
    assert windows([float(t) for t in range(12)], BLOCK) == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9], [10, 11]]


def test_denser_frames_form_phase_shifted_groups_one_second_apart() -> None:
    times = [k / 4 for k in range(30)]
    groups = windows(times, BLOCK)
    assert groups[:4] == [[p, p + 4, p + 8, p + 12, p + 16] for p in range(4)]
    assert sorted(index for group in groups for index in group) == list(range(30))
    for group in groups:
        assert {round(times[b] - times[a], 6) for a, b in pairwise(group)} <= {1.0}


@pytest.mark.parametrize("count", [1, 2, 4])
def test_a_few_dense_frames_are_groups_of_one(count: int) -> None:
    assert windows([k / 5 for k in range(count)], BLOCK) == ([[0]] if count == 1 else [[k] for k in range(count)])


def test_frame_models_see_one_and_clip_models_see_all() -> None:
    assert windows([0.0, 1.0, 2.0], Temporal("frame", 1)) == [[0], [1], [2]]
    assert windows([0.0, 1.0, 2.0], Temporal("clip", None)) == [[0, 1, 2]]
    assert windows([], Temporal("clip", None)) == windows([], BLOCK) == []


def test_a_block_needs_a_length() -> None:
    with pytest.raises(ValueError, match=r"temporal\.length"):
        windows([0.0], Temporal("block", None))


@pytest.mark.parametrize("fps", [1, 2, 4, 5, 8, 16, 25, 30])
def test_every_grid_holds_the_published_pictures(fps: float) -> None:
    grid = Grid.of(fps, BLOCK)
    assert 0 <= grid.offset < 1 / fps and grid.span == 5 * fps and grid.every == 1
    assert (0.9375 - grid.offset) * fps == pytest.approx(round((0.9375 - grid.offset) * fps), abs=1e-9)


def test_sparse_masks_are_picked_from_one_picture_a_second() -> None:
    grid = Grid.of(0.25, BLOCK)
    assert (grid.fps, grid.every, grid.span) == (Fraction(1), 4, 5)


@pytest.mark.parametrize(
    ("fps", "words"), [(1.5, "such as 2 or 3"), (29.97, "such as 30 or 31"), (0.4, "such as 1 or 2")]
)
def test_a_rate_between_is_refused_with_rates_that_fit(fps: float, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Grid.of(fps, BLOCK)


@pytest.mark.parametrize("fps", [0, -1, float("nan")])
def test_a_rate_must_be_positive(fps: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        Grid.of(fps, BLOCK)


def test_frame_models_take_any_rate() -> None:
    assert Grid.of(29.97, Temporal("frame", 1)).fps == Fraction(2997, 100)


def test_sound_begins_before_the_picture_but_never_before_zero() -> None:
    assert nominal_times([0.1375, 0.9375, 1.9375], BLOCK) == [0.0, 0.0, 1.0]


def test_heard_windows_follow_the_anchor() -> None:
    clip = heard([2.0, 3.0], AudioWindow(0.975, 0.96, "clip"))
    frame = heard([2.0, 3.0], AudioWindow(3.0, anchor="frame", offset=-1.5))
    assert np.allclose(clip, [(2.0, 2.975), (2.96, 3.935)]) and np.allclose(frame, [(0.5, 3.5), (1.5, 4.5)])
