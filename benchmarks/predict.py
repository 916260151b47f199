"""Frames per second from a video file to masks and overlay, where the time goes, and the peak memory by length.

    python benchmarks/predict.py --model FILE                 speed on a minute of 640x360
    python benchmarks/predict.py --model FILE --memory        peak memory of 3 and of 30 minutes

Without --model a small TPAVI of random weights runs; its speed is that of the shipped demo model's kind.
The floors stand beside: decoding and encoding alone, and the network alone on as many pictures.
"""

from __future__ import annotations

import tempfile
from argparse import SUPPRESS
from pathlib import Path
from typing import Any

import numpy as np
import torch
from harness import in_own_process, options_of, parser, peak_mib, spent, tell

from avseg.inference import Segmenter, predict_folder
from avseg.inference.source import clips_of
from avseg.io.files import write_aside
from avseg.io.media import open_media, probe
from avseg.io.video import VideoWriter, iter_frames, write_video
from avseg.types import Batch, Task

SEGMENT = 10
"""s of video that are made and then repeated."""


def segment(path: Path, width: int, height: int, fps: int) -> Path:
    """Textured squares that move over a textured ground, with a tone that comes and goes."""
    rng = np.random.default_rng(0)
    ground = rng.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    ground = np.kron(ground, np.ones((8, 8, 1), np.uint8))[:height, :width]
    square = rng.integers(0, 256, (height // 3, height // 3, 3), dtype=np.uint8) // 4 + 160
    pictures = []
    for i in range(SEGMENT * fps):
        picture = np.roll(ground, i, axis=1)
        left = round((width - square.shape[1]) * (0.5 + 0.5 * np.sin(i / fps)))
        picture[height // 3 : height // 3 + square.shape[0], left : left + square.shape[1]] = square
        pictures.append(picture)
    at = np.arange(SEGMENT * 44100) / 44100
    sound = (0.4 * np.sin(2 * np.pi * 440 * at) * (np.sin(at) > 0)).astype(np.float32)
    return write_video(path, pictures, fps, np.stack([sound, sound / 2]), 44100)


def repeated(source: Path, path: Path, seconds: int) -> Path:
    """`source` over and over by copying its packets, `seconds` long."""
    import av

    with write_aside(path) as aside, av.open(str(aside), "w") as out:
        copies, rounds = {}, max(1, round(seconds / SEGMENT))
        for number in range(rounds):
            with open_media(source) as media:
                copies = copies or {s.index: out.add_stream_from_template(s) for s in media.container.streams}
                for packet in media.container.demux():
                    if packet.size and 0 <= packet.pts * packet.time_base < SEGMENT:
                        shift = round(number * SEGMENT / packet.time_base)
                        packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                        packet.stream = copies[packet.stream.index]
                        out.mux(packet)
    return path


def small_model() -> Segmenter:
    """A TPAVI of the demo's kind with random weights."""
    from avseg.config import InputSpec
    from avseg.models import build_model
    from avseg.models.tpavi.config import TPAVIConfig

    config = TPAVIConfig(
        input=InputSpec(size=(224, 224)),
        backbone="test_resnet",
        width=32,
        inner=16,
        head_widths=(32, 16),
        audio_network="small",
        audio_width=64,
    )
    torch.manual_seed(0)
    return Segmenter(build_model(config, Task("binary")), fps=5, device="cpu", name="small")


def speed(segmenter: Segmenter, video: Path, folder: Path) -> dict[str, object]:
    """Seconds of each part alone, and of the whole with and without the overlay."""
    info = probe(video)
    of_video = (info, segmenter.model.config, segmenter.plan, segmenter.plan.span(25))
    clips = list(clips_of(*of_video))
    pictures = [picture for _, picture in iter_frames(video)]
    frames = len(pictures)

    def encode() -> None:
        with VideoWriter(folder / "encoded.mp4", info.fps) as writer:
            for picture in pictures:
                writer.write(picture)

    def network() -> None:
        for clip in clips:
            for begin in range(0, len(clip.frames), 5):
                part = clip.take(range(begin, min(begin + 5, len(clip.frames))))
                segmenter.model.predict(Batch.collate([part]).to(segmenter.device))

    network()
    seconds = {
        "decode all frames to RGB (floor)": took(lambda: [None for _ in iter_frames(video)]),
        "encode all frames (floor)": took(encode),
        "network alone (floor)": took(network),
        "decode, size and cut the network's pictures": took(lambda: [None for _ in clips_of(*of_video)]),
        "masks in memory": took(lambda: [None for _ in segmenter.stream(video)]),
        "masks as PNG": took(lambda: predict_folder(segmenter, [video], folder / "a")),
        "masks as PNG and overlay": took(lambda: predict_folder(segmenter, [video], folder / "b", overlay=True)),
    }
    whole = seconds["masks as PNG and overlay"]
    floors = sum(value for name, value in seconds.items() if name.endswith("(floor)"))
    return {
        "video": f"{info.width}x{info.height}, {info.fps:g} fps, {info.duration:g} s",
        "masks_per_second_of_video": segmenter.fps,
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
        "video_frames_per_second": round(frames / whole, 1),
        "times_real_time": round(info.duration / whole, 2),
        "whole_over_sum_of_floors": round(whole / floors, 3),
    }


def took(work: Any) -> float:
    """s by the clock."""
    return spent(work).wall


def peak(model: str | None, video: Path, folder: Path, fps: float) -> dict[str, float]:
    """Peak memory in MiB and seconds of a fresh process that makes masks and overlay of `video`."""
    words = ["--one", str(video), "--folder", str(folder), "--fps", str(fps), *(["--model", model] if model else [])]
    run = spent(lambda: in_own_process(__file__, words))
    return {"peak_mib": run.result, "seconds": round(run.wall, 1)}


def main() -> None:
    shared = parser(__doc__, threads=2)
    shared.add_argument("--model", help="a model file; default: a small TPAVI of random weights")
    shared.add_argument("--fps", type=float, default=5.0, help="masks a second")
    shared.add_argument("--seconds", type=int, default=60, help="length of the video whose speed is taken")
    shared.add_argument("--memory", action="store_true", help="peak memory by length instead of speed")
    shared.add_argument("--minutes", type=float, nargs="+", default=[3, 30], help="lengths for --memory")
    shared.add_argument("--width", type=int, default=640)
    shared.add_argument("--height", type=int, default=360)
    shared.add_argument("--video-fps", type=int, default=25)
    shared.add_argument("--one", type=Path, help=SUPPRESS)
    shared.add_argument("--folder", type=Path, help=SUPPRESS)
    arguments = options_of(shared)

    def segmenter() -> Segmenter:
        if arguments.model is None:
            return small_model()
        return Segmenter.load(arguments.model, fps=arguments.fps, device="cpu")

    if arguments.one:
        report = predict_folder(segmenter(), [arguments.one], arguments.folder, overlay=True)
        assert not report.failed, report
        print(peak_mib())
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        part = segment(folder / "segment.mp4", arguments.width, arguments.height, arguments.video_fps)
        result: dict[str, object] = {"benchmark": "predict", "threads": arguments.threads, "model": arguments.model}
        if arguments.memory:
            result["memory"] = {
                f"{minutes:g} min": peak(
                    arguments.model,
                    repeated(part, folder / f"{minutes:g}.mp4", round(minutes * 60)),
                    folder / "out",
                    arguments.fps,
                )
                for minutes in arguments.minutes
            }
        else:
            video = repeated(part, folder / "video.mp4", arguments.seconds)
            result["speed"] = speed(segmenter(), video, folder)
        tell(result, arguments.out)


if __name__ == "__main__":
    main()
