#!/usr/bin/env bash
# OWLv2 in transformers: boxes scaled to the size of a picture may lie below it or to its right, and a batch with
# lists of labels of different length finds objects of a label that nobody gave.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check transformers==5.24.0 torch==2.15.0 torchvision==0.29.2 pillow==13.0.0
cd "$folder"
HF_HUB_OFFLINE=1 "$folder/venv/bin/python" - <<'PYTHON'
import json
import sys
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import torch
from tokenizers.pre_tokenizers import ByteLevel
from transformers import CLIPTokenizer, Owlv2Config, Owlv2ForObjectDetection, Owlv2ImageProcessor, Owlv2Processor

for package in ["transformers", "tokenizers", "torch", "torchvision"]:
    print(package, version(package))


def expect(holds, sentence):
    print(("still so: " if holds else "NO LONGER SO: ") + sentence)
    if not holds:
        sys.exit(1)


letters = sorted(ByteLevel.alphabet())
words = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
Path("vocab.json").write_text(json.dumps({word: number for number, word in enumerate(words)}))
Path("merges.txt").write_text("#version: 0.2\n")
tokenizer = CLIPTokenizer.from_pretrained(".", model_max_length=16)
processor = Owlv2Processor(Owlv2ImageProcessor(size={"height": 96, "width": 96}), tokenizer)

high, wide = 64, 96
whole = SimpleNamespace(
    logits=torch.full((1, 2, 1), 3.0), pred_boxes=torch.tensor([[[0.5, 0.5, 1, 1], [0.5, 0.85, 1, 0.3]]])
)
found = processor.post_process_grounded_object_detection(whole, target_sizes=[(high, wide)])[0]
print(
    f"picture of {high} x {wide} (height, width), boxes:",
    [[round(edge, 1) for edge in box] for box in found["boxes"].tolist()],
)
expect(
    found["boxes"][0].tolist() == [0, 0, 96, 96],
    "the box of all that the model sees is a square, higher than the picture",
)
expect(found["boxes"][1][1] > high, "a box in the padding is returned and lies below the picture")

small = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
text = {
    **small,
    "vocab_size": len(words),
    "max_position_embeddings": 16,
    "pad_token_id": 513,
    "bos_token_id": 512,
    "eos_token_id": 513,
}
torch.manual_seed(0)
model = Owlv2ForObjectDetection(
    Owlv2Config(text_config=text, vision_config={**small, "image_size": 96, "patch_size": 16}, projection_dim=32)
).eval()
labels = [["cat", "dog"], ["cat"]]
pictures = torch.randint(0, 256, (2, 3, high, wide), dtype=torch.uint8)
with torch.inference_mode():
    outputs = model(**processor(images=list(pictures), text=labels, return_tensors="pt"))
print("labels:", labels, "-> logits of the second picture's first patches:", outputs.logits[1, :3].tolist())
expect(
    outputs.logits.shape[-1] == 2 and bool(outputs.logits[1].isfinite().all()),
    "the label that is missing has logits like any other",
)
places = processor.post_process_grounded_object_detection(outputs, threshold=0.0)[1]["labels"]
print("labels found in the second picture, by number:", places.unique().tolist(), "of", len(labels[1]), "given")
expect(bool((places == 1).any()), "boxes of the second picture have the number of a label that it has not")
try:
    processor.post_process_grounded_object_detection(outputs, threshold=0.0, text_labels=labels)
    raised = None
except IndexError as error:
    raised = error
print("naming them:", repr(raised))
expect(raised is not None, "naming them by the lists that were given raises an IndexError")
PYTHON
