"""ONNX Runtime on the CPU, or on CUDA where its package for GPUs is installed (extra `export`)."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

import onnxruntime
import torch
from torch import Tensor

from avseg.engines import cache
from avseg.models.seams import Runner, Tensors

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


class ONNXRuntimeEngine:
    """Graphs in ONNX."""

    def __init__(self, precision: str, device: torch.device) -> None:
        """
        Raises:
            ValueError: a device that the installed package does not know.
        """
        self.precision, self.device = precision, device
        self.provider = PROVIDERS.get(device.type, "")
        if self.provider not in onnxruntime.get_available_providers():
            raise ValueError(
                f"the installed onnxruntime does not compute on {device}; take device cpu, engine torch, or on CUDA "
                "install onnxruntime-gpu"
            )

    def of_model(self, name: str, shaped: Sequence[Tensor], trace: Callable[[], object], key: str) -> Runner:
        """See `avseg.engines.parts.Engine`."""
        place = f"{cache.key_of(key, cache.shapes_of(shaped), torch.__version__)}.onnx"
        content = cache.read(place)
        if content is None:
            made = io.BytesIO()
            torch.onnx.export(trace(), dynamo=True, verbose=False).save(made)  # type: ignore[arg-type,union-attr]
            content = made.getvalue()
            cache.write(place, content)
        return self._session(content)

    def of_file(self, path: str, shaped: Sequence[Tensor], fixed: bool) -> Runner:
        """See `avseg.engines.parts.Engine`."""
        return self._session(path)

    def _session(self, graph: str | bytes) -> Runner:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(graph, options, providers=[self.provider])
        names = [port.name for port in session.get_inputs()]

        def run(*tensors: Tensor) -> Tensors:
            given: dict[str, Any] = {name: t.cpu().contiguous().numpy() for name, t in zip(names, tensors, strict=True)}
            return tuple(torch.from_numpy(value).to(self.device) for value in session.run(None, given))

        return run
