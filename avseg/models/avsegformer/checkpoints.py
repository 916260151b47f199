"""Official files of AVSegFormer: names, sizes and shapes of their tensors. Imports no torch."""

from __future__ import annotations

from avseg.models.record import Record, TensorPart


def _avsegformer(name: str, variant: str, short: str, *, semantic: bool, newest: bool = True) -> Record:
    backbone, stages = {
        "r50": ("resnet50", "avseg.models.tpavi:resnet50"),
        "pvt": ("pvt_v2_b5", "pvt_v2_b5"),
    }[short]
    generator = (TensorPart("avseg.models.avsegformer:generator"),) if newest else ()
    if newest:
        setting = "avss (or avss_512)" if semantic else "s4_512 (or s4, ms3, ms3_512)"
    else:
        setting = "avss --generation 2" if semantic else "s4 --generation 2 (or ms3)"
    return Record(
        name,
        "avsegformer",
        variant,
        backbone,
        f"avseg convert avsegformer FILE -o model.safetensors --variant {setting}",
        (
            TensorPart(stages, "backbone.", own=False),
            TensorPart("vggish", "vggish.", own=False),
            TensorPart(f"avseg.models.avsegformer:projections_{short}"),
            TensorPart("avseg.models.avsegformer:head"),
            *generator,
        ),
        place="readme of vvvb-github/AVSegFormer" if newest else "vvvb-github/AVSegFormer, no longer linked",
        sizes={"K": 71 if semantic else 1},
    )


_BINARY, _SEMANTIC = "S4 or MS3 (binary)", "AVSS (71 classes)"
_OLDER = "generation 1 or 2, of which 2 is taken"

CHECKPOINTS = (
    _avsegformer("avsegformer_object_r50", _BINARY, "r50", semantic=False),
    _avsegformer("avsegformer_object_pvt", _BINARY, "pvt", semantic=False),
    _avsegformer("avsegformer_avss_r50", _SEMANTIC, "r50", semantic=True),
    _avsegformer("avsegformer_avss_pvt", _SEMANTIC, "pvt", semantic=True),
    _avsegformer("avsegformer_object_r50_older", f"{_BINARY}, {_OLDER}", "r50", semantic=False, newest=False),
    _avsegformer("avsegformer_object_pvt_older", f"{_BINARY}, {_OLDER}", "pvt", semantic=False, newest=False),
    _avsegformer("avsegformer_avss_r50_older", f"{_SEMANTIC}, {_OLDER}", "r50", semantic=True, newest=False),
    _avsegformer("avsegformer_avss_pvt_older", f"{_SEMANTIC}, {_OLDER}", "pvt", semantic=True, newest=False),
)
