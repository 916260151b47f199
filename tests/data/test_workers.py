"""What goes wrong in a process that reads clips reaches the caller as if it had read them itself."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import torch

from avseg.data import ClipDataset, DataConfig, make_loader
from avseg.data import loader as loading
from avseg.types import Clip, Task


class UnpicklableError(ValueError):
    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")


class Spoilt(ClipDataset):
    """Clip 2 cannot be read, and the sound of clip 3 has another rate."""

    task, suite = Task("binary"), "avsbench_object"
    config = DataConfig()

    def __init__(self, fault: str) -> None:
        self.fault, self.ids = fault, [f"clip{i}" for i in range(4)]

    def __getitem__(self, index: int) -> Clip:
        if index == 2 and self.fault == "value":
            raise ValueError("the mask of clip2 is cut off; copy it again")
        if index == 2 and self.fault == "unpicklable":
            raise UnpicklableError("clip2.png", "cut off")
        rate = 16 if index == 3 else 8
        return Clip(
            self.ids[index],
            torch.zeros(1, 3, 4, 4, dtype=torch.uint8),
            torch.zeros(1).double(),
            torch.zeros(1, 8),
            rate,
        )


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_of_a_clip_is_raised_as_it_was(workers: int) -> None:
    with pytest.raises(ValueError, match="cut off") as caught:
        list(make_loader(Spoilt("value"), batch_size=1, workers=workers))
    assert str(caught.value) == "the mask of clip2 is cut off; copy it again"
    assert type(caught.value) is ValueError


def test_the_batches_before_an_error_come_first() -> None:
    batches = iter(make_loader(Spoilt("value"), batch_size=1, workers=1))
    assert next(batches).ids == ["clip0"] and next(batches).ids == ["clip1"]
    with pytest.raises(ValueError, match="clip2"):
        next(batches)


def test_an_error_that_cannot_be_sent_keeps_its_words() -> None:
    with pytest.raises(RuntimeError) as caught:
        list(make_loader(Spoilt("unpicklable"), batch_size=1, workers=1))
    assert str(caught.value) == "UnpicklableError: clip2.png: cut off"


@pytest.mark.parametrize("workers", [0, 1])
def test_clips_that_make_no_batch_are_told_in_one_sentence(workers: int) -> None:
    with pytest.raises(ValueError, match="rate") as caught:
        list(make_loader(Spoilt("none"), batch_size=4, workers=workers))
    assert "Traceback" not in str(caught.value) and "\n" not in str(caught.value)


def test_a_killed_worker_is_told_in_one_sentence() -> None:
    def batches() -> Iterator[object]:
        # PyTorch's words. A worker that is really killed can raise them a second time, wherever the program then is.
        raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. ")
        yield

    with pytest.raises(
        RuntimeError, match=r"^a process that reads clips ended unexpectedly .*fewer processes"
    ) as caught:
        loading._next(batches())
    assert "\n" not in str(caught.value)


def test_there_are_no_more_workers_than_cores(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(loading.os, "sched_getaffinity", lambda _: {0, 3}, raising=False)
    with caplog.at_level(logging.INFO, "avseg"):
        assert [loading.workers_here(wanted) for wanted in (0, 2, 8)] == [0, 2, 2]
    assert caplog.messages == ["requested 8 processes that read clips; this machine has 2 cores, so 2 are used"]
