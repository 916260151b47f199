#!/usr/bin/env bash
# Two recordings joined byte by byte, which transport streams are made for: FFmpeg states the length of one of
# them, stamps go back in the middle, and copying packets with PyAV fails there.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import sys
from fractions import Fraction
from importlib.metadata import version

import av
import numpy as np

for package in ["av", "numpy"]:
    print(package, version(package))


def expect(holds, sentence):
    print(("still so: " if holds else "NO LONGER SO: ") + sentence)
    if not holds:
        sys.exit(1)


with av.open("one.ts", "w") as out:
    stream = out.add_stream("mpeg2video", rate=25)
    stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
    for number in range(75):
        noise = np.random.default_rng(number).integers(0, 255, (64, 96, 3), dtype=np.uint8)
        frame = av.VideoFrame.from_ndarray(noise, format="rgb24")
        frame.pts, frame.time_base = number, Fraction(1, 25)
        out.mux(stream.encode(frame))
    out.mux(stream.encode(None))
with open("one.ts", "rb") as one, open("two.ts", "wb") as two:
    two.write(one.read() * 2)


def look(path):
    with av.open(path) as container:
        return container.duration / 1e6, [frame.time for frame in container.decode(video=0)]


(length, times), (joined, all_times) = look("one.ts"), look("two.ts")
back = int(np.argmin(np.diff(all_times)))
print(f"one recording: {length:.2f} s stated, {len(times)} pictures")
print(
    f"joined: {joined:.2f} s stated, {len(all_times)} pictures; picture {back} is shown at {all_times[back]:.2f} s, "
    f"the next at {all_times[back + 1]:.2f} s"
)
expect(len(all_times) == 2 * len(times), "all pictures of both recordings are decoded")
expect(abs(joined - length) < 0.1, "the stated length of the joined file is that of one recording")
expect(all_times[back + 1] - all_times[back] < -2, "the times of its pictures go back at the joint")
copied, error = 0, None
with av.open("two.ts") as source, av.open("copy.mkv", "w") as out:
    stream = out.add_stream_from_template(source.streams.video[0])
    try:
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
                copied += 1
    except av.error.FFmpegError as caught:
        error = caught
print("copied", copied, "packets, then", repr(error))
expect(copied == len(times) and error is not None, "copying packet by packet raises an error at the joint")
PYTHON
