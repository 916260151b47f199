"""Official files of CAVP: names, sizes and shapes of their tensors. Imports no torch."""

from __future__ import annotations

from avseg.models.record import Record, TensorPart

_CAVP_BACKBONES = {
    "resnet50_deep": "backbone.backbone.",
    "resnet101_deep": "backbone.backbone.",
    "hrnet_w48": "backbone.",
    "pvt_v2_b5": "backbone.",
}
_DRIVE = "readme of cyh-0/CAVP, Google Drive"


def _cavp(
    name: str, variant: str, backbone: str, own: str, *files: str, place: str = "", classes: int = 22, ears: int = 1
) -> Record:
    return Record(
        f"cavp_{name}",
        "cavp",
        variant,
        backbone,
        "avseg convert cavp FILE -o model.safetensors",
        (TensorPart(backbone, _CAVP_BACKBONES[backbone], own=False), TensorPart(own)),
        files,
        place=place or "cyh-0/CAVP",
        published=bool(place),
        sizes={"K": classes, "A": ears},
    )


_AVSS, _OBJECT = "AVSS (71 classes)", "AVSBench-Object (binary)"
_MONO, _STEREO = "VPO mono (22 classes)", "VPO stereo (22 classes)"
CHECKPOINTS = (
    _cavp(
        "avss_r50",
        _AVSS,
        "resnet50_deep",
        "avseg.models.cavp:vgg",
        "avss_224.pth",
        place=f"{_DRIVE} 1DwVw_NtDv23QacpNvKlabWSnnPy25xfr",
        classes=71,
    ),
    _cavp(
        "object_r50",
        _OBJECT,
        "resnet50_deep",
        "avseg.models.cavp:vgg",
        "cavp_avsobj_ss.pth",
        "that of MS3 not stated",
        place=f"{_DRIVE} 1JDC8jDj4iQT5qeJ_8Xt4zP3oWS-q5Hel (S4), 1SSMTRDjgkaIgYx8ETpk3sE1dcUe1O5js (MS3)",
        classes=2,
    ),
    _cavp("single_r50", "AVSBench-Single+ (24 classes)", "resnet50_deep", "avseg.models.cavp:vgg", classes=24),
    _cavp("avss_pvt", _AVSS, "pvt_v2_b5", "avseg.models.cavp:pvt", classes=71),
    _cavp("object_pvt", _OBJECT, "pvt_v2_b5", "avseg.models.cavp:pvt", classes=2),
    _cavp("vpo_mono_r50", _MONO, "resnet50_deep", "avseg.models.cavp:res18"),
    _cavp("vpo_stereo_r50", _STEREO, "resnet50_deep", "avseg.models.cavp:res18", ears=2),
    _cavp("vpo_mono_r101", _MONO, "resnet101_deep", "avseg.models.cavp:res18"),
    _cavp("vpo_stereo_r101", _STEREO, "resnet101_deep", "avseg.models.cavp:res18", ears=2),
    _cavp("vpo_mono_hrnet", _MONO, "hrnet_w48", "avseg.models.cavp:hrnet"),
    _cavp("vpo_stereo_hrnet", _STEREO, "hrnet_w48", "avseg.models.cavp:hrnet", ears=2),
    _cavp("vpo_mono_ocr", f"{_MONO}, OCR", "hrnet_w48", "avseg.models.cavp:ocr"),
    _cavp("vpo_stereo_ocr", f"{_STEREO}, OCR", "hrnet_w48", "avseg.models.cavp:ocr", ears=2),
)
