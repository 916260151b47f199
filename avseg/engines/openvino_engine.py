"""OpenVINO on the CPU (extra `fast`)."""

from __future__ import annotations

import hashlib
import io
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openvino
import torch
from openvino.frontend import GeneralFailure, OpConversionFailure, OpValidationFailure
from torch import Tensor

from avseg.engines import cache
from avseg.engines.parts import GraphEngine, ModelPart
from avseg.engines.trace import first_line
from avseg.models.seams import Runner, Tensors

log = logging.getLogger(__name__)
HINTS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16", "int8": "f32"}
"""Precision hints for OpenVINO; int8 is part of the graph."""
UNITS = {"bf16": "BF16", "fp16": "FP16"}
_PROBLEMS = (RuntimeError, ValueError, TypeError, OpConversionFailure, OpValidationFailure, GeneralFailure)
"""Errors of OpenVINO for graphs and files that it cannot convert."""


def can(precision: str) -> bool:
    """Whether this CPU has units for a precision."""
    return precision not in UNITS or UNITS[precision] in openvino.Core().get_property(
        "CPU", "OPTIMIZATION_CAPABILITIES"
    )


def converted(program: Any, name: str) -> Any:
    """Convert a graph of `torch.export` to OpenVINO.

    Raises:
        ValueError: it has none.
    """
    try:
        return openvino.convert_model(program)
    except _PROBLEMS as error:
        raise ValueError(f"OpenVINO cannot convert {name} ({first_line(error)}); use engine torch") from error


class OpenVINOEngine(GraphEngine):
    """Runs graphs compiled for this CPU."""

    def __init__(self, precision: str, device: torch.device) -> None:
        """
        Raises:
            ValueError: another device than the CPU, or a precision that it has no units for.
        """
        if device.type != "cpu":
            raise ValueError(f"engine openvino runs on the CPU, not on {device}; use device cpu or engine torch")
        if not can(precision):
            raise ValueError(f"this CPU has no units for {precision}; use precision fp32")
        self.precision = precision
        self.core = openvino.Core()
        self._opened: dict[str, Runner] = {}
        self.settings = {
            "INFERENCE_PRECISION_HINT": HINTS[precision],
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        }

    def of_graph(self, part: ModelPart, shaped: Tensors | None) -> Runner:
        """See `avseg.engines.parts.GraphEngine`."""
        return self._kept(part.name, shaped, part.key(), lambda: converted(part.trace(shaped), part.name))

    def of_file(self, path: str, shaped: Tensors | None) -> Runner:
        """See `avseg.engines.parts.Engine`."""
        if shaped is None:
            if path not in self._opened:
                self._opened[path] = _Compiled(self._compiled(self.core.read_model(path)))
            return self._opened[path]
        return self._kept(path, shaped, _file_key(path), lambda: self._of_shapes(path, shaped))

    def _of_shapes(self, path: str, shaped: Tensors) -> Any:
        model = self.core.read_model(path)
        model.reshape({port: list(tensor.shape) for port, tensor in zip(model.inputs, shaped, strict=True)})
        return model

    def _kept(self, name: str, shaped: Tensors | None, key: str, make: Callable[[], Any]) -> Runner:
        """Return a graph from the cache, or compile and cache it; without shapes, for any shape."""
        facts = (key, cache.shapes_of(shaped), openvino.__version__, torch.__version__, sorted(self.settings.items()))
        place = f"{cache.key_of(*facts, self._cpu(), *cache.machine())}.openvino"
        if (found := cache.read(place)) is not None:
            try:
                return _Compiled(self.core.import_model(io.BytesIO(found), "CPU", self.settings))
            except _PROBLEMS:
                log.warning("the compiled graph %s cannot be read; compiling again", place)
        begin = time.perf_counter()
        sizes = " and ".join("x".join(map(str, shape)) for shape in cache.shapes_of(shaped)) or "any size"
        log.info("OpenVINO compiles %s for %s in %s, once; cached in %s", name, sizes, self.precision, cache.folder())
        compiled = self._compiled(make())
        log.info("compiled in %.1f s", time.perf_counter() - begin)
        kept = io.BytesIO()
        compiled.export_model(kept)
        cache.write(place, kept.getvalue())
        return _Compiled(compiled)

    def _compiled(self, model: Any) -> Any:
        return self.core.compile_model(model, "CPU", self.settings)

    def _cpu(self) -> str:
        return str(self.core.get_property("CPU", "FULL_DEVICE_NAME"))


def _file_key(path: str) -> str:
    """Return the key of an exported file and its weights, from their bytes."""
    files = [Path(path), *([Path(path).with_suffix(".bin")] if path.endswith(".xml") else [])]
    return cache.key_of(*(hashlib.sha256(file.read_bytes()).hexdigest() for file in files))


class _Compiled:
    """A compiled graph called with PyTorch tensors."""

    def __init__(self, compiled: Any) -> None:
        self.request = compiled.create_infer_request()

    def __call__(self, *tensors: Tensor) -> Tensors:
        found = self.request.infer([tensor.contiguous().numpy() for tensor in tensors], share_inputs=True)
        # Copies: the next call writes to the same memory.
        return tuple(torch.from_numpy(value.copy()) for value in found.values())
