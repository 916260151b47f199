"""Published weights that avseg can take: what they are, where they come from, how to take them. Imports no torch.

Names of files, places and licences are those that the authors state; `not stated` stands for what they do not. A key
list is no promise that a file of it was ever published: where none was, `place` says so.
"""

from __future__ import annotations

from avseg.weights.record import NOT_STATED, Part, Record

_MODEL = "-o model.safetensors"
_COUNTERS = r".*\.num_batches_tracked"
_CLASSIFIER = r"(?:head|fc|norm)\..*"
_SWIN_MADE = r".*\.(?:relative_position_index|attn_mask)"


def _tpavi(name: str, variant: str, backbone: str, *, semantic: bool) -> Record:
    prefix, stages, short = {
        "resnet50": ("resnet.", "tpavi_resnet50", "r50"),
        "pvt_v2_b5": ("encoder_backbone.", "pvt_v2_b5", "pvt"),
    }[backbone]
    bias = () if semantic else (Part("tpavi_align_bias"),)
    return Record(
        name,
        "tpavi",
        variant,
        backbone,
        f"avseg convert tpavi FILE {_MODEL} "
        + ("--variant avss --vggish VGGISH" if semantic else "--variant s4 --vggish VGGISH (or --variant ms3)"),
        (Part(stages, prefix, own=False), Part(f"tpavi_{short}"), *bias),
        place="OpenNLPLab/AVSBench",
        published=semantic,
        licence="Apache-2.0 (of the repository)",
        sizes={"K": 71 if semantic else 1},
    )


TPAVI = (
    _tpavi("tpavi_object_r50", "S4 or MS3 (binary)", "resnet50", semantic=False),
    _tpavi("tpavi_object_pvt", "S4 or MS3 (binary)", "pvt_v2_b5", semantic=False),
    _tpavi("tpavi_avss_r50", "AVSS (71 classes)", "resnet50", semantic=True),
    _tpavi("tpavi_avss_pvt", "AVSS (71 classes)", "pvt_v2_b5", semantic=True),
)

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
        f"avseg convert cavp FILE {_MODEL}",
        (Part(backbone, _CAVP_BACKBONES[backbone], own=False), Part(own)),
        files,
        place=place or "cyh-0/CAVP",
        published=bool(place),
        sizes={"K": classes, "A": ears},
    )


_AVSS, _OBJECT = "AVSS (71 classes)", "AVSBench-Object (binary)"
_MONO, _STEREO = "VPO mono (22 classes)", "VPO stereo (22 classes)"
CAVP = (
    _cavp(
        "avss_r50",
        _AVSS,
        "resnet50_deep",
        "cavp_vgg",
        "avss_224.pth",
        place=f"{_DRIVE} 1DwVw_NtDv23QacpNvKlabWSnnPy25xfr",
        classes=71,
    ),
    _cavp(
        "object_r50",
        _OBJECT,
        "resnet50_deep",
        "cavp_vgg",
        "cavp_avsobj_ss.pth",
        "that of MS3 not stated",
        place=f"{_DRIVE} 1JDC8jDj4iQT5qeJ_8Xt4zP3oWS-q5Hel (S4), 1SSMTRDjgkaIgYx8ETpk3sE1dcUe1O5js (MS3)",
        classes=2,
    ),
    _cavp("single_r50", "AVSBench-Single+ (24 classes)", "resnet50_deep", "cavp_vgg", classes=24),
    _cavp("avss_pvt", _AVSS, "pvt_v2_b5", "cavp_pvt", classes=71),
    _cavp("object_pvt", _OBJECT, "pvt_v2_b5", "cavp_pvt", classes=2),
    _cavp("vpo_mono_r50", _MONO, "resnet50_deep", "cavp_res18"),
    _cavp("vpo_stereo_r50", _STEREO, "resnet50_deep", "cavp_res18", ears=2),
    _cavp("vpo_mono_r101", _MONO, "resnet101_deep", "cavp_res18"),
    _cavp("vpo_stereo_r101", _STEREO, "resnet101_deep", "cavp_res18", ears=2),
    _cavp("vpo_mono_hrnet", _MONO, "hrnet_w48", "cavp_hrnet"),
    _cavp("vpo_stereo_hrnet", _STEREO, "hrnet_w48", "cavp_hrnet", ears=2),
    _cavp("vpo_mono_ocr", f"{_MONO}, OCR", "hrnet_w48", "cavp_ocr"),
    _cavp("vpo_stereo_ocr", f"{_STEREO}, OCR", "hrnet_w48", "cavp_ocr", ears=2),
)

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
        f"avseg convert avism FILE {_MODEL} --vggish VGGISH",
        (
            Part(stages, "backbone.", own=False),
            Part(f"avism_frame_{short}"),
            Part("avism_hears"),
            Part("avism_video", video),
            Part("avism_video_mask", f"{video}{module}_mask_features."),
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
        (Part(stages, "backbone.", own=False), Part(f"avism_frame_{short}")),
        (file,),
        place=f"{NOT_STATED} (its kind comes from sukjunhwang/VITA)",
        optional=f"{_BESIDE_FRAMES}|{_SWIN_MADE}",
    )


