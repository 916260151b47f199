"""Peak memory of AVISM on long videos, beside the published way, each in a fresh process, importing included.

    python benchmarks/long_video.py                          120 and 480 frames of 720p, and 60 the published way
    python benchmarks/long_video.py --frames 120             the first alone
    python benchmarks/long_video.py --frames 120 480 --size 360 640 --side 180 --published 0     smaller and quicker

The whole way of `avseg predict` is gone: film to pictures and sound, ResNet-50 network and VGGish at full size with
random weights, tracks, label maps, tracks.json and the overlay. Of the hundred candidates exactly ten are kept: their
class logits are set by hand, all else is computed. The published way holds the mask features of all frames, draws all
hundred candidates at the video's size as dense masks, and then drops ninety.
"""

from __future__ import annotations

import json
import tempfile
import time
from argparse import SUPPRESS, BooleanOptionalAction, Namespace
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from harness import in_own_process, options_of, parser, peak_mib, tell
from numpy.typing import NDArray
from torch.nn import functional as F

from avseg.inference import Segmenter, predict_folder
from avseg.inference.source import clips_of
from avseg.io.media import probe
from avseg.io.video import write_video
from avseg.models import build_model
from avseg.models.avism.config import AVISMConfig
from avseg.models.avism.model import AVISM
from avseg.models.avism.video import Watched
from avseg.types import Batch, Task

KEPT = 10
CLASSES = 26
RATE = 16000
LIMIT_GIB = 4.5
"""Of 120 frames of 720p."""


