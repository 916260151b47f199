"""Parts run some groups at a time, each shape once; what goes in and out of them is found by looking."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from avseg.engines.parts import AT_ONCE, FEW, MOST, InGroups
from avseg.engines.ports import parts_of
from avseg.models.seams import Runner, Tensors
from avseg.types import Task
from small import small

TASKS = {
    "tpavi": Task("binary"),
    "avsegformer": Task("semantic", ("dog", "guitar")),
    "cavp": Task("semantic", ("dog", "guitar")),
    "qdformer": Task("semantic", ("dog", "guitar")),
    "avism": Task("instance", ("dog", "guitar")),
    "catr": Task("binary"),
}


def sums(made: list[Tensors]) -> InGroups:
    """Groups of two rows and of one row -> three rows for each group."""

    def make(given: Tensors) -> Runner:
        made.append(given)

        def run(pairs: Tensor, singles: Tensor) -> Tensors:
            assert pairs.shape == given[0].shape and singles.shape == given[1].shape
            told = pairs.reshape(len(singles), 2, -1).sum((1, 2)) + singles.sum(1)
            return (told.repeat_interleave(3)[:, None],)

        return run

    return InGroups(((2, 1), (3,)), make)


def test_groups_are_run_a_few_at_a_time_and_one_shape_is_made() -> None:
    made: list[Tensors] = []
    run = sums(made)
    for groups in (3 * MOST + 1, 2, MOST):
        pairs, singles = torch.rand(2 * groups, 7), torch.rand(groups, 2)
        (found,) = run(pairs, singles)
        wanted = (pairs.reshape(groups, -1).sum(1) + singles.sum(1)).repeat_interleave(3)[:, None]
        torch.testing.assert_close(found, wanted)
    assert [tuple(one.shape) for one in made[0]] == [(2 * MOST, 7), (MOST, 2)] and len(made) == 1


def test_large_groups_go_alone() -> None:
    made: list[Tensors] = []
    sums(made)(torch.rand(6, AT_ONCE // 2 + 1), torch.rand(3, 2))
    assert len(made) == 1 and len(made[0][1]) == 1


def test_what_has_no_groups_is_run_as_it_is() -> None:
    made: list[Tensors] = []

    def make(given: Tensors) -> Runner:
        made.append(given)
        return lambda *tensors: tensors

    run = InGroups(((0,), (0,)), make)
    for length in (3, 50, 3):
        assert run(torch.rand(length, 2))[0].shape == (length, 2)
    assert [len(one[0]) for one in made] == [3, 50]


def passes_on(made: list[object], what: object) -> Runner:
    made.append(what)
    return lambda *tensors: tensors


def test_after_a_few_shapes_one_graph_takes_all_others() -> None:
    made: list[object] = []
    run = InGroups(((1,), (1,)), lambda given: passes_on(made, given[0].shape[1]), lambda: passes_on(made, "any"))
    for width in (*range(1, FEW + 4), 2, FEW + 2):
        given = torch.rand(3, width)
        assert torch.equal(run(given)[0], given)
    assert made == [*range(1, FEW + 1), "any"]


def test_where_there_is_no_such_graph_each_shape_has_its_own(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    made, tried = list[object](), list[None]()

    def refused() -> Runner:
        tried.append(None)
        raise ValueError("torch.export cannot trace network")

    run = InGroups(((1,), (1,)), lambda given: passes_on(made, given[0].shape[1]), refused)
    for width in range(1, FEW + 4):
        run(torch.rand(1, width))
    assert made == [*range(1, FEW + 4)] and len(tried) == 1
    assert "each further size needs its own graph: torch.export cannot trace network" in caplog.text


@pytest.mark.parametrize(
    ("family", "rows"),
    [
        ("tpavi", {"network": ((5, 5), (5,)), "audio_network": ((1,), (1,))}),
        ("avsegformer", {"network": ((1, 1), (1,)), "audio_network": ((1,), (1,))}),
        ("catr", {"network": ((5, 5), (5, 5)), "audio_network": ((1,), (1,))}),
        ("cavp", {"network": ((1, 1), (1,))}),
        ("qdformer", {"network": ((1, 1), (1, 1)), "audio_network": ((1,), (1,))}),
        (
            "avism",
            {
                "network.look": ((1, 1), (1, 1)),
                "network.watch": ((0, 0), (0, 0)),
                "audio_network": ((1,), (1,)),
            },
        ),
    ],
)
def test_rows_of_a_group_are_seen(family: str, rows: dict[str, object]) -> None:
    parts = parts_of(small(family, TASKS[family]), sizes=False)
    assert {name: part.rows for name, part in parts.items()} == rows
    assert parts[next(name for name in rows)].inputs[0].name == "images"
