"""The weights that training begins with: from files of parts, and from our own model files."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from avseg.models.base import Model
from avseg.models.transfer import take_model_file

log = logging.getLogger(__name__)


def initialise(model: Model[Any], *, model_file: str | Path | None = None, **files: str | Path | None) -> list[str]:
    """Set the weights a training run begins with, in place.

    Args:
        model: freshly built.
        model_file: a model file of this library; all tensors that agree in name and shape are taken, as the published
            MS3 runs begin from S4. Of a file for other classes the last layers begin fresh, but for the rows of
            classes that both name (`avseg.models.transfer`); the log says what was kept and what is new. The other
            files are read after it.
        files: by the names of the model's slots (`Model.weight_slots`), in whose order they are read; None is no file.
            `backbone`: ImageNet weights, as torchvision or the authors of PVT-v2 and HRNet publish them, as timm does,
            or of a ResNet with a deep stem (64, 64, 128 channels; timm's `resnet50s`, `resnet101s`); also a ResNet as
            detectors name it (`stem.conv1`, `res2`; a pickle of arrays), the published Swin, and of `video_swin_tiny`
            torchvision's Video Swin (`swin3d_t`). `vggish`: the published VGGish weights.
            See docs/reference/models.md.

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
    left: list[str] = []
    if model_file is not None:
        transfer = take_model_file(model, model_file)
        for line in str(transfer).splitlines():
            log.info("%s", line)
        left += transfer.unused
    for name, slot in slots.items():
        if name in given:
            left += slot.begin(given[name])
    return left
