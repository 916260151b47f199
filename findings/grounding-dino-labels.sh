#!/usr/bin/env bash
# GroundingDINO in transformers: the labels that its processor gives to boxes contain special tokens and dots, a box
# may get a high score and no word at all, and one label with a dot turns a list of labels into a batch of texts.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check transformers==5.24.0 torch==2.15.0 torchvision==0.29.2 pillow==13.0.0
cd "$folder"
HF_HUB_OFFLINE=1 "$folder/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import torch
from transformers import BertTokenizer, GroundingDinoImageProcessor, GroundingDinoProcessor

for package in ["transformers", "tokenizers", "torch", "torchvision"]:
    print(package, version(package))


def expect(holds, sentence):
    print(("still so: " if holds else "NO LONGER SO: ") + sentence)
    if not holds:
        sys.exit(1)


words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "red", "square", "dog", "st", "bernard"]
Path("vocab.txt").write_text("\n".join(words))
tokenizer = BertTokenizer.from_pretrained(".")
processor = GroundingDinoProcessor(GroundingDinoImageProcessor(), tokenizer)

ids = processor(text=["dog", "red square"], return_tensors="pt").input_ids
print("dog, red square:", tokenizer.convert_ids_to_tokens(ids[0]))
chances = torch.zeros(1, 3, 256)
chances[0, 0, [1, 6]] = torch.tensor([0.9, 0.6])  # dog, and the end of the text
chances[0, 1, 0] = 0.8  # the start of the text alone
chances[0, 2, [1, 2, 3]] = torch.tensor([0.4, 0.7, 0.5])  # dog, the dot behind it, red
outputs = SimpleNamespace(logits=chances.logit(), pred_boxes=torch.full((1, 3, 4), 0.5), input_ids=ids)
found = processor.post_process_grounded_object_detection(outputs, threshold=0.3, text_threshold=0.3)[0]
for score, label in zip(found["scores"], found["text_labels"], strict=True):
    print(f"  score {score:.2f}, label {label!r}")
expect("[SEP]" in found["text_labels"][0], "the end of the text is part of a label")
expect(
    found["text_labels"][1] == "" and found["scores"][1] > 0.7, "the start of the text alone makes a box of no label"
)
expect("." in found["text_labels"][2], "a dot is part of a label, and of words on both sides of it")
expect(abs(found["scores"][2] - 0.7) < 1e-3, "the dot's score is that of the box")

for labels in [["dog", "red square"], ["dog", "st bernard"], ["dog", "St. Bernard"]]:
    texts = processor(text=labels).input_ids
    shown = texts if isinstance(texts[0], list) else [texts]
    print(f"{labels}: {len(shown)} texts,", [" ".join(tokenizer.convert_ids_to_tokens(text)) for text in shown])
one, dotted = (processor(text=["dog", second]).input_ids for second in ("st bernard", "St. Bernard"))
expect(not isinstance(one[0], list) or len(one) == 1, "a list of labels without dots is one text")
expect(
    len(dotted) == 2 and tokenizer.convert_tokens_to_ids(".") not in dotted[0],
    "with a dot in one it is two texts, the first without a dot",
)
PYTHON
