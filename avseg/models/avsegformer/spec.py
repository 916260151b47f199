"""AVSegFormer's record. Imports no torch."""

from __future__ import annotations

from pathlib import Path

from avseg.models.avsegformer.config import AVSegFormerConfig
from avseg.models.avsegformer.presets import PRESETS, Generation, Variant
from avseg.models.spec import FamilySpec


def convert(
    checkpoint: Path,
    out: Path,
    *,
    variant: Variant | None = None,
    generation: Generation | None = None,
    vggish: Path | None = None,
) -> Path:
    """Convert an official AVSegFormer checkpoint, which includes VGGish, to a model file.

    Args:
        checkpoint: The published weights.
        out: The model file to write (.safetensors).
        variant: Setting of the weights. It is required for S4 and MS3, whose tensors are the same at 224 and at 512.
            AVSS is recognised by its classes and taken as 224 unless this is avss_512.
        generation: Generation of the published network: 3, the newest; 2, from 2023-04-29 to 2023-08-14, which must be
            given; 1, older, is refused.
        vggish: VGGish weights instead of those in the checkpoint.

    Returns:
        `out`.

    Raises:
        FileNotFoundError: a file that is not there.
        ValueError: what `avseg.models.avsegformer.convert.convert` refuses.
    """
    from avseg.models.avsegformer.convert import convert_file

    return convert_file(checkpoint, out, variant=variant, generation=generation, vggish=vggish)


SPEC = FamilySpec(
    name="avsegformer",
    config=AVSegFormerConfig,
    model="avseg.models.avsegformer.model:AVSegFormer",
    paper="Gao et al., AAAI 2024",
    settings="S4, MS3, AVSS; 224 and 512",
    backbones="resnet50, pvt_v2_b5, any four-stage timm backbone",
    presets=PRESETS,
    convert="avseg.models.avsegformer.spec:convert",
    checkpoints="avseg.models.avsegformer.checkpoints:CHECKPOINTS",
)
