"""`avseg export`: a model as files that other programs run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from avseg.commands.words import ModelFile
from avseg.export.formats import FORMATS
from avseg.lazy import imported

_Out = Annotated[Path | None, arg(metavar="FILE", aliases=["-o"])]
_CLIPS = Annotated[tuple[str, ...], arg(metavar="VIDEO")]


def export(
    model: Positional[ModelFile[str]],
    to: Literal["onnx", "openvino", "torch"] = "onnx",
    out: _Out = None,
    precision: Literal["fp32", "fp16", "int8"] = "fp32",
    clips: _CLIPS = (),
) -> int:
    """Write a model as ONNX, OpenVINO or torch.export files, which open like a model file: avseg predict --model FILE.

    Every part of the model becomes a file of its own beside the first one. Afterwards they are compared with PyTorch.

    Args:
        model: A model file, a folder with model.safetensors, a Hub id, or "demo".
        to: The format: onnx (avseg[export]), openvino (avseg[fast]) or torch.
        out: The first file; by default the model's name with the ending of the format, in this folder.
        precision: fp32; of OpenVINO also fp16 (weights of half the size) and int8 (avseg[int8]).
        clips: For int8: videos, folders or patterns on which the network's numbers are measured.
    """
    form = FORMATS[to]
    form.want(to, precision)
    if clips and precision != "int8":
        raise ValueError(f"clips are for int8, and precision is {precision}; leave them out")
    found = imported("avseg.models.files:load_model")(model)
    out = out or Path(Path(model).with_suffix("").name or "model").with_suffix(form.suffix)
    seen = None
    if precision == "int8":
        videos = imported("avseg.inference.folder:find_videos")(list(clips)) if clips else []
        seen = imported("avseg.export.calibrate:seen_in")(found, videos)
    report = imported("avseg.export.write:export_model")(found, out, to=to, precision=precision, clips=seen)
    print(
        f"{report.path} is made of {model}, in {len(report.files)} file(s): {', '.join(f.name for f in report.files)}"
    )
    print(f"largest difference to PyTorch: {report.apart:.1e} of the largest number")
    for part in report.fixed:
        print(f"{part} takes pictures of one size alone")
    print(f"next: avseg predict VIDEO --model {report.path}")
    return 0
