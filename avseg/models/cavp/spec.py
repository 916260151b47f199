"""CAVP's record. Imports no torch."""

from __future__ import annotations

from pathlib import Path

from avseg.models.cavp.config import CAVPConfig
from avseg.models.cavp.presets import PRESETS, Variant
from avseg.models.spec import FamilySpec


def convert(checkpoint: Path, out: Path, *, variant: Variant | None = None) -> Path:
    """Convert an official CAVP checkpoint to a model file.

    Args:
        checkpoint: The published file, with or without the state of its optimisers.
        out: The model file to write (.safetensors).
        variant: Setting of the weights. It is recognised from the tensors, except the size of AVSS: weights count as
            those of 224 x 224 pixels unless this is avss, which means full size.

    Returns:
        `out`.

    Raises:
        FileNotFoundError: a file that is not there.
        ValueError: what `avseg.models.cavp.convert.convert` refuses.
    """
    from avseg.models.cavp.convert import convert_file

    return convert_file(checkpoint, out, variant=variant)


SPEC = FamilySpec(
    name="cavp",
    config=CAVPConfig,
    model="avseg.models.cavp.model:CAVP",
    paper="Chen et al., CVPR 2024",
    settings="AVSS, S4, MS3, AVSBench Single+, VPO (mono, stereo)",
    backbones="resnet50_deep, resnet101_deep, hrnet_w48, pvt_v2_b5, any four-stage timm backbone",
    presets=PRESETS,
    convert="avseg.models.cavp.spec:convert",
    checkpoints="avseg.models.cavp.checkpoints:CHECKPOINTS",
)
