"""Reading VPO samples as at test time: ours beside a plain transcription of the published way, in one run.

A sample is a JPEG and a mask PNG of 480 x 640 and two sounds of 10 s at 16 kHz, of which the middle three seconds are
panned and mixed. The plain way: Pillow, the whole WAV to floats, renumbering in place one id after the other, torch
operations; it also normalises the picture, which ours leaves to the model. The floor is decoding the two pictures. One
process, one thread, files in the cache; the fastest of some rounds, by the time spent on the core. Prints JSON.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from harness import options_of, parser, spent, tell
from PIL import Image, ImageFilter
from scipy.io import wavfile
from torch import Tensor

from avseg.data import build_dataset
from avseg.datasets import data_config
from avseg.datasets.vpo.classes import vpo_classes, vpo_mask_ids

SIZE = (480, 640)
MEAN, DEVIATION = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
HEADER = "img_Id,ann_Ids,cateId,cateName,vgg_file,split,audio_pos"


def write_samples(root: Path, count: int, rate: int) -> None:
    """VPO-MS with two sources a sample: pictures with detail and some noise, masks of two blobs."""
    rng = np.random.default_rng(0)
    folder, sounds = root / "VPO/VPO-MS", root / "vggsound_bench/VGGSound/audios"
    for place in (folder / "data", folder / "mask", sounds):
        place.mkdir(parents=True)
    (height, width), rows = SIZE, []
    y, x = np.mgrid[:height, :width]
    for image in range(1, count + 1):
        coarse = Image.fromarray(rng.integers(0, 256, (height // 16, width // 16, 3), dtype=np.uint8))
        smooth = coarse.resize((width, height), Image.Resampling.BICUBIC).filter(ImageFilter.DETAIL)
        picture = (np.asarray(smooth) + rng.normal(0, 4, (height, width, 3))).clip(0, 255).astype(np.uint8)
        Image.fromarray(picture).save(folder / f"data/{image:012d}.jpg", quality=90)
        mask = np.zeros((height, width), np.uint8)
        for source, class_id in enumerate(rng.choice(np.arange(1, 22), 2, replace=False)):
            centre = (source + rng.uniform(0.3, 0.7)) / 2
            radius = rng.uniform(0.1, 0.3) * height * (1 + 0.2 * np.sin(5 * np.arctan2(y - 240, x - centre * width)))
            mask[np.hypot(y - 240, x - centre * width) < radius] = vpo_mask_ids()[class_id]
            sound = f"clip{image:03d}_{source:06d}"
            wavfile.write(sounds / f"{sound}.wav", rate, rng.integers(-9000, 9000, 10 * rate, dtype=np.int16))
            value, name = vpo_mask_ids()[class_id], vpo_classes()[class_id]
            rows.append(f"{image},{10 * image + source},{value},{name},{sound},test,{centre:.4f}")
        Image.fromarray(mask).save(folder / f"mask/{image:012d}.png")
    (folder / "vpo_ms_data_stereo.csv").write_text("\n".join([HEADER, *rows]) + "\n")


def plain_way(sample: Any, remap: dict[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """Normalised picture (3, H, W), labels (H, W) int64 and stereo sound (2, 48000)."""
    picture = torch.from_numpy(np.array(Image.open(sample.image).convert("RGB"))).permute(2, 0, 1).float() / 255
    picture = (picture - MEAN[:, None, None]) / DEVIATION[:, None, None]
    labels = np.array(Image.open(sample.mask))
    for value in np.unique(labels):
        if value:
            labels[labels == value] = remap[int(value)]
    heard = []
    for source in sample.sources:
        rate, samples = wavfile.read(source.sound)
        wave = torch.from_numpy(samples.astype(np.float64) / 32768).float()
        assert rate == 16000
        start = len(wave) // 2 - 24000
        wave = wave[start : start + 48000]
        heard.append(torch.stack([(1 - source.position) * wave, source.position * wave]))
    return picture, torch.from_numpy(labels).long(), torch.stack(heard).sum(0)


def decode_only(sample: Any) -> None:
    for path in (sample.image, sample.mask):
        with Image.open(path) as image:
            image.load()


def per_second(run: Callable[[int], Any], count: int, repeats: int) -> float:
    """Samples a second of one core in the fastest of `repeats` rounds."""
    took = spent(lambda: [run(index) for index in range(count)], repeats, warm=True)
    return round(count / took.cpu, 1)


def measure(count: int, repeats: int) -> dict[str, Any]:
    """Rates of both ways, mono and stereo, and whether they agree."""
    remap = dict(zip(vpo_mask_ids(), range(len(vpo_mask_ids())), strict=True))
    with tempfile.TemporaryDirectory() as name:
        write_samples(Path(name), count, 16000)
        stereo, mono = (
            build_dataset(data_config("vpo_ms", root=Path(name), stereo=stereo), "test") for stereo in (True, False)
        )
        samples = stereo.samples  # type: ignore[attr-defined]
        same_labels, sound_difference, picture_difference = True, 0.0, 0.0
        for index, sample in enumerate(samples):
            (picture, labels, sound), clip = plain_way(sample, remap), stereo[index]
            both = {3, 5} <= {vpo_mask_ids()[source.class_id] for source in sample.sources}
            same_labels &= both or bool((clip.target.labels[0] == labels).all())  # type: ignore[union-attr]
            sound_difference = max(sound_difference, float((clip.audio - sound).abs().max()))
            ours = (clip.frames[0] / 255 - MEAN[:, None, None]) / DEVIATION[:, None, None]
            picture_difference = max(picture_difference, float((ours - picture).abs().max()))
        rates = {
            "plain": per_second(lambda i: plain_way(samples[i], remap), count, repeats),
            "ours_stereo": per_second(lambda i: stereo[i], count, repeats),
            "ours_mono": per_second(lambda i: mono[i], count, repeats),
            "floor_decoding": per_second(lambda i: decode_only(samples[i]), count, repeats),
        }
    return {
        "picture": SIZE,
        "sources": 2,
        "samples_per_second_per_core": rates,
        "ratio_to_plain": round(rates["ours_stereo"] / rates["plain"], 2),
        "same_labels": same_labels,
        "sound_max_difference": sound_difference,
        "frames_max_difference": picture_difference,
    }


def main() -> None:
    shared = parser(__doc__, threads=1)
    shared.add_argument("--samples", type=int, default=24)
    shared.add_argument("--repeats", type=int, default=7)
    options = options_of(shared)
    tell(measure(options.samples, options.repeats), options.out)


if __name__ == "__main__":
    main()
