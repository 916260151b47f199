#!/usr/bin/env bash
# from_pretrained of a class on the folder of another model, or of the same without its head: it fills the weights
# that it does not find with random numbers, others at each load, logs that, and raises nothing.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check transformers==5.24.0 torch==2.15.0 numpy==2.4.6
cd "$folder"
HF_HUB_OFFLINE=1 "$folder/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

import torch
from transformers import ASTConfig, ASTForAudioClassification, ASTModel, BertConfig, BertModel

for package in ["transformers", "torch"]:
    print(package, version(package))


def expect(holds, sentence):
    print(("still so: " if holds else "NO LONGER SO: ") + sentence)
    if not holds:
        sys.exit(1)


small = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
ASTForAudioClassification(ASTConfig(**small, max_length=104)).save_pretrained("whole")
ASTModel(ASTConfig(**small, max_length=104)).save_pretrained("headless")
BertModel(BertConfig(**small, vocab_size=9)).save_pretrained("bert")
for folder, least in (("whole", 0), ("headless", 1), ("bert", 20)):
    loads = [ASTForAudioClassification.from_pretrained(folder, output_loading_info=True) for _ in range(2)]
    missing = loads[0][1]["missing_keys"]
    one, other = (model.classifier.dense.weight for model, _ in loads)
    same = torch.equal(one, other)
    print(f"{folder}: {len(missing)} missing weights, two loads agree: {same}")
    expect((len(missing) == 0) == (least == 0) and len(missing) >= least, "missing_keys lists what is missing")
    expect(same == (least == 0), "two loads agree only where nothing is missing, and nothing is raised")
PYTHON
