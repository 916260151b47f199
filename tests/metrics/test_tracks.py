"""Tables of tracks: what they hold, that they are made once, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from avseg.io.rle import decode
from avseg.metrics import SUITES
from avseg.metrics.tracks import table as tracks
from avseg.metrics.tracks.table import as_tracks, video_table
from avseg.types import DensePrediction, InstanceTarget, Rle, Task, TrackTarget
from track_world import empty_mask, found_of, random_video, truth_of

aviseg = SUITES["aviseg"]

TASK = Task("instance", ("person", "violin", "dog"))


def pixels(masks: list[list[Rle | None]], frames: int, size: tuple[int, int]) -> np.ndarray:
    """(N, T, H, W) bool."""
    out = np.zeros((len(masks), frames, *size), dtype=bool)
    for n, track in enumerate(masks):
        for t, mask in enumerate(track):
            if mask is not None:
                out[n, t] = decode(mask)
    return out


@pytest.mark.parametrize("seed", range(8))
def test_tables_count_what_decoded_masks_count(seed: int) -> None:
    prediction, truth = random_video(seed)
    table = video_table(prediction, truth)
    true, found = pixels(truth.masks, 7, truth.size), pixels(prediction.masks, 7, truth.size)
    both = (true[:, None] & found[None]).sum((-2, -1)).transpose(2, 0, 1)  # (T, G, P)
    either = (true[:, None] | found[None]).sum((-2, -1)).transpose(2, 0, 1)
    assert np.array_equal(table.iou, np.where(either > 0, both / np.maximum(either, 1), 0))
    whole = np.where(either.sum(0) > 0, both.sum(0) / np.maximum(either.sum(0), 1), 0)
    assert np.array_equal(table.track_iou(), whole)
    assert np.array_equal(table.truth_areas, true.sum((-2, -1))) and np.array_equal(table.areas, found.sum((-2, -1)))


def test_masks_are_compared_once_for_all_protocols(monkeypatch: pytest.MonkeyPatch) -> None:
    built, build = [], tracks._built
    monkeypatch.setattr(tracks, "_built", lambda *pair: built.append(pair) or build(*pair))
    prediction, truth = random_video(3)
    for protocol in ("aviseg_upstream", "aviseg"):
        aviseg(TASK, protocol)[0].update(prediction, truth, 0)
    assert len(built) == 1
    aviseg(TASK, "aviseg")[0].update(prediction, replace(truth), 0)  # another truth is another table
    assert len(built) == 2


def test_masks_of_pixels_are_judged_as_their_run_lengths() -> None:
    prediction, truth = random_video(5)
    masks = torch.from_numpy(pixels(truth.masks, 7, truth.size))
    dense = InstanceTarget(masks, truth.classes, truth.track_ids, truth.annotated)
    assert as_tracks(dense).masks == truth.masks
    scores = []
    for target in (truth, dense):
        metric = aviseg(TASK, "aviseg_upstream")[0]
        metric.update(prediction, target, 0)
        scores.append(repr(metric.compute()))
    assert scores[0] == scores[1]


def test_only_annotated_frames_are_judged() -> None:
    prediction, truth = random_video(5)
    known = torch.arange(7) < 4
    table = video_table(prediction, replace(truth, annotated=known))
    whole = video_table(prediction, truth)
    assert np.array_equal(table.iou, whole.iou[:4]) and table.there.shape == (len(prediction.masks), 4)


def test_empty_masks_are_dropped_and_tracks_without_others_too() -> None:
    box = (2, 3, 10, 12)
    truth = truth_of([[box, None], [None, None]], [1, 2])
    prediction = found_of([["", ""], [box, ""]], [1, 1])
    table = video_table(prediction, truth).without_empty()
    assert table.iou.shape == (2, 1, 1) and table.there.tolist() == [[True, False]]
    assert table.truth_there.tolist() == [[True, False]] and table.scores == pytest.approx([0.89])


BOX = (2, 3, 10, 12)


@pytest.mark.parametrize(
    ("prediction", "message"),
    [
        (found_of([[BOX] * 2], [1], size=(40, 30)), r"of size \(40, 30\), the truth is \(30, 40\)"),
        (found_of([[BOX] * 3], [1]), "track 1 has 3 masks, the truth has 2 frames"),
        (found_of([[BOX] * 2], [1], [float("nan")]), "score is NaN"),
        (found_of([[BOX] * 2], [4]), r"predicted classes span 4..4, wanted 1..3"),
        (
            replace(found_of([[BOX] * 2], [1]), masks=[[empty_mask((8, 8)), None]]),
            r"predicted mask has the size \(8, 8\)",
        ),
    ],
    ids=["size", "length", "nan", "class", "mask"],
)
def test_what_cannot_be_compared_is_refused(prediction: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        aviseg(TASK)[0].update(prediction, truth_of([[BOX, None]], [1]), 0)  # type: ignore[arg-type]


def test_dense_predictions_are_refused() -> None:
    with pytest.raises(TypeError, match="scores predicted tracks against true ones, got DensePrediction"):
        video_table(DensePrediction("a", torch.zeros(2, 1, 4, 4), (4, 4)), truth_of([[BOX, None]], [1]))
    with pytest.raises(ValueError, match="suite aviseg judges instance tasks, got a binary one"):
        aviseg(Task("binary"))


def test_videos_may_be_of_any_length_and_have_any_number_of_tracks() -> None:
    box, size = (0, 0, 2, 3), (4, 4)
    truth = truth_of([[box] * 300], [1], size)
    table = video_table(found_of([[box] * 300, [None] * 300], [1, 1], size=size), truth)
    assert table.areas.tolist() == [[6.0] * 300, [0.0] * 300] and (table.iou[:, 0] == [1, 0]).all()
    many = video_table(found_of([[box]] * 300, [1] * 300, [0.5] * 300, size), truth_of([[box]], [1], size))
    assert many.iou.shape == (1, 1, 300) and many.iou.all()


def test_a_video_without_instances_has_a_table() -> None:
    truth = truth_of([], [], frames=3)
    assert isinstance(truth, TrackTarget)
    table = video_table(found_of([], []), truth)
    assert table.iou.shape == (3, 0, 0) and table.truth_there.shape == (0, 3)
