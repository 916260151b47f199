"""Models whose networks an engine computes."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import torch

from avseg.engines import cache, trace
from avseg.engines.choice import choose
from avseg.engines.parts import Engine, InGroups
from avseg.engines.ports import parts_of
from avseg.engines.records import AUTO, ENGINES, EXACT, Choice
from avseg.engines.torch_engine import TorchEngine
from avseg.lazy import imported
from avseg.models.base import Model
from avseg.models.compiled import uncompiled
from avseg.models.seams import Runner, Tensors, called, with_runners

log = logging.getLogger(__name__)
Rows = tuple[tuple[int, ...], tuple[int, ...]]


def with_engine(model: Model[Any], engine: str = AUTO, precision: str = AUTO, device: str = "cpu") -> Model[Any]:
    """The model with its network computed by an engine, to predict with; it shares the weights of `model`.

    >>> fast = with_engine(load_model("model.safetensors"), "openvino", "bf16")  # doctest: +SKIP

    Args:
        model: any model, which stays as it is.
        engine, precision: see `avseg.engines.choice.choose`.
        device: where the model is.

    Raises:
        ImportError: the engine is not installed.
        ValueError: an engine or a precision that is not for this model or device.
    """
    place = torch.device(device)
    return attached(model, choose(model, place, engine, precision), place)


def attached(model: Model[Any], choice: Choice, device: torch.device) -> Model[Any]:
    """The same with what was chosen. Nothing is compiled before the first prediction."""
    if model.exported is None and choice == EXACT:
        return model
    model = uncompiled(model)
    made: Engine = imported(ENGINES[choice.engine].address)(choice.precision, device)
    if model.exported is not None:
        runners = model.exported.runners(made)
    elif isinstance(made, TorchEngine):
        runners = {name: made.in_precision(_as_it_is(model, name)) for name in _names(model)}
    else:
        runners = _of_model(model, made)
    return with_runners(model, model.seams, runners)


def _names(model: Model[Any]) -> list[str]:
    """Seams whose parts are computed by an engine."""
    return [name for name, seam in model.seams.items() if seam.apart and called(model, name) is not None]


def _as_it_is(model: Model[Any], name: str) -> Runner:
    seam = model.seams[name]
    return lambda *tensors: seam.traced(called(model, name), *tensors)


def _of_model(model: Model[Any], engine: Engine) -> dict[str, Runner]:
    keys: dict[str, str] = {}
    rows: dict[str, Rows] = {}

    def run(name: str) -> Runner:
        made: list[InGroups] = []

        def first(*tensors: Any) -> Tensors:
            if not made:
                keys[name] = cache.part_key(model, name)
                if name not in rows:
                    rows.update(_rows(model, keys[name]))
                made.append(InGroups(rows[name], _maker(model, name, engine, keys[name])))
            return made[0](*tensors)

        return first

    return {name: run(name) for name in _names(model)}


def _maker(model: Model[Any], name: str, engine: Engine, key: str) -> Callable[[Tensors], Runner]:
    return lambda given: engine.of_model(name, given, lambda: trace.of_shape(model, name, given), key)


def _rows(model: Model[Any], key: str) -> dict[str, Rows]:
    """Rows of a group, by part; found once for each model and kept beside its compiled graphs."""
    place = f"{cache.key_of(key, 'rows')}.json"
    if (found := cache.read(place)) is not None:
        return {name: (tuple(given), tuple(answers)) for name, (given, answers) in json.loads(found).items()}
    parts = parts_of(model, sizes=False)
    rows = {name: part.rows for name, part in parts.items()}
    cache.write(place, json.dumps(rows).encode())
    return rows
