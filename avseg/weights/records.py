"""Records of the published weights that avseg can use: content, source, command. Imports no torch.

Names of files, places and licences are those that the authors state; `not stated` means that they state none. A list of
keys does not mean that a file was published: if none was, `place` says so.
"""

from __future__ import annotations

from avseg.lazy import imported
from avseg.models import FAMILIES
from avseg.models.record import NOT_STATED, Record, TensorPart

_COUNTERS = r".*\.num_batches_tracked"
_CLASSIFIER = r"(?:head|fc|norm)\..*"
_SWIN_MADE = r".*\.(?:relative_position_index|attn_mask)"


def _backbone(
    name: str, variant: str, backbone: str, recipe: str, place: str, *files: str, keys: str = "", optional: str = ""
) -> Record:
    return Record(
        name,
        "backbone",
        variant,
        backbone,
        f"avseg train {recipe} --data.root DIR --init.backbone FILE",
        (TensorPart(keys or name),),
        files,
        place,
        optional=f"{_CLASSIFIER}|{_COUNTERS}" + (optional and f"|{optional}"),
    )


_SWIN_TINY, _SWIN_LARGE = "swin_tiny_patch4_window7_224", "swin_large_patch4_window12_384"
_SWIN_REST = rf"{_SWIN_MADE}|norm\d\..*"
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
        (TensorPart("vggish"),),
        ("vggish-10086976.pth",),
        "harritaylor/torchvggish",
    ),
    Record(
        "vggish_pca",
        "sound",
        "PCA after VGGish",
        "",
        "no command, since no published setting uses it",
        (TensorPart("vggish_pca"),),
        ("vggish_pca_params-970ea276.pth",),
    ),
    Record(
        "resnet18",
        "sound",
        "ResNet-18 of ImageNet, the audio network of CAVP on VPO",
        "",
        "avseg train cavp_vpo_ms_r50 --data.root DIR --init.backbone BACKBONE --init.audio FILE",
        (TensorPart("resnet18"),),
        place="torchvision",
        optional=f"{_CLASSIFIER}|{_COUNTERS}",
    ),
)


def known() -> tuple[Record, ...]:
    """Return the records of all families, then the shared ones: audio networks and backbones."""
    own = (imported(spec.checkpoints) for spec in FAMILIES.values() if spec.checkpoints)
    return (*(record for records in own for record in records), *SOUND, *BACKBONES)
