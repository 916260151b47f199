#!/usr/bin/env bash
# CLAP in transformers: of a batch of short sounds its extractor calls one, drawn by chance, longer than 10 s, and a
# model with fusion gives that one another embedding; of a sound that is longer a piece is drawn. Nothing says so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check transformers==5.24.0 torch==2.15.0 numpy==2.4.6
cd "$folder"
HF_HUB_OFFLINE=1 "$folder/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
import torch
from transformers import ClapConfig, ClapFeatureExtractor, ClapModel

for package in ["transformers", "torch", "numpy"]:
    print(package, version(package))


def expect(holds, sentence):
    print(("still so: " if holds else "NO LONGER SO: ") + sentence)
    if not holds:
        sys.exit(1)


text = {"vocab_size": 9, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
audio = {"patch_embeds_hidden_size": 8, "hidden_size": 64, "depths": [1, 1, 1, 1], "num_attention_heads": [1, 2, 4, 8]}
audio |= {"enable_fusion": True, "fusion_type": "aff_2d"}
torch.manual_seed(0)
model = ClapModel(ClapConfig(text_config=text, audio_config=audio, projection_dim=16)).eval()
short = [np.random.default_rng(k).normal(0, 0.1, 96000) for k in range(2)]  # 2 s
long = np.random.default_rng(2).normal(0, 0.1, 600000)  # 12.5 s


@torch.no_grad()
def heard(sounds, seed, truncation):
    np.random.seed(seed)
    inputs = ClapFeatureExtractor(truncation=truncation)(sounds, sampling_rate=48000, return_tensors="pt")
    if truncation != "fusion":
        return inputs["input_features"], None
    return inputs["is_longer"].flatten().tolist(), model.get_audio_features(**inputs).pooler_output


flags = {}
for seed in range(6):
    longer, embedding = heard(short, seed, "fusion")
    print(f"two sounds of 2 s, numpy seed {seed}: is_longer {longer}, first number {embedding[0, 0]:.6f}")
    flags[tuple(longer)] = embedding
expect(set(flags) == {(True, False), (False, True)}, "one of the two is called longer than 10 s, which one is drawn")
first, second = flags.values()
print("largest difference of the two draws:", f"{(first - second).abs().max():.6f}")
expect((first - second).abs().max() > 1e-4, "the embedding of the same sound depends on the draw")
pieces = [heard([long], seed, "rand_trunc")[0] for seed in (0, 0, 1)]
expect(torch.equal(pieces[0], pieces[1]), "the same seed gives the same features of 12.5 s")
expect(not torch.equal(pieces[0], pieces[2]), "another seed gives those of another piece")
PYTHON
