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
    """Make a model file of an official AVSegFormer checkpoint, which holds VGGish too.

    Args:
        checkpoint: The published weights.
        out: The model file to write (.safetensors).
        variant: The setting of the weights. S4 and MS3, at 224 and at 512, have the same tensors, so that it must be
            given for them; AVSS is told by its classes, and is of 224 unless this says 512.
        generation: Which of three networks of that name the file is of: 3, the newest; 2, from 2023-04-29 to
            2023-08-14, which must be asked for; 1, older, is refused.
        vggish: VGGish weights in place of those in the checkpoint.

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
