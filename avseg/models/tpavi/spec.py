"""TPAVI's record. Imports no torch."""

from __future__ import annotations

from pathlib import Path

from avseg.models.spec import FamilySpec
from avseg.models.tpavi.config import TPAVIConfig
from avseg.models.tpavi.presets import PRESETS, Variant


def convert(checkpoint: Path, out: Path, *, variant: Variant | None = None, vggish: Path | None = None) -> Path:
    """Convert an official TPAVI checkpoint to a model file.

    Args:
        checkpoint: The published weights of the segmentation network.
        out: The model file to write (.safetensors).
        variant: Setting of the weights. It is required for S4 and MS3, whose tensors are the same.
        vggish: The published VGGish weights, a separate file that becomes part of the model.

    Returns:
        `out`.

    Raises:
        FileNotFoundError: a file that is not there.
        ValueError: no VGGish file, and all that `avseg.models.tpavi.convert.convert` refuses.
    """
    from avseg.models.tpavi.convert import convert_file

    return convert_file(checkpoint, out, variant=variant, vggish=vggish)


SPEC = FamilySpec(
    name="tpavi",
    config=TPAVIConfig,
    model="avseg.models.tpavi.model:TPAVI",
    paper="Zhou et al., ECCV 2022; IJCV 2024",
    settings="S4, MS3, AVSS",
    backbones="resnet50, pvt_v2_b5, any four-stage timm backbone",
    presets=PRESETS,
    convert="avseg.models.tpavi.spec:convert",
    checkpoints="avseg.models.tpavi.checkpoints:CHECKPOINTS",
)
