"""Models whose networks run in an engine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache, partial
from typing import Any

import torch

from avseg.engines import cache, trace
from avseg.engines.choice import choose
from avseg.engines.parts import Engine, ModelPart, Rows
from avseg.engines.ports import parts_of
from avseg.engines.records import AUTO, ENGINES, EXACT, Choice
from avseg.lazy import imported
from avseg.models.base import Model
from avseg.models.compiled import uncompiled
from avseg.models.seams import Seam, Tensors, called, with_runners


def with_engine(model: Model[Any], engine: str = AUTO, precision: str = AUTO, device: str = "cpu") -> Model[Any]:
    """Return a model for predictions whose network runs in an engine; it shares the weights of `model`.

    Args:
        model: any model, which stays as it is.
        engine: `torch`, `openvino`, `onnxruntime` or `auto`; see `avseg.engines.choose`.
        precision: `fp32`, `bf16`, `fp16`, `int8` or `auto`; see `avseg.engines.choose`.
        device: where the model is.

    Returns:
        A model of the same class. Nothing is compiled before its first prediction.

    Raises:
        ImportError: the engine is not installed.
        ValueError: an engine or a precision that is not for this model or device.

    Examples:
        >>> fast = with_engine(load_model("model.safetensors"), "openvino", "bf16")  # doctest: +SKIP
    """
    place = torch.device(device)
    return attached(model, choose(model, place, engine, precision), place)


def attached(model: Model[Any], choice: Choice, device: torch.device) -> Model[Any]:
    """Attach the chosen engine; graphs are compiled at the first prediction."""
    if model.exported is None and choice == EXACT:
        return model
    model = uncompiled(model)
    made: Engine = imported(ENGINES[choice.engine].address)(choice.precision, device)
    if model.exported is not None:
        runners = model.exported.runners(made)
    else:
        runners = {part.name: made.of_part(part) for part in _parts(model)}
    return with_runners(model, model.seams, runners)


def _parts(model: Model[Any]) -> Iterator[ModelPart]:
    """Return the parts of a model that engines run; their graphs depend only on the model."""
    rows: dict[str, Rows] = {}

    def rows_of(name: str, key: str) -> Rows:
        if name not in rows:
            rows.update(_rows(model, key))
        return rows[name]

    def part(name: str, seam: Seam) -> ModelPart:
        key = lru_cache(partial(cache.part_key, model, name))
        return ModelPart(
            name,
            run=lambda *tensors: seam.traced(called(model, name), *tensors),
            key=key,
            rows=lambda: rows_of(name, key()),
            trace=lambda given: _graph(model, name, given),
        )

    names = [name for name, seam in model.seams.items() if seam.apart and called(model, name) is not None]
    return (part(name, model.seams[name]) for name in names)


def _graph(model: Model[Any], name: str, given: Tensors | None) -> object:
    if given is not None:
        return trace.of_shape(model, name, given)
    return trace.of_any_shape(model, parts_of(model)[name])


def _rows(model: Model[Any], key: str) -> dict[str, Rows]:
    """Return the rows of a group by part; computed once per model and kept with its compiled graphs."""
    place = f"{cache.key_of(key, 'rows')}.json"
    if (found := cache.read(place)) is not None:
        return {name: (tuple(given), tuple(answers)) for name, (given, answers) in json.loads(found).items()}
    parts = parts_of(model, sizes=False)
    rows = {name: part.rows for name, part in parts.items()}
    cache.write(place, json.dumps(rows).encode())
    return rows
