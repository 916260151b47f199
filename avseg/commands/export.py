"""`avseg export`: write a model as files for other programs."""

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
    """Export a model to ONNX, OpenVINO or torch.export files; use them like a model file: avseg predict --model FILE.

    Each part of the model becomes a separate file next to the first one. The export is then compared with PyTorch.

    Args:
        model: A model file, a folder with model.safetensors, a Hub id, or "demo".
        to: The format: onnx (avseg[export]), openvino (avseg[fast]) or torch.
        out: Path of the first file. The default is the model's name with the extension of the format, in this folder.
        precision: fp32; OpenVINO also supports fp16 (weights of half the size) and int8 (avseg[int8]).
        clips: For int8: videos, folders or patterns that calibrate the quantisation.
    """
    form = FORMATS[to]
    form.want(to, precision)
    if clips and precision != "int8":
        raise ValueError(f"--clips needs --precision int8, got --precision {precision}; leave the clips out")
    found = imported("avseg.models.files:load_model")(model)
    out = out or Path(Path(model).with_suffix("").name or "model").with_suffix(form.suffix)
    seen = None
    if precision == "int8":
        videos = imported("avseg.inference.folder:find_videos")(list(clips)) if clips else []
        seen = imported("avseg.export.calibrate:seen_in")(found, videos)
    report = imported("avseg.export.write:export_model")(found, out, to=to, precision=precision, clips=seen)
    print(f"wrote {report.path} from {model}, {len(report.files)} file(s): {', '.join(f.name for f in report.files)}")
    print(f"largest difference from PyTorch: {report.apart:.1e} of the largest output")
    for part in report.fixed:
        print(f"{part} accepts pictures of one size only")
    print(f"next: avseg predict VIDEO --model {report.path}")
    return 0
