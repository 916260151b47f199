"""More tracks than label maps tell apart: those that are kept get numbers of their own."""

from __future__ import annotations

import pytest
import torch

from avseg.inference.objects import objects_in, tracks_of
from avseg.models.zeroshot.config import ZeroShotOptions
from avseg.models.zeroshot.output import TrackMasks
from avseg.models.zeroshot.tracks import Find, FollowedTrack
from avseg.models.zeroshot.wording import Prompt
from avseg.types import InstancePrediction, Task

COUNT = 300
TASK = Task("instance", tuple(f"n{k}" for k in range(1, COUNT + 1)))


def track(number: int) -> FollowedTrack:
    """Of the class of its number; later ones have better scores."""
    find = Find(0.0, 0.5 + number / 1000, (0.0, 0.0, 4.0, 4.0), Prompt(TASK.classes[number - 1], number))
    return FollowedTrack(number, number - 1, [find], 0.0, 0.0, {0: 1.0})


def test_numbers_of_tracks_stay_apart() -> None:
    tracks, masks = {number: track(number) for number in range(1, COUNT + 1)}, TrackMasks()
    masks.add({number: torch.ones(4, 4) for number in tracks}, (4, 4))
    found = masks.prediction("a", tracks, (4, 4), ZeroShotOptions())
    told = tracks_of(found, TASK)
    assert sorted(one.id for one in told) == list(range(1, 256))
    assert {one.id: one.class_id for one in told} == {n: n + 45 for n in range(1, 256)}
    assert len(objects_in(found, 0, TASK)) == 255
    assert {one.number for one in tracks.values()} == set(range(1, COUNT + 1)), "what is told of the others stays apart"
    few = masks.prediction("a", {n: track(n) for n in list(tracks)}, (4, 4), ZeroShotOptions(most_tracks=2))
    assert few.classes.tolist() == [300, 299] and few.track_ids.tolist() == [2, 1]


def test_ids_that_do_not_fit_do_not_collide() -> None:
    rle = TrackMasks()
    rle.add({1: torch.ones(2, 2)}, (2, 2))
    mask = rle.prediction("a", {1: track(1)}, (2, 2), ZeroShotOptions()).masks[0]
    found = InstancePrediction("a", [mask, mask], torch.ones(2), torch.tensor([1, 2]), torch.tensor([256, 1]), (2, 2))
    assert [(one.id, one.class_id) for one in tracks_of(found, TASK)] == [(2, 1), (1, 2)]


@pytest.mark.parametrize("count", [0, 256])
def test_more_tracks_than_label_maps_hold_are_refused_before_work(count: int) -> None:
    with pytest.raises(ValueError, match=f"most_tracks {count}, wanted 1 to 255"):
        ZeroShotOptions(most_tracks=count)
