#!/usr/bin/env bash
# EdgeTAM's configs in transformers: the defaults build a SAM 2 encoder, or a ResNet-50, never the RepViT of EdgeTAM.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check transformers==5.24.0 torch==2.15.0 torchvision==0.29.2 timm==1.0.31
cd "$folder"
HF_HUB_OFFLINE=1 "$folder/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

import torch
from transformers import EdgeTamVideoConfig, EdgeTamVideoModel, EdgeTamVisionConfig, TimmWrapperConfig

for package in ["transformers", "torch", "torchvision", "timm"]:
    print(package, version(package))


def expect(holds, sentence):
    print(("still so: " if holds else "NO LONGER SO: ") + sentence)
    if not holds:
        sys.exit(1)



def built(vision=None):
    """Backbone and parameters, in millions."""
    with torch.device("meta"):
        model = EdgeTamVideoModel(EdgeTamVideoConfig() if vision is None else EdgeTamVideoConfig(vision_config=vision))
    config = model.config.vision_config.backbone_config
    parameters = sum(one.numel() for one in model.parameters()) / 1e6
    return getattr(config, "architecture", config.model_type), round(parameters, 1)


default = built()
print("EdgeTamVideoConfig():", *default)
expect(default == ("sam2_hiera_det_model", 36.2), "the default video model has SAM 2's encoder")
backbone = EdgeTamVisionConfig().backbone_config
print("EdgeTamVisionConfig():", backbone.model_type, backbone.architecture)
expect(backbone.architecture == "resnet50", "the default vision config names a ResNet-50")
repvit = TimmWrapperConfig(
    architecture="repvit_m1", model_args={"in_chans": 3, "features_only": True, "out_indices": (0, 1, 2, 3)}
)
named = built(EdgeTamVisionConfig(backbone_config=repvit))
print("with the backbone named:", *named)
expect(named == ("repvit_m1", 13.9), "only a config that names its backbone gives EdgeTAM's 13.9 M parameters")
PYTHON