def film(path: Path, seconds: int, size: tuple[int, int]) -> Path:
    """One picture a second of textured things that move over a texture, with stereo sound."""
    rng = np.random.default_rng(0)
    height, width = size
    ground = np.kron(rng.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8), np.ones((8, 8, 1), np.uint8))
    thing = rng.integers(100, 256, (height // 4, height // 4, 3), dtype=np.uint8)

    def pictures() -> Iterator[NDArray[np.uint8]]:
        for second in range(seconds):
            picture = np.roll(ground, 5 * second, axis=1)
            for k in range(3):
                top = (k + 1) * height // 6
                left = (97 * k + 31 * second) % (width - thing.shape[1])
                picture[top : top + thing.shape[0], left : left + thing.shape[1]] = thing
            yield picture

    at = np.arange(seconds * RATE) / RATE
    sound = (0.4 * np.sin(2 * np.pi * 440 * at) * (np.sin(at) > 0)).astype(np.float32)
    return write_video(path, pictures(), 1, np.stack([sound, sound / 2]), RATE)


def big_model(side: int, peaks: dict[str, float]) -> AVISM:
    """ResNet-50 and VGGish with random weights; notes the peaks when all frames have been looked at, and watched."""
    torch.manual_seed(0)
    names = tuple(f"class{k}" for k in range(1, CLASSES + 1))
    config = AVISMConfig(audio_network="vggish")
    config = replace(config, input=replace(config.input, size=(side, side)))
    model = build_model(config, Task("instance", names)).eval()
    assert isinstance(model, AVISM)
    watch = model.network.watch

    def forced(queries: torch.Tensor, audio: torch.Tensor) -> Watched:
        """Ten queries sure of a class, the others sure of none."""
        peaks["frames looked at"] = peak_mib()
        watched: Watched = watch(queries, audio)
        last = watched.predictions[-1]
        logits = torch.zeros_like(last.class_logits)
        for query in range(logits.shape[-2]):
            logits[..., query, query % CLASSES if query < KEPT else CLASSES] = 6.0
        peaks["clip watched"] = peak_mib()
        return replace(watched, predictions=[replace(last, class_logits=logits)])

    model.network.watch = forced  # type: ignore[method-assign]
    return model


def ours(video: Path, side: int, out: Path, overlay: bool) -> dict[str, Any]:
    """As `avseg predict` goes."""
    peaks: dict[str, float] = {}
    segmenter = Segmenter(big_model(side, peaks), fps=1, device="cpu")
    peaks["model"] = peak_mib()
    begin = time.perf_counter()
    report = predict_folder(segmenter, [video], out, overlay=overlay)
    assert not report.failed, report
    seconds = time.perf_counter() - begin
    folder = report.done[video]
    told = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    assert len(told["sounding"]) == KEPT, [one["class"] for one in told["sounding"]]
    found = {
        "tracks": len(told["sounding"]),
        "tracks_json_mib": round((folder / "tracks.json").stat().st_size / 2**20, 2),
        "share_of_picture": _share(told),
    }
    return {"seconds": round(seconds, 1), **found, "peaks_mib": {**peaks, "all": peak_mib()}}


def _share(told: dict[str, Any]) -> float:
    """Mean share of the picture that a mask covers."""
    areas = [found["area"] for frame in told["frames"] for found in frame["objects"]]
    return round(float(np.mean(areas)) / (told["video"]["width"] * told["video"]["height"]), 3)


@torch.inference_mode()
def published(video: Path, side: int) -> dict[str, Any]:
    """All features in memory, all candidates dense at the video's size, then the cut."""
    peaks: dict[str, float] = {}
    model = big_model(side, peaks)
    peaks["model"] = peak_mib()
    begin = time.perf_counter()
    info = probe(video)
    (clip,) = clips_of(info, model.config, Segmenter(model, fps=1, device="cpu").plan, span=None)
    queries, sounds, maps = [], [], []
    for first in range(0, len(clip.frames), 18):
        part = Batch.collate([clip.take(range(first, min(first + 18, len(clip.frames))))])
        heard = model.features(part)[0]
        images = model.normalised(part)[0]
        seen = model.network.look(images, heard)
        queries.append(seen.queries)
        sounds.append(heard)
        maps.append(seen.clip_features)
    last = model.network.watch(torch.cat(queries, 1)[:, None], torch.cat(sounds)[None]).predictions[-1]
    best, index = last.class_logits[-1, 0].softmax(-1)[:, :-1].flatten().topk(100, sorted=False)
    embeddings = last.mask_embeddings[-1, 0][index // CLASSES]
    inside, pixels = torch.zeros(100), torch.zeros(100)
    masks = torch.zeros(100, len(clip.frames), info.height, info.width, dtype=torch.bool)
    height, width = clip.frames.shape[-2:]
    for piece, part in zip(masks.split(5, 1), torch.cat(maps).split(5), strict=True):
        for number, embedding in enumerate(embeddings):
            logits = torch.einsum("c,tchw->thw", embedding, part)[None]
            logits = F.interpolate(logits, images.shape[-2:], mode="bilinear", align_corners=False)[
                ..., :height, :width
            ]
            soft = logits.sigmoid()
            hard = (soft > 0.5).float()
            inside[number] += (soft * hard).sum()
            pixels[number] += hard.sum()
            full = F.interpolate(logits, (info.height, info.width), mode="bilinear", align_corners=False)
            piece[number] = full[0] > 0
    scores = best * inside / (pixels + 1e-6)
    kept = masks[scores > 0.3]
    seconds = time.perf_counter() - begin
    return {"seconds": round(seconds, 1), "tracks": len(kept), "peaks_mib": {**peaks, "all": peak_mib()}}


def fresh(arguments: Namespace, folder: Path, frames: int, way: str) -> dict[str, Any]:
    """What a process of its own says of a film of `frames` seconds."""
    video = folder / f"{frames}.mp4"
    if not video.exists():
        film(video, frames, tuple(arguments.size))
    words = ["--one", str(video), "--way", way, "--threads", str(arguments.threads), "--side", str(arguments.side)]
    words += [] if arguments.overlay else ["--no-overlay"]
    return {"frames": frames, **in_own_process(__file__, words)}


def main() -> None:
    shared = parser(__doc__, threads=2)
    shared.add_argument("--frames", type=int, nargs="*", default=[120, 480], help="lengths, ours")
    shared.add_argument("--published", type=int, default=60, help="length, the published way; 0: not at all")
    shared.add_argument("--size", type=int, nargs=2, default=[720, 1280], help="height and width of the video")
    shared.add_argument("--side", type=int, default=360, help="shorter side of the pictures that the network sees")
    shared.add_argument("--overlay", action=BooleanOptionalAction, default=True)
    shared.add_argument("--one", type=Path, help=SUPPRESS)
    shared.add_argument("--way", choices=["ours", "published"], help=SUPPRESS)
    arguments = options_of(shared)
    if arguments.one:
        with tempfile.TemporaryDirectory() as name:
            if arguments.way == "ours":
                said = ours(arguments.one, arguments.side, Path(name), arguments.overlay)
            else:
                said = published(arguments.one, arguments.side)
        print(json.dumps(said))
        return
    result: dict[str, Any] = {
        "benchmark": "long_video",
        **{k: getattr(arguments, k) for k in ("size", "side", "threads")},
    }
    with tempfile.TemporaryDirectory() as name:
        result["ours"] = [fresh(arguments, Path(name), frames, "ours") for frames in arguments.frames]
        if arguments.published:
            result["published"] = fresh(arguments, Path(name), arguments.published, "published")
    peaks = [said["peaks_mib"]["all"] for said in result["ours"]]
    if len(peaks) > 1:
        result["mib_more_per_frame"] = round((peaks[-1] - peaks[0]) / (arguments.frames[-1] - arguments.frames[0]), 3)
    if peaks:
        result["first_within_limit"] = peaks[0] < LIMIT_GIB * 1024
    tell(result, arguments.out)


if __name__ == "__main__":
    main()
