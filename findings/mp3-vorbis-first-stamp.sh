#!/usr/bin/env bash
# Sound files of MP3 and Vorbis: the samples that PyAV decodes begin where the sound begins, but the stamp of
# the first one is later than zero by what the codec needs to start.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check soundfile==0.14.0 av==18.1.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

import av
import numpy as np
import soundfile

for package in ["soundfile", "av", "numpy"]:
    print(package, version(package))


def expect(holds, sentence):
    print(("still so: " if holds else "NO LONGER SO: ") + sentence)
    if not holds:
        sys.exit(1)


RATE, CLICK = 48000, 24000
wave = np.zeros(RATE)
wave[CLICK] = 0.9
for kind, late in (("wav", 0), ("flac", 0), ("mp3", 1105), ("ogg", 128)):
    soundfile.write(f"x.{kind}", wave, RATE)
    with av.open(f"x.{kind}") as container:
        frames = list(container.decode(audio=0))
    samples = np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames]).astype(float)
    place, other = int(np.abs(samples).argmax()), int(np.abs(soundfile.read(f"x.{kind}")[0]).argmax())
    stamp = round(frames[0].time * RATE)
    print(
        f"{kind}: click at sample {place} (soundfile: {other}); the first frame is stamped {frames[0].time:.4f} s, "
        f"which is {stamp} samples"
    )
    expect(place == other == CLICK, f"{kind}: counted in samples the click is where it was put")
    expect(stamp == late, f"{kind}: by the stamps of the frames it is {late} samples late")
PYTHON
