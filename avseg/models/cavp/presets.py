"""CAVP's published settings. Imports no torch."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

from avseg.config import AudioWindow, InputSpec
from avseg.datasets.avss.classes import avss_classes
from avseg.datasets.single.classes import single_classes
from avseg.datasets.vpo.classes import vpo_classes
from avseg.losses.config import ContrastConfig
from avseg.models.cavp.config import CAVPConfig, Decoder
from avseg.models.spec import Preset

Variant = Literal["avss", "avss_224", "avsbench", "single", "vpo", "vpo_stereo"]

_STRETCHED = InputSpec((224, 224), rule="stretch", interpolation="bicubic")
_BENCH: dict[str, Any] = {
    "audio": AudioWindow(seconds=1.0, anchor="frame", offset=0.0, missing="silence"),
    "audio_network": "vgg",
    "mel_frames": 96,
    "output_stride": 16,
}


def _published(*, backbone: str = "resnet50_deep", decoder: Decoder | None = None, **fields: Any) -> CAVPConfig:
    """The decoder of HRNet is `hrnet` and that of others `deeplab`, whose pyramid is as wide as the finest map."""
    chosen = decoder or ("hrnet" if backbone == "hrnet_w48" else "deeplab")
    width = {"aspp_width": 64} if backbone == "pvt_v2_b5" and chosen == "deeplab" else {}
    return CAVPConfig(**{"backbone": backbone, "decoder": chosen, **width, **fields})


PRESETS = {
    "vpo": Preset(_published, "semantic", lambda: vpo_classes()[1:]),
    "vpo_stereo": Preset(partial(_published, audio_channels=2), "semantic", lambda: vpo_classes()[1:]),
    "avss": Preset(partial(_published, **_BENCH), "semantic", lambda: avss_classes()[1:]),
    "avss_224": Preset(partial(_published, **_BENCH, input=_STRETCHED), "semantic", lambda: avss_classes()[1:]),
    # Binary sets have no sounds by class to take from.
    "avsbench": Preset(partial(_published, **_BENCH, input=_STRETCHED, contrast=ContrastConfig(bank="none")), "binary"),
    "single": Preset(partial(_published, **_BENCH), "semantic", lambda: single_classes()[1:]),
}
"""`avss` is at full size; `avsbench` is of AVSBench-Object and of AVSS as binary, and the objects' runs have a
contrastive weight of 0.1 where this has 1; `single` is AVSBench-Single+."""
