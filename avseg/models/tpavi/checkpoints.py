"""Official files of TPAVI: names, sizes and shapes of their tensors. Imports no torch."""

from __future__ import annotations

from avseg.models.record import Record, TensorPart


def _tpavi(name: str, variant: str, backbone: str, *, semantic: bool) -> Record:
    prefix, stages, short = {
        "resnet50": ("resnet.", "avseg.models.tpavi:resnet50", "r50"),
        "pvt_v2_b5": ("encoder_backbone.", "pvt_v2_b5", "pvt"),
    }[backbone]
    bias = () if semantic else (TensorPart("avseg.models.tpavi:align_bias"),)
    return Record(
        name,
        "tpavi",
        variant,
        backbone,
        "avseg convert tpavi FILE -o model.safetensors "
        + ("--variant avss --vggish VGGISH" if semantic else "--variant s4 --vggish VGGISH (or --variant ms3)"),
        (TensorPart(stages, prefix, own=False), TensorPart(f"avseg.models.tpavi:{short}"), *bias),
        place="OpenNLPLab/AVSBench",
        published=semantic,
        licence="Apache-2.0 (of the repository)",
        sizes={"K": 71 if semantic else 1},
    )


CHECKPOINTS = (
    _tpavi("tpavi_object_r50", "S4 or MS3 (binary)", "resnet50", semantic=False),
    _tpavi("tpavi_object_pvt", "S4 or MS3 (binary)", "pvt_v2_b5", semantic=False),
    _tpavi("tpavi_avss_r50", "AVSS (71 classes)", "resnet50", semantic=True),
    _tpavi("tpavi_avss_pvt", "AVSS (71 classes)", "pvt_v2_b5", semantic=True),
)
