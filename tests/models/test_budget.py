"""A budget of memory decides how many pictures a network sees at once."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from typing import Any

import pytest
import torch

from avseg.inference import Segmenter
from avseg.models.budget import Budget, bytes_of
from avseg.types import Task
from contract.clips import random_clip
from models.small import clip, small_model
from small import small

MIB = 2**20


@pytest.mark.parametrize(
    ("text", "size"), [("2GiB", 2**31), ("800MB", 800 * 10**6), ("1.5 k", 1500), (4096, 4096), ("64MiB", 64 * MIB)]
)
def test_sizes_are_read(text: str | int, size: int) -> None:
    assert bytes_of(text) == size


@pytest.mark.parametrize("text", ["", "much", "-1GiB", "0", "2 GiB of it"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"wanted a size such as 2GiB"):
        bytes_of(text)


def sizes_of(budget: Budget, count: int, liked: int, group: int = 1, each: int = 32 * MIB) -> list[int]:
    """Sizes of the pieces where every picture takes `each` bytes."""
    found = []
    for piece in budget.pieces(count, liked, group):
        size = piece.stop - piece.start
        found.append(size)
        held = torch.ones(group * size * each // 4)  # until the next piece is asked for, so that its measure is certain
        assert len(held)
    return found


ALONE = f"""
import json
import torch
from avseg.models.budget import Budget, give_back, resident
MIB = 2**20

{inspect.getsource(sizes_of)}
torch.ones(MIB).sum()  # threads are there
give_back()
budget = Budget(resident() + 200 * MIB)
singly = sizes_of(budget, 20, 18)
give_back()
print(json.dumps([singly, budget.to_hold, sizes_of(Budget(resident() + 400 * MIB), 5, 18, group=2)]))
"""
"""A process of its own: what other tests have left behind may be freed while the first picture is measured."""


def test_without_a_budget_pieces_are_as_the_model_likes_them() -> None:
    assert sizes_of(Budget(), 20, 8, each=4) == [8, 8, 4]
    assert sizes_of(Budget(), 4, 12, group=5, each=4) == [2, 2]
    assert Budget().to_hold is None


def test_pieces_follow_the_budget() -> None:
    found = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True, check=True)
    singly, to_hold, grouped = json.loads(found.stdout)
    assert singly[0] == 1 and singly[1] in (3, 4, 5) and sum(singly) == 20  # three quarters of the room, and some noise
    assert 40 * MIB < to_hold < 60 * MIB  # a quarter of the room
    assert grouped[:2] == [1, 4]


def test_however_small_the_budget_one_picture_is_seen() -> None:
    assert sizes_of(Budget(1), 3, 18, each=4) == [1, 1, 1]


def test_predictions_do_not_depend_on_it() -> None:
    of = clip(20)
    whole, parts = (Segmenter(small_model(), fps=1).within(memory).predict(of) for memory in (None, 1))
    assert [frame.objects for frame in whole] == [frame.objects for frame in parts]
    with pytest.raises(ValueError, match="wanted a size such as 2GiB"):
        Segmenter(small_model()).within("lots")


def test_tracks_do_not_depend_on_it_and_the_network_sees_fewer() -> None:
    task = Task("instance", ("dog", "guitar"))
    of, seen = random_clip(task, frames=9), []

    def tracked(memory: int | None) -> Any:
        model = small("avism", task, frames_at_once=4)
        look = model.network.look

        def counting(images: torch.Tensor, *others: Any, **named: Any) -> Any:
            seen.append(len(images))
            return look(images, *others, **named)

        model.network.look = counting
        return Segmenter(model, options={"score": 0.0, "candidates": 4}).within(memory).predict(of)

    whole = tracked(None)
    assert seen == [4, 4, 1]
    seen.clear()
    parts = tracked(1)
    assert seen == [1] * 9
    scores = [[found.score for found in frame.objects] for frame in whole]
    assert [[found.score for found in frame.objects] for frame in parts] == [pytest.approx(s, abs=0.01) for s in scores]
