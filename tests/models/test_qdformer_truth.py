"""Targets of QDFormer, read off label maps pixel by pixel."""

from __future__ import annotations

from dataclasses import fields

import pytest
import torch

from avseg.models.qdformer.truth import QueryTruth, truth_of
from avseg.types import Batch, Clip
from models.small_qdformer import painted, relabelled, told_clip

SIZE, GRID, CLASSES = (64, 64), (16, 16), 3


def truth_for(*clips: Clip, classes: int | None = CLASSES, frames: int | None = None) -> QueryTruth:
    return truth_of(Batch.collate(clips, frames), SIZE, GRID, classes)


def same(a: QueryTruth, b: QueryTruth) -> bool:
    return all(torch.equal(getattr(a, f.name), getattr(b, f.name)) for f in fields(QueryTruth))


def test_semantic_targets_are_the_classes_that_labelled_frames_show() -> None:
    first = painted({3: (4, 8, 30, 40)}, {3: (6, 8, 32, 40), 1: (40, 40, 60, 60)}, {})
    second = painted({2: (0, 0, 64, 64)}, {})
    truth = truth_for(told_clip(first), told_clip(second, seed=1))
    assert truth.present.tolist() == [[True, True], [True, False]]
    assert truth.classes.tolist() == [[0, 2], [1, 0]]
    assert truth.shown[0].tolist() == [[False, True, False], [True, True, False]]
    assert truth.shown[1].tolist() == [[True, False, False], [False] * 3]
    assert truth.sounding.tolist() == [[True, True, False], [True, False, False]]
    assert truth.labelled.tolist() == [[True] * 3, [True, True, False]]
    left, top, right, bottom = 8 / 64, 6 / 64, 40 / 64, 32 / 64
    wanted = [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]
    assert truth.boxes[0, 1, 1].tolist() == pytest.approx(wanted)
    assert (truth.boxes[~truth.shown] == 0).all() and truth.boxes[1, 0, 0].tolist() == [0.5, 0.5, 1, 1]


def test_masks_are_labels_at_every_fourth_pixel_from_the_third_on() -> None:
    labels = torch.randint(0, CLASSES + 1, (2, 64, 64), generator=torch.Generator().manual_seed(0))
    truth = truth_for(told_clip(labels))
    for j, label in enumerate((1, 2, 3)):
        assert torch.equal(truth.masks[0, j], labels[:, 2::4, 2::4] == label)
    assert truth.pixels.all()


def test_labels_of_another_size_are_taken_where_the_picture_has_them() -> None:
    """Truth as it lies on disk: twice as large, three times as wide, half."""
    small = torch.randint(0, CLASSES + 1, (2, 16, 16), generator=torch.Generator().manual_seed(0))
    labels = small.repeat_interleave(4, 1).repeat_interleave(4, 2)
    wanted = truth_for(told_clip(labels))
    for rows, columns in ((8, 12), (2, 2), (1, 1)):
        other = small.repeat_interleave(rows, 1).repeat_interleave(columns, 2)
        found = truth_for(told_clip(other))
        assert torch.equal(found.masks, wanted.masks) and torch.allclose(found.boxes, wanted.boxes)


def test_a_grid_that_the_picture_does_not_fill_ends_at_its_last_pixel() -> None:
    labels = painted({1: (62, 0, 66, 66)}, size=(66, 66))
    truth = truth_of(Batch.collate([told_clip(labels, size=(66, 66))]), (66, 66), (17, 17), CLASSES)
    assert truth.masks[0, 0, 0, 15:].all() and not truth.masks[0, 0, 0, :15].any()


def test_binary_tasks_have_one_target_of_all_that_sounds() -> None:
    labels = painted({1: (4, 8, 30, 40), 3: (40, 40, 60, 60)}, {}, {2: (0, 0, 4, 4)})
    truth = truth_for(told_clip(labels), classes=None)
    assert truth.present.tolist() == [[True]] and truth.classes.tolist() == [[0]]
    assert torch.equal(truth.masks[0, 0], labels[:, 2::4, 2::4] > 0)
    assert truth.shown.tolist() == [[[True, False, True]]]
    assert truth.boxes[0, 0, 0].tolist() == pytest.approx([34 / 64, 32 / 64, 52 / 64, 56 / 64])


def test_a_silent_clip_has_an_empty_target_where_the_task_is_binary_and_none_otherwise() -> None:
    silent = told_clip(painted({}, {}))
    binary = truth_for(silent, classes=None)
    assert binary.present.tolist() == [[True]] and not binary.shown.any() and not binary.masks.any()
    semantic = truth_for(silent)
    assert semantic.present.shape == (1, 0) and semantic.masks.shape == (1, 0, 2, 16, 16)
    assert semantic.labelled.all() and semantic.pixels.all()


@pytest.mark.parametrize("classes", [None, CLASSES])
def test_a_clip_without_labelled_frames_has_no_target(classes: int | None) -> None:
    labels = painted({1: (4, 8, 30, 40)}, {2: (0, 0, 9, 9)})
    truth = truth_for(told_clip(labels, [False, False]), classes=classes)
    assert truth.present.shape == (1, 0)
    assert not truth.labelled.any() and not truth.pixels.any()


@pytest.mark.parametrize("classes", [None, CLASSES])
def test_frames_without_labels_are_not_looked_at(classes: int | None) -> None:
    """S4, the first frame alone; and AVSS, clips of five frames filled up to ten."""
    labels = painted({1: (4, 8, 30, 40)}, {2: (0, 0, 9, 9)}, {1: (0, 0, 9, 9)})
    clip = told_clip(labels, [True, False, False])
    other = labels.clone()
    other[1:] = torch.randint(0, 4, (2, 64, 64), generator=torch.Generator().manual_seed(0))
    beyond = labels.clone()
    beyond[1:] = 77  # of no class of the task
    wanted = truth_for(clip, classes=classes, frames=5)
    for altered in (other, beyond):
        assert same(truth_for(relabelled(clip, altered), classes=classes, frames=5), wanted)
    assert wanted.labelled.tolist() == [[True, False, False, False, False]]


@pytest.mark.parametrize("classes", [None, CLASSES])
def test_pixels_of_label_255_belong_to_nothing(classes: int | None) -> None:
    """They are in no mask and no box, and are not judged; a frame of nothing else counts as one without labels."""
    labels = painted({1: (4, 8, 30, 40), 255: (20, 0, 64, 64)}, {255: (0, 0, 64, 64)}, {})
    truth = truth_for(told_clip(labels), classes=classes)
    assert torch.equal(truth.pixels[0], labels[:, 2::4, 2::4] != 255)
    assert truth.labelled.tolist() == [[True, False, True]]
    assert truth.boxes[0, 0, 0].tolist() == pytest.approx([24 / 64, 12 / 64, 32 / 64, 16 / 64])
    assert not (truth.masks & ~truth.pixels[:, None]).any()


def test_truth_that_does_not_fit_is_refused_in_a_sentence() -> None:
    clip = told_clip(painted({4: (0, 0, 9, 9)}, {}))
    with pytest.raises(ValueError, match="truth of class 4 to 4 for a task of classes 1 to 3"):
        truth_for(clip)
    batch = Batch.collate([clip])
    object.__setattr__(batch, "targets", None)
    with pytest.raises(ValueError, match="need a label map for each of 1 clips, got 0"):
        truth_of(batch, SIZE, GRID, CLASSES)
