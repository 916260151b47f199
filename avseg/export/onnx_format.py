"""ONNX files (extra `export`), with the notes as metadata properties."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from avseg.engines.onnxruntime_engine import in_onnx
from avseg.export.notes import Graph

OPSET = 20


def write(graph: Graph, path: Path, notes: Mapping[str, str]) -> None:
    """See `avseg.export.torch_format`."""
    made = in_onnx(
        graph.program,
        graph.part.name,
        opset_version=OPSET,
        input_names=[port.name for port in graph.part.inputs],
        output_names=[port.name for port in graph.part.outputs],
    )
    made.model.metadata_props.update({**notes, "opset": str(OPSET)})
    made.save(str(path))


def read_notes(path: Path) -> dict[str, str]:
    """See `avseg.export.torch_format`."""
    try:
        model = onnx.load(str(path), load_external_data=False)
    except (DecodeError, OSError, ValueError) as error:
        raise ValueError(f"{path} is not a complete ONNX file ({error})") from error
    return {prop.key: prop.value for prop in model.metadata_props}
