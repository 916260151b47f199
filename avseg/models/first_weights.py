"""The weights that training begins with: from files of parts, and from our own model files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from avseg.models.base import Model, load_plain, plain_state
from avseg.models.files import find_file, read_safetensors
from avseg.models.header import read_header


def initialise(model: Model[Any], *, model_file: str | Path | None = None, **files: str | Path | None) -> list[str]:
    """Set the weights a training run begins with, in place.

    Args:
        model: freshly built.
        model_file: a model file of this library; all tensors that agree in name and shape are taken, as the published
            MS3 runs begin from S4. The other files are read after it.
        files: by the names of the model's slots (`Model.weight_slots`), in whose order they are read; None is no file.
            `backbone`: ImageNet weights, as torchvision or the authors of PVT-v2 and HRNet publish them, as timm does,
            or of a ResNet with a deep stem (64, 64, 128 channels; timm's `resnet50s`, `resnet101s`); also a ResNet as
            detectors name it (`stem.conv1`, `res2`; a pickle of arrays), the published Swin, and of `video_swin_tiny`
            torchvision's Video Swin (`swin3d_t`). `vggish`: the published VGGish weights. docs/models.md tells more.

    Returns:
        Names in the files that found no place.

    Raises:
        FileNotFoundError: a file that is not there.
        ValueError: a file that does not fit, one for a part that the model does not have, or a model file that gives
            nothing.
    """
    slots = model.weight_slots()
    given = {name: Path(path) for name, path in files.items() if path is not None}
    for name, path in given.items():
        if name not in slots:
            known = ", ".join((*slots, "model"))
            raise ValueError(
                f"{path} was given for {name!r}, and {model.config.family} has no such part; it has {known}"
            )
    left = [] if model_file is None else _take_matching(model, find_file(model_file))
    for name, slot in slots.items():
        if name in given:
            left += slot.begin(given[name])
    return left


def _take_matching(model: nn.Module, path: Path) -> list[str]:
    read_header(path)
    state, own = read_safetensors(path), plain_state(model)
    fitting = {name: t for name, t in state.items() if name in own and own[name].shape == t.shape}
    if not fitting:
        raise ValueError(f"no tensor of {path} agrees with the model in name and shape; is it of another family?")
    load_plain(model, fitting, strict=False)
    return [name for name in state if name not in fitting]
