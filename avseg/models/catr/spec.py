"""CATR's record. Imports no torch."""

from __future__ import annotations

from pathlib import Path

from avseg.lazy import imported
from avseg.models.catr.config import CATRConfig
from avseg.models.catr.presets import PRESETS, Variant
from avseg.models.spec import FamilySpec


def convert(checkpoint: Path, out: Path, *, variant: Variant = "s4", vggish: Path | None = None) -> Path:
    """Convert a checkpoint of CATR's training script to a model file.

    No trained weights of CATR were ever published.

    Args:
        checkpoint: The state dict of the network.
        out: The model file to write (.safetensors).
        variant: Setting of the weights, for the metadata of the file; both use the same network.
        vggish: The published VGGish weights, a separate file that becomes part of the model.

    Returns:
        `out`.

    Raises:
        FileNotFoundError: a file that is not there.
        ValueError: no VGGish file, and all that `avseg.models.catr.convert.convert` refuses.
    """
    made: Path = imported("avseg.models.catr.convert:convert_file")(checkpoint, out, variant=variant, vggish=vggish)
    return made


SPEC = FamilySpec(
    name="catr",
    config=CATRConfig,
    model="avseg.models.catr.model:CATR",
    paper="Li et al., ACM MM 2023",
    settings="S4; MS3 (ours)",
    backbones="pvt_v2_b5, resnet50 (ours), any four-stage timm backbone",
    presets=PRESETS,
    convert="avseg.models.catr.spec:convert",
    checkpoints="avseg.models.catr.checkpoints:CHECKPOINTS",
)
