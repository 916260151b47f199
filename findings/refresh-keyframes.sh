#!/usr/bin/env bash
# H.264 with intra refresh (x264, `intra-refresh=1`, as live streams have it): packets are marked as keyframes, in MP4
# and Matroska alike, at which no picture can be decoded; after a seek the pictures of most of a second are missing,
# and the one that is asked for is among them. Nothing is raised or logged.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import av
import numpy as np

print("av", av.__version__, "libavcodec", ".".join(map(str, av.library_versions["libavcodec"])))


def expect(holds, sentence):
    print(("still so: " if holds else "NO LONGER SO: ") + sentence)
    if not holds:
        sys.exit(1)


def write(path, params):
    ground = np.random.default_rng(0).integers(0, 255, (64, 640, 3), np.uint8)
    with av.open(path, "w") as out:
        stream = out.add_stream("libx264", rate=25, options={"x264-params": params})
        stream.width, stream.height, stream.pix_fmt = 640, 64, "yuv420p"
        stream.codec_context.max_b_frames = 0
        for number in range(100):
            frame = av.VideoFrame.from_ndarray(np.roll(ground, number, 1), format="rgb24")
            frame.pts = number
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def numbers(path, seek=None):
    """Which pictures come, and which packets are marked, by number; from the keyframe before `seek` s on."""
    with av.open(path) as held:
        stream = held.streams.video[0]
        first = round((stream.start_time or 0) * stream.time_base * 25)
        if seek is not None:
            held.seek(round(seek / stream.time_base) + (stream.start_time or 0), stream=stream)
        marked, shown = [], []
        for packet in held.demux(stream):
            if packet.size and packet.is_keyframe:
                marked.append(round(packet.pts * packet.time_base * 25) - first)
            shown += [round(frame.pts * frame.time_base * 25) - first for frame in packet.decode()]
    return marked, shown


for name in ("a.mp4", "a.mkv"):
    write(name, "keyint=20:intra-refresh=1")
    marked, shown = numbers(name)
    print(f"{name}: from the beginning {len(shown)} pictures; packets marked as keyframes: {marked}")
    expect(shown == list(range(100)) and marked[:3] == [0, 20, 40], "every 20th packet is marked")
    marked, shown = numbers(name, 2.0)
    print(f"{name}: after a seek to picture 50: first packet {marked[0]}, first picture {shown[0]}")
    expect(marked[0] <= 50 < shown[0], "after a seek picture 50 never comes")
write("b.mp4", "keyint=20")
marked, shown = numbers("b.mp4", 2.0)
print(f"b.mp4, without intra refresh: first packet {marked[0]}, first picture {shown[0]}")
expect(marked[0] == shown[0] <= 50, "keyframes of another file give a picture at once")
PYTHON
