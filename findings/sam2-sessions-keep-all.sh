#!/usr/bin/env bash
# SAM 2's video session in transformers, with frames that come one by one: nothing is ever freed, an object cannot be
# taken out, and the number of a frame is the count of those kept, so that deleting old frames gives numbers twice.
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
    Sam2HieraDetConfig,
    Sam2ImageProcessor,
    Sam2VideoConfig,
    Sam2VideoModel,
    Sam2VideoProcessor,
    Sam2VideoVideoProcessor,
    Sam2VisionConfig,
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
size = {"height": side, "width": side}
processor = Sam2VideoProcessor(Sam2ImageProcessor(size=size), Sam2VideoVideoProcessor(size=size))
pictures = torch.randint(0, 255, (40, 3, 48, 72), dtype=torch.uint8)


@torch.inference_mode()
def session_after(count):
    session = processor.init_video_session()
    processor.add_inputs_to_inference_session(
        session, frame_idx=0, obj_ids=[1], input_boxes=[[[4.0, 4.0, 30.0, 30.0]]], original_size=(48, 72)
    )
    for picture in pictures[:count]:
        pixels = processor(images=picture, return_tensors="pt").pixel_values[0]
        sam2(inference_session=session, frame=pixels)
    return session


def size(session):
    """Bytes of the frames and of what is remembered of the object."""
    outputs = session.output_dict_per_obj[0]
    kept = [*outputs["cond_frame_outputs"].values(), *outputs["non_cond_frame_outputs"].values()]
    tensors = [*session.processed_frames.values(), *(one for output in kept for one in output.values())]
    return sum(tensor.nbytes for tensor in tensors)


sizes = [size(session_after(count)) for count in (20, 30, 40)]
print("bytes after 20, 30 and 40 frames of 64 x 64 with one object:", sizes)
expect(sizes[2] - sizes[1] == sizes[1] - sizes[0] > 0, "every frame adds the same, long after it is of any use")
print("frames attended to: maps of", sam2.config.num_maskmem - 1, "and pointers of 15 before the present one")
session = session_after(20)
print("calls of the session that remove:", sorted(name for name in dir(session) if "remove" in name))
expect(not hasattr(session, "remove_object"), "an object cannot be removed from the session")
with torch.inference_mode():
    for number in range(19):
        del session.processed_frames[number]
    pixels = processor(images=pictures[20], return_tensors="pt").pixel_values[0]
    number = sam2(inference_session=session, frame=pixels).frame_idx
print("with 19 of 20 frames deleted the next one gets the number", number)
expect(number == 1, "frames are numbered by how many are kept, unless the caller gives frame_idx")
PYTHON
