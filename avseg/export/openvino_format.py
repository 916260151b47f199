"""OpenVINO's files (extra `fast`): the graph as .xml, which holds the notes, and the weights as .bin beside it."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import openvino

from avseg.engines.openvino_engine import converted
from avseg.export.notes import Graph
from avseg.lazy import imported

_PLACE = "avseg"


def write(graph: Graph, path: Path, notes: Mapping[str, str]) -> None:
    """See `avseg.export.torch_format`."""
    model = converted(graph.program, graph.part.name)
    for port, own in zip([*model.inputs, *model.outputs], [*graph.part.inputs, *graph.part.outputs], strict=True):
        port.get_tensor().set_names({own.name})
    if graph.precision == "int8":
        model = _quantised(model, graph)
    text = json.dumps(dict(notes)).encode()
    model.set_rt_info(base64.b64encode(text).decode(), [_PLACE])
    openvino.save_model(model, str(path), compress_to_fp16=graph.precision == "fp16")


def _quantised(model: Any, graph: Graph) -> Any:
    quantize, dataset = imported("nncf:quantize"), imported("nncf:Dataset")
    given = [[tensor.numpy() for tensor in tensors] for tensors in graph.clips]
    return quantize(model, dataset(given), subset_size=len(given))


def read_notes(path: Path) -> dict[str, str]:
    """See `avseg.export.torch_format`."""
    try:
        found = ElementTree.parse(path).getroot().find(f"rt_info/{_PLACE}")
        return {} if found is None else dict(json.loads(base64.b64decode(found.attrib["value"])))
    except (ElementTree.ParseError, OSError, ValueError, KeyError) as error:
        raise ValueError(f"{path} is not a complete OpenVINO model ({error})") from error
