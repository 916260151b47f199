"""Folders of the data sets, written by hand so that the readers are judged without the library's own writers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import wavfile

from avseg.datasets.avss.classes import avss_classes, avss_palette
from avseg.io.pickles import write_tensor

SIZE = (24, 32)


class Writer:
    """Random pictures, masks and sounds; remembers the truth by path."""

    def __init__(self, root: Path) -> None:
        self.root, self.random, self.truth = root, np.random.default_rng(0), {}

    def picture(self, name: str, size: tuple[int, int] = SIZE) -> None:
        self.save(name, self.random.integers(0, 256, (*size, 3), dtype=np.uint8))

    def mask(self, name: str, size: tuple[int, int] = SIZE, mode: str = "L") -> None:
        values = self.random.integers(0, 2, size, dtype=np.uint8)
        self.save(name, values * np.uint8(255))
        self.truth[name] = values
        if mode != "L":
            Image.open(self.root / name).convert(mode).save(self.root / name)

    def labels(self, name: str, size: tuple[int, int] = SIZE, highest: int = 70) -> None:
        values = self.random.integers(0, highest + 1, size, dtype=np.uint8)
        self.save(name, np.array(avss_palette(), np.uint8)[values])
        self.truth[name] = values

    def sound(self, name: str, seconds: float = 5, channels: int = 1, rate: int = 16000) -> None:
        shape = (int(seconds * rate), channels)
        self.truth[name] = self.random.integers(-9000, 9000, shape, dtype=np.int16)
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        wavfile.write(self.root / name, rate, self.truth[name])

    def save(self, name: str, values: Any) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(values).save(path, quality=95)

    def log_mel(self, name: str) -> None:
        self.truth[name] = torch.randn(5, 1, 96, 64)
        write_tensor(self.root / name, self.truth[name])


S4_ROWS = (
    ("aa_1", "3", "dog_barking", "train"),
    ("bb_2", "0", "helicopter", "val"),
    ("cc_3", "0", "dog_barking", "test"),
    ("dd_4", "1", "race_car", "train"),
)


@pytest.fixture
def s4(tmp_path: Path) -> Writer:
    writer = Writer(tmp_path)
    lines = ["name,start,category,split", *(",".join(row) for row in S4_ROWS)]
    (tmp_path / "s4_meta_data.csv").write_text("\n".join(lines) + "\n")
    for name, _, category, split in S4_ROWS:
        place = f"{split}/{category}/{name}"
        for k in range(1, 6):
            writer.picture(f"s4_data/visual_frames/{place}/{name}_{k}.png")
        for k in range(1, 2 if split == "train" else 6):
            writer.mask(f"s4_data/gt_masks/{place}/{name}_{k}.png")
        writer.sound(f"s4_data/audio_wav/{place}.wav", channels=2)
        writer.log_mel(f"s4_data/audio_log_mel/{place}.pkl")
    return writer


MS3_ROWS = (("x1", "train"), ("y2", "val"), ("z3", "test"))


@pytest.fixture
def ms3(tmp_path: Path) -> Writer:
    writer = Writer(tmp_path)
    (tmp_path / "ms3_meta_data.csv").write_text("video_id,split\n" + "".join(f"{n},{s}\n" for n, s in MS3_ROWS))
    for name, split in MS3_ROWS:
        for k in range(1, 6):
            writer.picture(f"ms3_data/visual_frames/{name}/{name}.mp4_{k}.png")
            writer.mask(f"ms3_data/gt_masks/{split}/{name}/{name}_{k}.png")
        writer.sound(f"ms3_data/audio_wav/{split}/{name}.wav")
        writer.log_mel(f"ms3_data/audio_log_mel/{split}/{name}.pkl")
    return writer


AVSS_ROWS = (
    ("u1", "v1s", "train"),
    ("u2", "v1s", "test"),
    ("u3", "v1m", "train"),
    ("u4", "v2", "train"),
    ("u5", "v2", "test"),
    ("u6", "v1m", "val"),
)


@pytest.fixture
def avss(tmp_path: Path) -> Writer:
    writer = Writer(tmp_path)
    rows = "".join(f"3,{uid},man,{label},{split}\n" for uid, label, split in AVSS_ROWS)
    (tmp_path / "metadata.csv").write_text("vid,uid,a_obj,label,split\n" + rows)
    numbers = {name: number for number, name in enumerate(avss_classes(), start=1)}
    (tmp_path / "label2idx.json").write_text(json.dumps(numbers))
    for uid, label, split in AVSS_ROWS:
        frames = 10 if label == "v2" else 5
        for k in range(frames):
            writer.picture(f"{label}/{uid}/frames/{k}.jpg")
        for k in range(1 if (label, split) == ("v1s", "train") else frames):
            writer.labels(f"{label}/{uid}/labels_rgb/{k}.png")
        writer.sound(f"{label}/{uid}/audio.wav", frames)
    return writer


# folder, image, annotation, class, mask id, sound, split, position, multi_instance
VPO_ROWS = (
    ("SS", 7, 71, "car", 3, "c_000010", "train", 0.25, ""),
    ("SS", 7, 72, "dog", 18, "d_000000", "train", 0.9, ""),
    ("SS", 8, 81, "cell phone", 77, "p_000030", "val", 0.5, ""),
    ("SS", 9, 91, "male", 92, "m_000000", "test", 0.0, ""),
    ("MS", 5, 51, "car", 3, "c_000010", "train", 0.2, ""),
    ("MS", 6, 61, "dog", 18, "d_000000", "train", 0.1, ""),
    ("MS", 5, 52, "airplane", 5, "a_000000", "train", 0.8, ""),
    ("MS", 3, 31, "baby", 94, "b_000000", "val", 0.4, ""),
    ("MS", 4, 41, "zebra", 24, "z_000000", "test", 0.4, ""),
    ("MSMI", 5, 51, "car", 3, "c_000010", "train", 0.2, "0"),
    ("MSMI", 2, 21, "dog", 18, "d_000000", "train", 0.1, "1"),
    ("MSMI", 5, 52, "airplane", 5, "a_000000", "train", 0.8, "0"),
    ("MSMI", 2, 22, "dog", 18, "d_000000", "train", 0.9, "1"),
    ("MSMI", 4, 41, "zebra", 24, "z_000000", "test", 0.4, "0"),
    ("MSMI", 1, 11, "bus", 6, "u_000000", "val", 0.3, "1"),
)


class VPOWriter(Writer):
    """The three folders of VPO and the sounds beside them; each mask shows one rectangle an object."""

    sounds = "vggsound_bench/VGGSound/audios"

    def table(self, subset: str, old: str = "", new: str = "") -> None:
        """The table of SS, MS or MSMI, with some text of it replaced."""
        header = "img_Id,ann_Ids,cateId,cateName,vgg_file,split,audio_pos,multi_instance"
        rows = [
            f"{image},{annotation},{value},{name},{sound},{split},{position},{multiple}"
            for folder, image, annotation, name, value, sound, split, position, multiple in VPO_ROWS
            if folder == subset
        ]
        if subset != "MSMI":
            header, rows = header.removesuffix(",multi_instance"), [row.removesuffix(",") for row in rows]
        text = "\n".join([header, *rows]) + "\n"
        assert not old or old in text
        path = self.root / f"VPO/VPO-{subset}/vpo_{subset.lower()}_data_stereo.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace(old, new) if old else text)


@pytest.fixture
def vpo(tmp_path: Path) -> VPOWriter:
    writer = VPOWriter(tmp_path)
    masks: dict[str, Any] = {}
    for subset in ("SS", "MS", "MSMI"):
        writer.table(subset)
    for subset, image, annotation, name, value, sound, _, _, multiple in VPO_ROWS:
        folder = f"VPO/VPO-{'MS' if multiple == '0' else subset}"
        data, mask = f"{folder}/data/{image:012d}.jpg", f"{folder}/mask/{image:012d}.png"
        if subset == "SS":
            data = f"{folder}/data/{name}/{image:012d}.jpg"
            mask = f"{folder}/mask/{name}/{image:012d}_{annotation:012d}.png"
        if not (tmp_path / data).is_file():
            writer.picture(data)
        values = masks.setdefault(mask, np.zeros(SIZE, np.uint8))
        place = annotation % 10
        values[4:12, 8 * place : 8 * place + 6] = value
        writer.save(mask, values)
        writer.truth[mask] = values
        if sound not in writer.truth:
            writer.sound(f"{writer.sounds}/{sound}.wav", 10)
            writer.truth[sound] = writer.truth[f"{writer.sounds}/{sound}.wav"]
    return writer


SINGLE_ROWS = (
    ("s_1", "male_speech,background", "train"),
    ("s_2", "dog_barking", "train"),
    ("s_3", "background,helicopter", "val"),
    ("s_4", "race_car,background", "test"),
)


@pytest.fixture
def single(tmp_path: Path) -> Writer:
    writer = Writer(tmp_path)
    rows = "".join(f'{name},"{category}",{split}\n' for name, category, split in SINGLE_ROWS)
    (tmp_path / "data.csv").write_text("name,category,split\n" + rows)
    for name, *_ in SINGLE_ROWS:
        writer.picture(f"frames/{name}.png")
        values = writer.random.integers(0, 24, SIZE, dtype=np.uint8)
        writer.save(f"labels/{name}.png", values)
        writer.truth[name] = values
        writer.save(f"salient_labels/{name}.png", (values > 11) * np.uint8(255))
        writer.sound(f"audios/{name}.wav", 1, channels=2)
    return writer
