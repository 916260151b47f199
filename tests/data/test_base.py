"""What a data set has by default, and which halves of it are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from avseg.config import InputSpec
from avseg.data import ClipDataset, make_loader
from avseg.data.base import Subset, tasks_apart
from avseg.data.framing import OneFrame
from avseg.data.geometry import Geometry
from avseg.data.transforms import apply
from avseg.types import Clip, DenseTarget, Draw, Task


class Plain(ClipDataset):
    """Three clips of four frames, of which the second and the fourth have labels; no more than a way to read them."""

    task, ids = Task("binary"), ["a", "b", "c"]

    def __init__(self) -> None:
        self.reads = 0

    def __getitem__(self, index: int) -> Clip:
        self.reads += 1
        frames = (torch.arange(4, dtype=torch.uint8) + 10 * index)[:, None, None, None].expand(4, 3, 4, 6).contiguous()
        labels = torch.arange(4)[:, None, None].expand(4, 4, 6).contiguous()
        target = DenseTarget(labels, torch.tensor([False, True, False, True]))
        return Clip(self.ids[index], frames, torch.arange(4).double(), torch.zeros(1, 8), 2, target=target)


def test_everything_but_reading_a_clip_has_a_default() -> None:
    dataset = Plain()
    assert (len(dataset), dataset.suite, dataset.batch_frames, dataset.knows_frames) == (3, "", None, False)
    assert (dataset.annotated(1), dataset.length(1)) == ([1, 3], 4)
    target = dataset.target(2)
    assert isinstance(target, DenseTarget) and target.labels[:, 0, 0].tolist() == [0, 1, 2, 3]
    clip = dataset.read(1, Geometry(InputSpec((2, 3))), [3, 0])
    assert clip.frames.shape == (2, 3, 2, 3) and clip.frames[:, 0, 0, 0].tolist() == [13, 10]
    assert clip.times.tolist() == [3, 0]


def test_frames_that_are_not_known_are_drawn_of_the_clip_that_was_read_once() -> None:
    dataset, transforms = Plain(), [OneFrame(), Geometry(InputSpec((2, 3)))]
    batches = list(make_loader(dataset, transforms, batch_size=1, seed=3))
    assert dataset.reads == 3
    expected = [apply(transforms, dataset[i], Draw(3, 0).generator(i)).times.tolist() for i in range(3)]
    assert [batch.times[0].tolist() for batch in batches] == expected
    assert {time for times in expected for time in times} <= {1.0, 3.0}


def test_a_subset_gives_the_clips_that_it_names() -> None:
    dataset = Plain()
    part = Subset(dataset, [2, 0, 2])
    assert part.ids == ["c", "a", "c"] and len(part) == 3 and part.task == dataset.task
    assert part[0].frames[0, 0, 0, 0] == 20 and part.read(1, None, [1]).frames[0, 0, 0, 0] == 1
    assert (part.annotated(0), part.length(0), part.knows_frames) == ([1, 3], 4, False)
    assert isinstance(part.target(0), DenseTarget)


def test_a_clip_without_truth_is_named() -> None:
    class Blind(Plain):
        def __getitem__(self, index: int) -> Clip:
            from dataclasses import replace

            return replace(super().__getitem__(index), target=None)

    with pytest.raises(ValueError, match="clip 'b' has no ground truth to be scored against"):
        Blind().target(1)


def reads_nothing() -> Any:
    class Nothing(ClipDataset): ...


def tells_half() -> Any:
    class Half(Plain):
        def annotated(self, index: int) -> list[int]:
            return [0]


def passes_by() -> Any:
    class Reads(ClipDataset):
        def read(self, index: int, *_: Any) -> Clip:
            return Plain()[index]

    class Changed(Reads):
        def __getitem__(self, index: int) -> Clip:
            return Plain()[0]


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (reads_nothing, "Nothing cannot read clips; define __getitem__ or read"),
        (tells_half, "Half defines only one of annotated and length; define both or neither"),
        (passes_by, "Changed is read by its method read; change that instead of __getitem__"),
    ],
)
def test_half_a_data_set_is_refused_where_it_is_written(made: Callable[[], Any], said: str) -> None:
    with pytest.raises(TypeError, match=said):
        made()


@pytest.mark.parametrize(
    ("model", "data", "said"),
    [
        (Task("binary"), Task("semantic", ("a",)), "a binary task, the data set 'own' has a semantic task of 1 class"),
        (Task("semantic", ("dog",)), Task("semantic", ("dog", "cat")), "a semantic task of 2 classes"),
        (Task("semantic", ("a", "b")), Task("semantic", ("a", "c")), "(class 2 is 'b' in the model, 'c' in the data)"),
        (Task("instance", ("a", "b")), Task("instance", ("b", "a")), "(class 1 is 'a' in the model, 'b' in the data)"),
    ],
)
def test_two_tasks_are_told_apart_by_what_differs(model: Task, data: Task, said: str) -> None:
    assert tasks_apart(model, data, "own").endswith(said)
