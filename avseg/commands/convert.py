"""The commands of `avseg convert`. No torch is imported before one of them runs."""

from __future__ import annotations

import functools
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from avseg.commands.words import File, OutFile
from avseg.models.header import read_header


def tpavi(
    checkpoint: Positional[File[Path]],
    out: OutFile,
    variant: Literal["s4", "ms3", "avss"] | None = None,
    vggish: Path | None = None,
) -> int:
    """Make a model file of an official TPAVI checkpoint.

    Args:
        checkpoint: The published weights of the segmentation network.
        out: The model file to write (.safetensors).
        variant: The setting of the weights. S4 and MS3 have the same tensors, so that it must be given for them.
        vggish: The published VGGish weights, which are a file of their own and become part of the model.
    """
    from avseg.models.tpavi.convert import convert_file

    return _convert("tpavi", checkpoint, out, lambda: convert_file(checkpoint, out, variant=variant, vggish=vggish))


def cavp(
    checkpoint: Positional[File[Path]],
    out: OutFile,
    variant: Literal["avss", "avss_224", "avsbench", "single", "vpo", "vpo_stereo"] | None = None,
) -> int:
    """Make a model file of an official CAVP checkpoint.

    Args:
        checkpoint: The published file, with or without the state of its optimisers.
        out: The model file to write (.safetensors).
        variant: The setting of the weights. The tensors tell it, except for the size of AVSS: its weights are taken
            as those of 224 x 224 pixels unless this is avss, which stands for full size.
    """
    from avseg.models.cavp.convert import convert_file

    return _convert("cavp", checkpoint, out, lambda: convert_file(checkpoint, out, variant=variant))


def avism(
    checkpoint: Positional[File[Path]],
    out: OutFile,
    vggish: Path | None = None,
    classes: Path | None = None,
    side: int | None = None,
) -> int:
    """Make a model file of an official AVISM checkpoint; both kinds of tensor names are read.

    Args:
        checkpoint: The published file, with or without the state of its training.
        out: The model file to write (.safetensors).
        vggish: The published VGGish weights. They become part of the model, which then hears the sound of a video;
            without them it takes only clips with audio features.
        classes: JSON with categories, such as a data set's train.json, for weights of other classes than AVISeg's.
        side: Shorter side of the pictures in pixels, for a backbone that was not published.
    """
    from avseg.models.avism.convert import convert_file

    make = functools.partial(convert_file, vggish=vggish, classes=classes, side=side)
    return _convert("avism", checkpoint, out, lambda: make(checkpoint, out))


def _convert(family: str, checkpoint: Path, out: Path, convert_file: Callable[[], Path]) -> int:
    """Convert, and print what came of it; an error says what the file is where it is no checkpoint of the family."""
    try:
        convert_file()
    except ValueError as error:
        if found := _another(family, checkpoint, out):
            raise ValueError(found) from error
        raise
    print(described(checkpoint, out))
    return 0


def _another(family: str, checkpoint: Path, out: Path) -> str | None:
    """A sentence about a file that is something else than a checkpoint of `family`, as far as that is known."""
    from avseg.models.convert import read_checkpoint
    from avseg.weights import recognise

    file = shlex.quote(str(checkpoint))
    try:
        header = read_header(checkpoint)
    except ValueError:
        header = None
    if header is not None:
        what = f"{checkpoint} is a model file of avseg already, of the family {header.family}"
        return f"{what}; use it as it is: avseg predict VIDEO --model {file}"
    try:
        match = recognise(read_checkpoint(checkpoint))
    except ValueError:
        return None
    if match is None or match.record.family == family:
        return None
    command = match.record.command.replace("FILE", file).replace("model.safetensors", shlex.quote(str(out)))
    return f"{checkpoint} is not of {family} but of {match.record.what}; run {command}"


def described(checkpoint: Path, out: Path) -> str:
    """What a model file was made of, and the commands that use it, for people to read."""
    header = read_header(out)
    notes, task = header.notes, header.task
    classes = len(task.get("classes", ()))
    rows = {
        "family": header.family,
        "variant": notes["variant"],
        "task": f"{task['kind']}, {classes} classes" if classes else task["kind"],
        "backbone": header.config["backbone"],
        "tensors": f"{notes['tensors_taken']} taken, {notes['tensors_dropped']} dropped (docs/models.md says which)",
    }
    lines = [f"{out} is made of {checkpoint}"]
    lines += [f"  {name:<9} {value}" for name, value in rows.items()]
    return "\n".join([*lines, *next_lines(out, header.config)])


def next_lines(out: Path, config: Mapping[str, object]) -> list[str]:
    """The commands that use a model file, as they can be typed."""
    file = shlex.quote(str(out))
    if config.get("audio_network") == "none":
        return [
            "next, on clips with audio features, since it has no VGGish (--vggish FILE):",
            f"  avseg evaluate {file} --data.name aviseg --data.root DIR --data.audio features",
        ]
    return [
        f"next: avseg predict VIDEO --model {file} --out avseg-out",
        f"no video at hand: avseg data synth s4 --root avseg-try --clips 4 && avseg predict avseg-try --model {file}",
    ]
