#!/usr/bin/env bash
# SAM 2's video model in transformers: a second object that is prompted in a later frame of a session changes the masks
# of the first one from the next frame on. EdgeTAM, with the same session, is not affected.
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
from transformers import (
    EdgeTamVideoConfig,
    EdgeTamVideoModel,
    EdgeTamVisionConfig,
    Sam2HieraDetConfig,
    Sam2ImageProcessor,
    Sam2VideoConfig,
    Sam2VideoModel,
    Sam2VideoProcessor,
    Sam2VideoVideoProcessor,
    Sam2VisionConfig,
    TimmWrapperConfig,
)

for package in ["transformers", "torch", "torchvision", "timm"]:
    print(package, version(package))


def expect(holds, sentence):
    print(("still so: " if holds else "NO LONGER SO: ") + sentence)
    if not holds:
        sys.exit(1)


side = 64
feature_sizes = [[16, 16], [8, 8], [4, 4]]
common = {
    "image_size": side,
    "memory_attention_num_layers": 1,
    "memory_attention_rope_feat_sizes": [4, 4],
    "prompt_encoder_config": {"image_size": side},
    "mask_decoder_config": {"mlp_dim": 32, "num_hidden_layers": 1},
}
torch.manual_seed(1)
hiera = Sam2HieraDetConfig(
    image_size=[side, side],
    hidden_size=8,
    blocks_per_stage=[1, 1, 2, 1],
    embed_dim_per_stage=[8, 16, 32, 64],
    num_attention_heads_per_stage=[1, 1, 2, 2],
    window_size_per_stage=[4, 4, 4, 2],
    global_attention_blocks=[3],
)
vision = Sam2VisionConfig(
    backbone_config=hiera, backbone_channel_list=[64, 32, 16, 8], backbone_feature_sizes=feature_sizes
)
sam2 = Sam2VideoModel(Sam2VideoConfig(vision_config=vision, **common)).eval()
repvit = TimmWrapperConfig(
    architecture="repvit_m1", model_args={"in_chans": 3, "features_only": True, "out_indices": (0, 1, 2, 3)}
)
vision = EdgeTamVisionConfig(backbone_config=repvit, backbone_feature_sizes=feature_sizes)
latents = {"perceiver_resampler_num_latents": 4, "perceiver_resampler_num_latents_2d": 4}
edgetam = EdgeTamVideoModel(
    EdgeTamVideoConfig(vision_config=vision, memory_attention_rope_k_sizes=[2, 2], **latents, **common)
).eval()
size = {"height": side, "width": side}
processor = Sam2VideoProcessor(Sam2ImageProcessor(size=size), Sam2VideoVideoProcessor(size=size))
pictures = torch.randint(0, 255, (8, 3, 48, 72), dtype=torch.uint8)
boxes = {1: [4.0, 4.0, 30.0, 30.0], 2: [40.0, 8.0, 70.0, 44.0]}


@torch.inference_mode()
def first_object(model, second_begins):
    """Mask logits of the first object, frame by frame."""
    session, masks = processor.init_video_session(), []
    for number, picture in enumerate(pictures):
        for name, begins in ((1, 0), (2, second_begins)):
            if number == begins:
                processor.add_inputs_to_inference_session(
                    session, frame_idx=number, obj_ids=[name], input_boxes=[[boxes[name]]], original_size=(48, 72)
                )
        pixels = processor(images=picture, return_tensors="pt").pixel_values[0]
        masks.append(model(inference_session=session, frame=pixels).pred_masks[0, 0])
    return masks


for model in (sam2, edgetam):
    model.mask_decoder.pred_obj_score_head.proj_out.bias.data.fill_(1.0)  # the objects stay visible
for name, model, differs in [("SAM 2", sam2, [4, 5, 6, 7]), ("EdgeTAM", edgetam, [])]:
    alone, beside = first_object(model, None), first_object(model, 3)
    changed = [number for number, (one, other) in enumerate(zip(alone, beside)) if not torch.equal(one, other)]
    print(name, "second object from frame 3 on; frames in which the first one's mask is another than alone:", changed)
    expect(changed == differs, f"{name}: {'frames after the prompt change' if differs else 'no frame changes'}")
PYTHON
