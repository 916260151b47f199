"""Groups of frames, the plan of pictures, and the sound that goes with them."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import torch

from avseg.config import AudioWindow, Temporal
from avseg.inference.plan import FramePlan, heard, part_of
from avseg.types import Clip

BLOCK = Temporal("block", 5, spacing=1.0, shown_after=0.9375)


def clip(times: list[float], shown: list[float] | None = None) -> Clip:
    count = len(times)
    moments = None if shown is None else torch.tensor(shown, dtype=torch.float64)
    frames = torch.arange(count, dtype=torch.uint8)[:, None, None, None].expand(count, 3, 2, 2)
    return Clip("c", frames, torch.tensor(times, dtype=torch.float64), torch.zeros(1, 160000), 16000, shown=moments)


def test_at_one_a_second_blocks_follow_each_other_and_the_tail_is_short() -> None:
    assert FramePlan.of(1, BLOCK).groups(12) == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9], [10, 11]]


@pytest.mark.parametrize("rate", [4, 25, 30])
def test_denser_frames_form_phase_shifted_groups_one_second_apart(rate: int) -> None:
    groups = FramePlan.of(rate, BLOCK).groups(count := 7 * rate + 2)
    assert groups[:rate] == [[p + k * rate for k in range(5)] for p in range(rate)]
    assert sorted(index for group in groups for index in group) == list(range(count))
    for group in groups:
        assert {b - a for a, b in pairwise(group)} <= {rate}


@pytest.mark.parametrize("count", [0, 1, 2, 4])
def test_a_few_dense_frames_are_groups_of_one(count: int) -> None:
    assert FramePlan.of(5, BLOCK).groups(count) == [[k] for k in range(count)]


def test_frame_models_see_one_and_clip_models_see_all() -> None:
    assert FramePlan.of(3, Temporal("frame", 1)).groups(3) == [[0], [1], [2]]
    whole = FramePlan.of(3, Temporal("clip", None))
    assert whole.groups(3) == [[0, 1, 2]] and whole.groups(0) == []


@pytest.mark.parametrize(("temporal", "phases"), [(BLOCK, 5), (Temporal("frame", 1), 1), (Temporal("clip", None), 1)])
def test_a_clip_is_grouped_by_the_rate_at_which_it_is_shown(temporal: Temporal, phases: int) -> None:
    shown = [0.1375 + k / 5 for k in range(30)]
    of = FramePlan.of_clip(clip([max(time - 0.9375, 0.0) for time in shown], shown), temporal)
    assert of.phases == phases and float(of.fps) == pytest.approx(5) and of.every == 1
    assert of.groups(30) == FramePlan.of(5, temporal).groups(30)
    assert FramePlan.of_clip(clip([3.0]), temporal).groups(1) == [[0]]


def test_a_short_group_repeats_its_last_frame_and_its_times_go_on() -> None:
    part = part_of(clip([0.0, 1.0, 2.0]), [1, 2], BLOCK)
    assert part.frames[:, 0, 0, 0].tolist() == [1, 2, 2, 2, 2] and part.times.tolist() == [1, 2, 3, 4, 5]
    assert part_of(clip([0.0, 1.0]), [1], Temporal("frame", 1)).times.tolist() == [1]


def test_how_many_pictures_are_read_before_a_network_sees_them() -> None:
    frame, whole = Temporal("frame", 1), Temporal("clip", None)
    assert FramePlan.of(5, BLOCK).span(25) == 25 and FramePlan.of(1, BLOCK).span(None) == 5
    assert FramePlan.of(5, frame).span(25) == 8
    assert [FramePlan.of(30, whole).span(n) for n in (None, 18, 40)] == [None, 30, 40]


def test_a_block_needs_a_length() -> None:
    with pytest.raises(ValueError, match=r"temporal\.length"):
        FramePlan.of(1, Temporal("block", None))


@pytest.mark.parametrize("fps", [1, 2, 4, 5, 8, 16, 25, 30])
def test_every_plan_holds_the_published_pictures(fps: float) -> None:
    plan = FramePlan.of(fps, BLOCK)
    assert 0 <= plan.offset < 1 / fps and (plan.phases, plan.every) == (fps, 1)
    assert (0.9375 - plan.offset) * fps == pytest.approx(round((0.9375 - plan.offset) * fps), abs=1e-9)


def test_sparse_masks_are_picked_from_one_picture_a_second() -> None:
    plan = FramePlan.of(0.25, BLOCK)
    assert (plan.fps, plan.every, plan.phases) == (Fraction(1), 4, 1)


@pytest.mark.parametrize(
    ("fps", "words"), [(1.5, "such as 2 or 3"), (29.97, "such as 30 or 31"), (0.4, "such as 1 or 2")]
)
def test_a_rate_between_is_refused_with_rates_that_fit(fps: float, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        FramePlan.of(fps, BLOCK)


@pytest.mark.parametrize("fps", [0, -1, float("nan")])
def test_a_rate_must_be_positive(fps: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        FramePlan.of(fps, BLOCK)


def test_frame_models_take_any_rate() -> None:
    assert FramePlan.of(29.97, Temporal("frame", 1)).fps == Fraction(2997, 100)


def test_heard_windows_follow_the_anchor() -> None:
    clip = heard([2.0, 3.0], AudioWindow(0.975, 0.96, "clip"))
    frame = heard([2.0, 3.0], AudioWindow(3.0, anchor="frame", offset=-1.5))
    assert np.allclose(clip, [(2.0, 2.975), (2.96, 3.935)]) and np.allclose(frame, [(0.5, 3.5), (1.5, 4.5)])
