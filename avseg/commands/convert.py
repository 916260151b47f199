"""The commands of `avseg convert`, one per family. torch is imported only when one of them runs."""

from __future__ import annotations

import inspect
import shlex
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tyro.conf import Positional

from avseg.commands.words import File, OutFile
from avseg.config import ModelConfig, from_dict
from avseg.lazy import imported
from avseg.models import FAMILIES, FamilySpec
from avseg.models.header import read_header
from avseg.weights import recognise


def converters() -> dict[str, Callable[..., int]]:
    """Return the command of every family that has a converter."""
    return {name: _command(spec) for name, spec in FAMILIES.items() if spec.convert}


def _command(spec: FamilySpec) -> Callable[..., int]:
    """Make a family's converter a command: the checkpoint is positional, the model file is -o, the rest are options."""
    make = imported(spec.convert or "")
    signature = inspect.signature(make)

    def command(*args: Any, **given: Any) -> int:
        asked = signature.bind(*args, **given).arguments
        return _convert(spec.name, asked["checkpoint"], asked["out"], lambda: make(**asked))

    hints = {**typing.get_type_hints(make, include_extras=True), "checkpoint": Positional[File[Path]], "out": OutFile}
    parameters = [p.replace(annotation=hints[p.name]) for p in signature.parameters.values()]
    command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    command.__annotations__, command.__doc__, command.__name__ = hints, make.__doc__, spec.name
    return command


def _convert(family: str, checkpoint: Path, out: Path, convert_file: Callable[[], Path]) -> int:
    """Convert and print the result; an error names what the file is if it is not a checkpoint of the family."""
    try:
        convert_file()
    except ValueError as error:
        if found := _another(family, checkpoint, out):
            raise ValueError(found) from error
        raise
    print(described(checkpoint, out))
    return 0


def _another(family: str, checkpoint: Path, out: Path) -> str | None:
    """Return a sentence about a file that is not a checkpoint of `family`, if its kind is known."""
    from avseg.models.convert import read_checkpoint

    file = shlex.quote(str(checkpoint))
    try:
        header = read_header(checkpoint)
    except ValueError:
        header = None
    if header is not None:
        what = f"{checkpoint} is already a model file of avseg, of the family {header.family}"
        return f"{what}; use it directly: avseg predict VIDEO --model {file}"
    try:
        match = recognise(read_checkpoint(checkpoint))
    except ValueError:
        return None
    if match is None or match.record.family == family:
        return None
    command = match.record.command.replace("FILE", file).replace("model.safetensors", shlex.quote(str(out)))
    return f"{checkpoint} is a checkpoint of {match.record.what}, not of {family}; run {command}"


def described(checkpoint: Path, out: Path) -> str:
    """Describe what a model file was made from and the commands that use it."""
    header = read_header(out)
    notes, task = header.notes, header.task
    classes = len(task.get("classes", ()))
    rows = {
        "family": header.family,
        "variant": notes.get("variant"),
        "task": f"{task['kind']}, {classes} classes" if classes else task["kind"],
        "backbone": header.config.get("backbone"),
    }
    if "tensors_taken" in notes:
        rows["tensors"] = (
            f"{notes['tensors_taken']} taken, {notes['tensors_dropped']} dropped (see docs/how-to/convert.md)"
        )
    lines = [f"wrote {out} from {checkpoint}"]
    lines += [f"  {name:<9} {value}" for name, value in rows.items() if value]
    return "\n".join([*lines, *next_lines(out, from_dict(FAMILIES[header.family].config, header.config))])


def next_lines(out: Path, config: ModelConfig) -> list[str]:
    """Return the commands that use a model file, ready to copy."""
    file = shlex.quote(str(out))
    if not config.hears:
        return [
            "next, on clips with audio features, because the file holds no VGGish weights (--vggish FILE adds them):",
            f"  avseg evaluate {file} --data.name aviseg --data.root DIR --data.audio features",
        ]
    return [
        f"next: avseg predict VIDEO --model {file} --out avseg-out",
        f"no video? avseg data synth s4 --root avseg-try --clips 4 && avseg predict avseg-try --model {file}",
    ]
