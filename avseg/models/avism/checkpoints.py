"""Official files of AVISM, and detectors that it begins from: names and shapes of tensors. Imports no torch."""

from __future__ import annotations

from avseg.models.record import NOT_STATED, Record, TensorPart

_SWIN_MADE = r".*\.(?:relative_position_index|attn_mask)"
_AVISM_BACKBONES = {
    "r50": ("resnet50", "resnet50_stem"),
    "swinl": ("swin_large_patch4_window12_384", "swin_large_four_norms"),
}
_CONSTANTS = r"(?:(?:avism|vita)_)?criterion\.empty_weight|pixel_(?:mean|std)"
_BESIDE_FRAMES = r"(?!backbone\.|sem_seg_head\.).*|sem_seg_head\.predictor\.class_embed\..*"


def _avism(name: str, short: str, module: str, file: str) -> Record:
    backbone, stages = _AVISM_BACKBONES[short]
    video = f"{module}_module."
    return Record(
        name,
        "avism",
        f"AVISeg (26 classes), names of {video}*",
        backbone,
        "avseg convert avism FILE -o model.safetensors --vggish VGGISH",
        (
            TensorPart(stages, "backbone.", own=False),
            TensorPart(f"avseg.models.avism:frame_{short}"),
            TensorPart("avseg.models.avism:hears"),
            TensorPart("avseg.models.avism:video", video),
            TensorPart("avseg.models.avism:video_mask", f"{video}{module}_mask_features."),
        ),
        (file,),
        place="readme of ruohaoguo/avis",
        sizes={"Q": 100 if short == "r50" else 200},
        optional=f"{_CONSTANTS}|{_SWIN_MADE}",
    )


def _detector(short: str, file: str, recipe: str) -> Record:
    backbone, stages = _AVISM_BACKBONES[short]
    return Record(
        f"detector_{short}",
        "detector",
        "Mask2Former or VITA trained on COCO, for AVISM",
        backbone,
        f"avseg train {recipe} --data.root DIR --init.detector FILE",
        (TensorPart(stages, "backbone.", own=False), TensorPart(f"avseg.models.avism:frame_{short}")),
        (file,),
        place=f"{NOT_STATED} (its kind comes from sukjunhwang/VITA)",
        optional=f"{_BESIDE_FRAMES}|{_SWIN_MADE}",
    )


CHECKPOINTS = (
    _avism("avism_r50", "r50", "avism", "AVISM_R50_IN.pth"),
    _avism("avism_coco_r50", "r50", "vita", "AVISM_R50_COCO.pth"),
    _avism("avism_swinl", "swinl", "avism", "AVISM_SwinL_IN.pth"),
    _avism("avism_coco_swinl", "swinl", "vita", "AVISM_SwinL_COCO.pth"),
    _detector("r50", "R50_COCO.pth", "avism_r50_coco"),
    _detector("swinl", "SwinL_COCO.pth", "avism_swinl_coco"),
)
