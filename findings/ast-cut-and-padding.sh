#!/usr/bin/env bash
# The extractor of the Audio Spectrogram Transformer: sound beyond 10.26 s is cut off, 399 samples give a picture of
# nothing but padding, and padding is another number than digital silence; nothing is raised or logged.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check transformers==5.24.0 torch==2.15.0 numpy==2.4.6
cd "$folder"
HF_HUB_OFFLINE=1 "$folder/venv/bin/python" - <<'PYTHON'
import sys
import warnings
from importlib.metadata import version

import numpy as np
from transformers import ASTFeatureExtractor

for package in ["transformers", "torch", "numpy"]:
    print(package, version(package))


def expect(holds, sentence):
    print(("still so: " if holds else "NO LONGER SO: ") + sentence)
    if not holds:
        sys.exit(1)


warnings.simplefilter("ignore")
extractor = ASTFeatureExtractor()


def picture(sound):
    return extractor(sound.astype(np.float32), sampling_rate=16000, return_tensors="np")["input_values"][0]


noise = np.random.default_rng(0).normal(0, 0.1, 320000)
whole, begun = picture(noise), picture(noise[:164239])
print(f"20 s of sound: {len(whole)} rows of 10 ms")
expect(len(whole) == 1024 and (whole == begun).all(), "20 s give the picture of their first 10.26 s, without a word")
second, tiny = picture(noise[:16000]), picture(noise[:399])
filled = second[98:]
print(f"1 s of sound: {len(second)} rows, the last {len(filled)} of them {filled.min():.4f} to {filled.max():.4f}")
expect(np.allclose(filled, 0.4670, atol=1e-4), "what is filled up is 0.4670 throughout")
expect(np.allclose(tiny, 0.4670, atol=1e-4), "399 samples give nothing else")
silence = picture(np.zeros(16000))[:98]
print(f"1 s of digital silence: {silence.min():.4f} to {silence.max():.4f}")
expect(np.allclose(silence, -1.2776, atol=1e-4), "digital silence is -1.2776, lower than what is filled up")
PYTHON