AVISM = (
    _avism("avism_r50", "r50", "avism", "AVISM_R50_IN.pth"),
    _avism("avism_coco_r50", "r50", "vita", "AVISM_R50_COCO.pth"),
    _avism("avism_swinl", "swinl", "avism", "AVISM_SwinL_IN.pth"),
    _avism("avism_coco_swinl", "swinl", "vita", "AVISM_SwinL_COCO.pth"),
    _detector("r50", "R50_COCO.pth", "avism_r50_coco"),
    _detector("swinl", "SwinL_COCO.pth", "avism_swinl_coco"),
)


def _backbone(
    name: str, variant: str, backbone: str, recipe: str, place: str, *files: str, keys: str = "", optional: str = ""
) -> Record:
    return Record(
        name,
        "backbone",
        variant,
        backbone,
        f"avseg train {recipe} --data.root DIR --init.backbone FILE",
        (Part(keys or name),),
        files,
        place,
        optional=f"{_CLASSIFIER}|{_COUNTERS}" + (optional and f"|{optional}"),
    )


_SWIN_TINY, _SWIN_LARGE = "swin_tiny_patch4_window7_224", "swin_large_patch4_window12_384"
_SWIN_REST = rf"{_SWIN_MADE}|norm\d\..*"
_AVISMS = "SwinL_IN.pkl (so called by ruohaoguo/avis)"
_AUTHORS = f"{NOT_STATED} (by its authors)"

BACKBONES = (
    _backbone("resnet50", "ImageNet", "resnet50", "tpavi_s4_r50", "torchvision", "resnet50-19c8e357.pth"),
    _backbone(
        "resnet50_stem", "ImageNet, names of detectors", "resnet50", "avism_r50", "detectron2", optional=r"stem\.fc\..*"
    ),
    _backbone(
        "resnet50_deep",
        "ImageNet, deep stem",
        "resnet50_deep",
        "cavp_avss_r50",
        "timm",
        "resnet50s.gluon_in1k",
        "resnet50.pth (so called by cyh-0/CAVP)",
    ),
    _backbone(
        "resnet101_deep",
        "ImageNet, deep stem",
        "resnet101_deep",
        "cavp_vpo_ms_r101",
        "timm",
        "resnet101s.gluon_in1k",
        "resnet101.pth (so called by cyh-0/CAVP)",
    ),
    _backbone(
        "hrnet_w48",
        "ImageNet",
        "hrnet_w48",
        "cavp_vpo_ms_hrnet",
        NOT_STATED,
        "HRNet_W48_C_ssld_pretrained.pth",
        optional=r"(?:incre_modules|downsamp_modules|final_layer|classifier)\..*",
    ),
    _backbone("pvt_v2_b5", "ImageNet", "pvt_v2_b5", "tpavi_s4_pvt", _AUTHORS, "pvt_v2_b5.pth"),
    _backbone("pvt_v2_b5_timm", "ImageNet, names of timm", "pvt_v2_b5", "tpavi_s4_pvt", "timm"),
    _backbone("swin_tiny", "ImageNet", _SWIN_TINY, "qdformer_s4_swin_t", _AUTHORS, optional=_SWIN_REST),
    _backbone("swin_tiny_timm", "ImageNet, names of timm", _SWIN_TINY, "qdformer_s4_swin_t", "timm", _SWIN_TINY),
    _backbone(
        "swin_large",
        "ImageNet-22k",
        _SWIN_LARGE,
        "avism_swinl",
        _AUTHORS,
        "SwinL_IN.pkl (so called by ruohaoguo/avis)",
        optional=_SWIN_REST,
    ),
    _backbone("swin_large_timm", "ImageNet, names of timm", _SWIN_LARGE, "avism_swinl", "timm", _SWIN_LARGE),
    _backbone(
        "video_swin_tiny",
        "Kinetics-400",
        "video_swin_tiny",
        "qdformer_s4_video_swin_t",
        "torchvision",
        "swin3d_t",
        keys="swin3d_tiny",
    ),
)

SOUND = (
    Record(
        "vggish",
        "sound",
        "VGGish of AudioSet",
        "",
        "avseg train tpavi_s4_r50 --data.root DIR --init.backbone BACKBONE --init.vggish FILE "
        "(or --vggish FILE of avseg convert tpavi, avseg convert avism, avseg data prepare aviseg)",
        (Part("vggish"),),
        ("vggish-10086976.pth",),
        "harritaylor/torchvggish",
    ),
    Record(
        "vggish_pca",
        "sound",
        "PCA after VGGish",
        "",
        "no command, since no published setting uses it; avseg.nn.vggish.VGGishPCA loads it",
        (Part("vggish_pca"),),
        ("vggish_pca_params-970ea276.pth",),
    ),
    Record(
        "resnet18",
        "sound",
        "ResNet-18 of ImageNet, which hears in CAVP on VPO",
        "",
        "avseg train cavp_vpo_ms_r50 --data.root DIR --init.backbone BACKBONE --init.audio FILE",
        (Part("resnet18"),),
        place="torchvision",
        optional=f"{_CLASSIFIER}|{_COUNTERS}",
    ),
)

RECORDS: tuple[Record, ...] = (*TPAVI, *CAVP, *AVISM, *SOUND, *BACKBONES)
