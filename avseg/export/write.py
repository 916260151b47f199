"""Writing exported files, and checking them against the model."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from avseg.config import did_you_mean, to_dict
from avseg.engines import trace
from avseg.engines.parts import Engine
from avseg.engines.ports import GraphPart, parts_of
from avseg.engines.records import ENGINES, reader_of
from avseg.export.formats import FORMATS, SUFFIXES, Format
from avseg.export.notes import NOTE, ExportNote, FilePart, Graph
from avseg.io.files import clear_stale, folder_aside
from avseg.lazy import imported
from avseg.models.base import Model
from avseg.models.compiled import plain_state, uncompiled
from avseg.models.digest import update_with
from avseg.models.header import Header
from avseg.models.seams import Tensors
from avseg.version import __version__

MOST_APART = 1e-4
"""Largest allowed difference of fp32 files, as a share of the largest output."""
MOST_DECIDED = 1e-2
"""Largest difference among the few numbers that a threshold moved."""
FEW = 0.01
"""Share of the numbers of an output that thresholds may move."""
Clips = Mapping[str, Sequence[Tensors]]


@dataclass(frozen=True)
class ExportReport:
    """The outcome of an export."""

    path: Path
    """The first file, which opens like a model file."""
    files: tuple[Path, ...]
    """All files."""
    apart: float
    """The largest difference to PyTorch, as a share of the largest number; of parts that decide by thresholds, that of
    99 % of the numbers."""
    fixed: tuple[str, ...]
    """Parts that accept pictures of one size only."""


def export_model(
    model: Model[Any], path: str | Path, *, to: str | None = None, precision: str = "fp32", clips: Clips | None = None
) -> ExportReport:
    """Write a model as graphs that other programs run, one file for each of its parts.

    They take any number of groups of frames, and pictures of other sizes where the network allows it. Afterwards each
    file is run on clips of several lengths and sizes and compared with PyTorch.

    Args:
        model: any model whose parts PyTorch computes.
        path: of the first file; of the others the part's name stands before the ending.
        to: a name of `FORMATS`; None: the one that the ending of `path` stands for.
        precision: `fp32`; of OpenVINO also `fp16` (of weights, half the size) and `int8`.
        clips: for int8: what each part was given while videos were predicted (`avseg.export.calibrate`).

    Raises:
        ImportError: packages are missing.
        ValueError: an unknown format, a precision that it does not have, a model that has no such parts or that
            `torch.export` cannot follow, or a file that gives something else than PyTorch.
        OSError: the files cannot be written.
    """
    path = Path(path)
    name = _format(path, to)
    form = FORMATS[name]
    form.want(name, precision)
    if model.exported is not None:
        raise ValueError(f"{model.exported.path} is already exported; export the original model instead")
    model = uncompiled(model).cpu().eval()
    graphs, fixed = _graphs(model, precision, clips or {})
    first = next(iter(graphs))
    names = {part: _file_name(path, part, first) for part in graphs}
    notes = _notes(model, graphs, names, precision)
    clear_stale(path.parent)
    with folder_aside(path) as folder:
        for part, graph in graphs.items():
            imported(f"{form.address}:write")(graph, folder / names[part], notes if part == first else {"part": part})
        apart = _apart(form, folder, graphs, names)
        if precision == "fp32" and apart > MOST_APART:
            raise ValueError(
                f"the outputs of the {name} file differ from PyTorch by {apart:.1e} "
                "of the largest output; no file is kept"
            )
        files = sorted(folder.iterdir(), key=lambda file: file.name == path.name)  # the first one last
        placed = tuple(file.replace(path.parent / file.name) for file in files)
    return ExportReport(path, placed, apart, fixed)


def _format(path: Path, to: str | None) -> str:
    name = SUFFIXES.get(path.suffix, "") if to is None else to
    if name not in FORMATS:
        known = ", ".join(f"{form.suffix} ({name})" for name, form in FORMATS.items())
        raise ValueError(
            f"{path} has no known suffix; use one of {known}"
            if to is None
            else f"there is no format {to!r}; {did_you_mean(to, FORMATS)}"
        )
    if path.suffix != FORMATS[name].suffix:
        raise ValueError(f"{path} does not fit the format {name}; use the suffix {FORMATS[name].suffix}")
    return name


def _file_name(path: Path, part: str, first: str) -> str:
    return path.name if part == first else f"{path.stem}.{part.replace('.', '_')}{path.suffix}"


def _graphs(model: Model[Any], precision: str, clips: Clips) -> tuple[dict[str, Graph], tuple[str, ...]]:
    """Return the graphs by part, the network first, and the parts that accept one picture size only."""
    parts = sorted(parts_of(model).values(), key=lambda part: not part.name.startswith("network"))
    graphs, fixed = {}, []
    for part in parts:
        own = tuple(clips.get(part.name, ()))
        if precision == "int8" and not own and part.inputs[0].rows:
            raise ValueError("int8 needs videos for calibration; give some with --clips")
        try:
            program = trace.of_any_shape(model, part)
        except ValueError:
            fixed.append(part.name)
            program = trace.of_any_shape(model, part, sizes=False)
        of_part = precision if precision != "int8" or (part.name.startswith("network") and own) else "fp32"
        graphs[part.name] = Graph(part, program, of_part, own)
    return graphs, tuple(fixed)


def _notes(model: Model[Any], graphs: dict[str, Graph], names: dict[str, str], precision: str) -> dict[str, str]:
    digest = hashlib.sha256()
    update_with(digest, plain_state(model))
    note = ExportNote(
        precision,
        digest.hexdigest(),
        {name: FilePart(names[name], graph.part.rows) for name, graph in graphs.items()},
        {"avseg": __version__, "torch": version("torch")},
    )
    header = Header(model.config.family, to_dict(model.config), model.task.to_dict(), notes={NOTE: note.to_text()})
    return header.to_metadata()


def _apart(form: Format, folder: Path, graphs: dict[str, Graph], names: dict[str, str]) -> float:
    """Return the largest difference from PyTorch over all parts and calls, as a share of the largest output."""
    engine: Engine = imported(ENGINES[reader_of(form.suffix)].address)("fp32", torch.device("cpu"))
    return max(_part_apart(engine, folder / names[name], graph.part) for name, graph in graphs.items())


def _part_apart(engine: Engine, path: Path, part: GraphPart) -> float:
    worst = 0.0
    for given, wanted in part.calls:
        if any(
            a.shape[1:] != b.shape[1:] and not port.varies
            for a, b, port in zip(given, part.example, part.inputs, strict=True)
        ):
            continue
        try:
            with torch.inference_mode():
                found = engine.of_file(str(path), None)(*given)
        except trace.Problem as error:
            raise ValueError(
                f"the file of {part.name} does not run on {[tuple(one.shape) for one in given]}"
            ) from error
        for one, other in zip(found, wanted, strict=True):
            worst = max(worst, difference(one, other, decides=part.seam.decides))
    return worst


def difference(found: Tensor, wanted: Tensor, *, decides: bool = False) -> float:
    """The largest difference of two tensors of a shape, as a share of the largest number in `wanted`.

    Args:
        decides: Leave out the largest 1 % of the differences, unless one is over `MOST_DECIDED`.
    """
    apart = ((found - wanted).abs() / wanted.abs().max().clamp(min=1e-6)).flatten()
    largest = float(apart.max())
    if not decides or largest > MOST_DECIDED:
        return largest
    return float(apart.kthvalue(max(1, math.ceil((1 - FEW) * apart.numel()))).values)
