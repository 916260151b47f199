#!/usr/bin/env bash
# An MP3 file of variable bit rate without a table of contents: soundfile gives back only the beginning, without
# an error; PyAV gives all of it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check soundfile==0.14.0 av==18.1.0 numpy==2.4.6 imageio-ffmpeg==0.8.1
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import subprocess
import sys
from importlib.metadata import version

import av
import imageio_ffmpeg
import numpy as np
import soundfile

for package in ["soundfile", "av", "numpy", "imageio-ffmpeg"]:
    print(package, version(package))


def expect(holds, sentence):
    print(("still so: " if holds else "NO LONGER SO: ") + sentence)
    if not holds:
        sys.exit(1)


RATE = 48000
wave = np.zeros(RATE * 20, np.float32)
wave[: RATE * 2] = np.random.default_rng(0).uniform(-0.9, 0.9, RATE * 2)
wave[RATE * 15 : RATE * 16] = 0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)
soundfile.write("x.wav", wave, RATE)
lengths = {}
for name, table in (("with", "1"), ("without", "0")):
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", "x.wav", "-q:a", "4", "-write_xing", table]
    subprocess.run([*command, f"{name}.mp3"], check=True)
    heard, _ = soundfile.read(f"{name}.mp3")
    with av.open(f"{name}.mp3") as container:
        stated = container.duration / 1e6
        decoded = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    lengths[name] = len(heard) / RATE, len(decoded) / RATE
    print(
        f"{name} the table: soundfile.read {len(heard) / RATE:.2f} s, PyAV states {stated:.2f} s and decodes "
        f"{len(decoded) / RATE:.2f} s"
    )
    print(
        f"   loudest sample after 10 s: soundfile {np.abs(heard[RATE * 10 :]).max(initial=0):.2f}, PyAV "
        f"{np.abs(decoded[RATE * 10 :]).max():.2f}"
    )
expect(abs(lengths["with"][0] - 20) < 0.1, "with the table soundfile reads 20 s")
expect(lengths["without"][0] < 10, "without it soundfile.read returns less than half of the sound and raises nothing")
expect(abs(lengths["without"][1] - 20) < 0.1, "PyAV decodes 20 s of the same file")
PYTHON
