"""What every metric suite promises: merged in any order it says the same."""

from __future__ import annotations

import itertools

import pytest
import torch

from avseg.metrics import SUITES, known_protocols
from avseg.types import DensePrediction, DenseTarget, Prediction, Target, Task
from contract.clips import random_clip
from track_world import random_video

TASKS = {
    "binary": Task("binary"),
    "semantic": Task("semantic", tuple(f"class{i}" for i in range(1, 31))),
    "instance": Task("instance", ("person", "violin", "dog")),
}
TASK_OF = {name: TASKS[record.kinds[-1]] for name, record in SUITES.items()}
"""Of every suite, those of other packages too: the last kind of task that it scores."""


def results(suite: str, n: int = 7) -> list[tuple[Prediction, Target]]:
    task = TASK_OF[suite]
    if task.kind == "instance":
        return [random_video(seed) for seed in range(n)]
    out: list[tuple[Prediction, Target]] = []
    for seed in range(n):
        clip = random_clip(task, seed, size=32)
        assert isinstance(clip.target, DenseTarget)
        logits = torch.randn(5, task.channels, 32, 32, generator=torch.Generator().manual_seed(seed))
        name = f"clip{seed // 2}@{('own', 'noise')[seed % 2]}" if SUITES[suite].by_scenario else clip.id
        out.append((DensePrediction(name, logits, (32, 32)), clip.target))
    return out


def cases() -> list[tuple[str, str]]:
    return [(suite, protocol) for suite in SUITES for protocol in SUITES[suite].protocols]


@pytest.mark.parametrize(("suite", "protocol"), cases())
def test_merged_in_any_order_is_the_same(suite: str, protocol: str) -> None:
    pairs = results(suite)
    whole = SUITES[suite](TASK_OF[suite], protocol)
    for i, (prediction, target) in enumerate(pairs):
        for metric in whole:
            metric.update(prediction, target, i)
    expected = [metric.compute() for metric in whole]
    assert expected and all(expected)
    for order in itertools.islice(itertools.permutations(range(3)), 6):
        parts = [SUITES[suite](TASK_OF[suite], protocol) for _ in range(3)]
        for i in reversed(range(len(pairs))):
            for metric in parts[i % 3]:
                metric.update(*pairs[i], i)
        for metric in parts[0]:  # a clip seen by two ranks counts once
            metric.update(*pairs[1], 1)
        first = parts[order[0]]
        for other in order[1:]:
            for a, b in zip(first, parts[other], strict=True):
                a.merge(b)
        assert [metric.compute() for metric in first] == expected


@pytest.mark.parametrize(("suite", "protocol"), cases())
def test_rows_name_every_clip(suite: str, protocol: str) -> None:
    for metric in SUITES[suite](TASK_OF[suite], protocol):
        for i, (prediction, target) in enumerate(results(suite, 3)):
            metric.update(prediction, target, i)
        assert len(metric.rows()) == 3
        assert (metric.suite, metric.protocol) == (suite, protocol)


@pytest.mark.parametrize("suite", list(SUITES))
def test_unknown_protocol_says_what_there_is(suite: str) -> None:
    with pytest.raises(
        ValueError, match=f"{suite} has no protocol 'publishd'; use {next(iter(SUITES[suite].protocols))}"
    ):
        SUITES[suite](TASK_OF[suite], "publishd")


def test_every_protocol_belongs_to_a_suite() -> None:
    assert {name for suite in SUITES.values() for name in suite.protocols} == set(known_protocols())


@pytest.mark.parametrize("suite", list(SUITES))
def test_a_record_agrees_with_its_name_and_its_metrics(suite: str) -> None:
    record = SUITES[suite]
    assert record.name == suite and TASK_OF[suite].kind in record.kinds
    assert set(record.aliases.values()) | set(record.clips_per_group) <= set(record.protocols)
    for alias, own in record.aliases.items():
        assert {metric.protocol for metric in record(TASK_OF[suite], alias)} == {own}
    others = {"binary", "semantic", "instance"} - set(record.kinds)
    for kind in others:
        with pytest.raises(ValueError, match=f"{suite} judges .* {kind} one; choose another suite"):
            record(Task(kind, () if kind == "binary" else ("dog",)), next(iter(record.protocols)))  # type: ignore[arg-type]
