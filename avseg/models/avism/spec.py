"""AVISM's record. Imports no torch."""

from __future__ import annotations

from pathlib import Path

from avseg.models.avism.config import AVISMConfig
from avseg.models.avism.presets import PRESETS
from avseg.models.spec import FamilySpec


def convert(
    checkpoint: Path, out: Path, *, vggish: Path | None = None, classes: Path | None = None, side: int | None = None
) -> Path:
    """Convert an official AVISM checkpoint to a model file; both layouts of tensor names are supported.

    Args:
        checkpoint: The published file, with or without its training state.
        out: The model file to write (.safetensors).
        vggish: The published VGGish weights. They become part of the model, which can then process the sound of a
            video. Without them it accepts only clips with audio features.
        classes: JSON file with categories, such as a data set's train.json, for weights with classes other than
            AVISeg's.
        side: Shorter side of the pictures in pixels, for a backbone that was not published.

    Returns:
        `out`.

    Raises:
        FileNotFoundError: a file that is not there.
        ValueError: what `avseg.models.avism.convert.convert` refuses.
    """
    from avseg.models.avism.convert import convert_file

    return convert_file(checkpoint, out, vggish=vggish, classes=classes, side=side)


SPEC = FamilySpec(
    name="avism",
    config=AVISMConfig,
    model="avseg.models.avism.model:AVISM",
    paper="Guo et al., CVPR 2025",
    settings="AVISeg (instances, tracked)",
    backbones="resnet50, swin_large_patch4_window12_384, any four-stage timm backbone",
    presets=PRESETS,
    convert="avseg.models.avism.spec:convert",
    checkpoints="avseg.models.avism.checkpoints:CHECKPOINTS",
)
