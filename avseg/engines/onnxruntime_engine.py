"""ONNX Runtime on the CPU, or on CUDA where its package for GPUs is installed (extra `export`)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import onnxruntime
import torch
from onnxruntime.capi import onnxruntime_pybind11_state as state
from torch import Tensor

from avseg.engines import cache
from avseg.engines.onnx_attention import attention
from avseg.engines.parts import GraphEngine, ModelPart
from avseg.engines.trace import Problem, first_line
from avseg.models.seams import Runner, Tensors

log = logging.getLogger(__name__)
NOISY = ("onnxscript", "onnx_ir", "torch.onnx")
"""Loggers that report every step."""
TRANSLATIONS: dict[Any, Any] = {torch.ops.aten.scaled_dot_product_attention.default: attention}
"""Operators that have another form in ONNX than the one PyTorch gives them."""
_PROBLEMS = (state.Fail, state.InvalidArgument, state.RuntimeException)
PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


class ONNXRuntimeEngine(GraphEngine):
    """Runs ONNX graphs."""

    def __init__(self, precision: str, device: torch.device) -> None:
        """
        Raises:
            ValueError: a device that the installed package does not know.
        """
        self.precision, self.device = precision, device
        self._opened: dict[str, Runner] = {}
        self.provider = PROVIDERS.get(device.type, "")
        if self.provider not in onnxruntime.get_available_providers():
            raise ValueError(
                f"the installed onnxruntime does not compute on {device}; use device cpu or "
                "engine torch, or on CUDA install onnxruntime-gpu"
            )

    def of_graph(self, part: ModelPart, shaped: Tensors | None) -> Runner:
        """See `avseg.engines.parts.GraphEngine`."""
        shapes = cache.shapes_of(shaped)
        place = f"{cache.key_of(part.key(), shapes, torch.__version__)}.onnx"
        content = cache.read(place)
        if content is None:
            sizes = " and ".join("x".join(map(str, shape)) for shape in shapes) or "any size"
            log.info("tracing %s for ONNX Runtime and %s, once; cached in %s", part.name, sizes, cache.folder())
            content = in_onnx(part.trace(shaped), part.name).model_proto.SerializeToString()
            cache.write(place, content)
        return self._session(content)

    def of_file(self, path: str, shaped: Tensors | None) -> Runner:
        """See `avseg.engines.parts.Engine`."""
        if path not in self._opened:
            self._opened[path] = self._session(path)
        return self._opened[path]

    def _session(self, graph: str | bytes) -> Runner:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(graph, options, providers=[self.provider])
        names = [port.name for port in session.get_inputs()]

        def run(*tensors: Tensor) -> Tensors:
            given: dict[str, Any] = {name: t.cpu().contiguous().numpy() for name, t in zip(names, tensors, strict=True)}
            try:
                found = session.run(None, given)
            except _PROBLEMS as error:
                raise RuntimeError(f"ONNX Runtime cannot run the graph ({error})") from error
            return tuple(torch.from_numpy(value).to(self.device) for value in found)

        return run


@contextmanager
def quiet() -> Iterator[None]:
    """Silence PyTorch's exporter in the log."""
    levels = {name: logging.getLogger(name).level for name in NOISY}
    for name in levels:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


def in_onnx(program: Any, name: str, **options: Any) -> torch.onnx.ONNXProgram:
    """Convert a graph of `torch.export` to ONNX.

    Raises:
        ValueError: it has no such form.
    """
    try:
        with quiet():
            found = torch.onnx.export(
                program, dynamo=True, verbose=False, custom_translation_table=TRANSLATIONS, **options
            )
    except Problem as error:
        raise ValueError(f"ONNX cannot represent {name} ({first_line(error)}); use engine torch") from error
    assert found is not None
    return found
