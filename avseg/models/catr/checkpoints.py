"""Files that CATR's training script saves: names and shapes of their tensors. Imports no torch."""

from __future__ import annotations

from avseg.models.record import Record, TensorPart

COMMAND = "avseg convert catr FILE -o model.safetensors --vggish VGGISH"


def _catr(name: str, variant: str, backbone: str) -> Record:
    prefix, stages, short = {
        "resnet50": ("resnet.", "avseg.models.catr:resnet50", "r50"),
        "pvt_v2_b5": ("encoder_backbone.", "pvt_v2_b5", "pvt"),
    }[backbone]
    return Record(
        name,
        "catr",
        variant,
        backbone,
        COMMAND,
        (
            TensorPart(stages, prefix, own=False),
            TensorPart(f"avseg.models.catr:{short}"),
            TensorPart("avseg.models.catr:both"),
        ),
        place="aspirinone's repository of CATR",
        published=False,
    )


CHECKPOINTS = (
    _catr("catr_pvt", "S4 (binary)", "pvt_v2_b5"),
    _catr("catr_r50", "S4 or MS3 (binary), a backbone whose code was not published", "resnet50"),
)
