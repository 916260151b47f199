"""Settings that no model can have, and copies of models."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from dataclasses import replace
from math import inf, nan
from typing import Any

import pytest
import torch

import zeroshot_parts
from avseg.config import Temporal
from avseg.models.zeroshot.config import FindConfig, FollowConfig, GateConfig, ZeroShotConfig, hearing
from avseg.models.zeroshot.model import ZeroShot
from avseg.types import Task


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        *((GateConfig, {name: nan}) for name in ("on", "off", "silence", "pad", "gap", "shortest")),
        *((GateConfig, {name: inf}) for name in ("on", "silence", "pad", "gap", "shortest")),
        *((FindConfig, {name: nan}) for name in ("box", "same", "other", "confirm", "look_again")),
        *((FindConfig, {name: 1.5}) for name in ("box", "same", "other", "confirm")),
        *((FindConfig, {"look": look}) for look in ((), (nan,), (-1.0,), (2.0, 1.0), (0.0, inf))),
        *((FollowConfig, {name: value}) for name in ("back", "lost", "keep") for value in (nan, -1.0)),
        *((ZeroShotConfig, {"audio": hearing(seconds)}) for seconds in (nan, inf, 0.1, 0.975)),
        *((ZeroShotConfig, {"temporal": Temporal("clip", None, spacing=spacing)}) for spacing in (nan, inf, 0.0)),
        (ZeroShotConfig, {"temporal": Temporal("frame")}),
    ],
)
def test_numbers_that_mean_nothing_are_refused(kind: Callable[..., Any], wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"gate|find|follow|wanted|whole clips"):
        kind(**wrong)


def test_never_is_a_number_too() -> None:
    assert GateConfig(silence=-inf).silence == -inf and FollowConfig(lost=inf, keep=inf).keep == inf
    assert FindConfig(look_again=inf).look_again == inf


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_load_parts_of_their_own(copied: Callable[[ZeroShot], ZeroShot]) -> None:
    model = zeroshot_parts.stub_model(Task("instance", ("dog", "cat")))
    used = model.stages(torch.device("cpu"))
    used.finder.unpicklable = lambda: None  # type: ignore[attr-defined]
    other = copied(model)
    assert other.config == model.config and other.task == model.task
    assert other.stages(torch.device("cpu")) is not used and model.stages(torch.device("cpu")) is used
    given = replace(used, finder=zeroshot_parts.BrightFinder(zeroshot_parts.STUB, model.config, torch.device("cpu")))
    again = copied(zeroshot_parts.stub_model(model.task).use(given)).stages(torch.device("cpu"))
    assert isinstance(again.finder, zeroshot_parts.BrightFinder) and again is not given
