"""Files of the synthetic world, read back by the real readers."""

from __future__ import annotations

import csv
import json
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch

from avseg.data import build_dataset
from avseg.datasets import data_config
from avseg.datasets.avss.layout import class_codes
from avseg.datasets.folders import write
from avseg.synth.world import SPLITS, make_clip
from avseg.synth.writers import VIDEO_FPS


def digests(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    base = tmp_path_factory.mktemp("synth")
    for kind in ("s4", "ms3", "avss"):
        write(kind, base / kind, 9, 4, workers=1, size=64, video=kind == "s4")
    return {kind: base / kind for kind in ("s4", "ms3", "avss")}


@pytest.mark.parametrize("kind", ["s4", "ms3"])
@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_object_layouts_read_back_as_the_world(roots: dict[str, Path], kind: str, split: str) -> None:
    dataset = build_dataset(data_config(kind), split, roots[kind])
    assert len(dataset) == {"train": 7, "val": 1, "test": 1}[split]
    for i in range(len(dataset)):
        clip = dataset[i]
        world = make_clip(4, SPLITS[split] + i, size=64, sources=1 if kind == "s4" else None)
        assert clip.id == world.id
        np.testing.assert_array_equal(clip.frames.permute(0, 2, 3, 1), world.frames)
        labels = torch.from_numpy(world.labels > 0).long()
        assert clip.target.labels[clip.target.annotated].equal(labels[clip.target.annotated])
        assert clip.target.annotated.sum() == (1 if (kind, split) == ("s4", "train") else 5)
        np.testing.assert_allclose(clip.audio, world.audio, atol=1 / 32768)


def test_log_mel_pickles_are_those_of_the_stored_sound(roots: dict[str, Path]) -> None:
    from avseg.nn.mel import log_mel_examples

    stored = build_dataset(data_config("ms3", audio="log_mel"), "val", roots["ms3"])[0].audio_features
    sound = build_dataset(data_config("ms3"), "val", roots["ms3"])[0].audio
    assert stored is not None and stored.shape == (5, 1, 96, 64)
    torch.testing.assert_close(stored, log_mel_examples(sound), rtol=0, atol=1e-5)
    assert float(stored.max()) > 0 > float(stored.min()) >= float(np.log(0.01)) - 1e-4


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_avss_reads_back_with_its_own_class_ids(roots: dict[str, Path], split: str) -> None:
    dataset = build_dataset(data_config("avss"), split, roots["avss"])
    parts = ("v1s", "v2", "v1m")
    for i in range(len(dataset)):
        part = parts[i % 3]
        frames = 10 if part == "v2" else 5
        world = make_clip(4, SPLITS[split] + i, size=64, frames=frames, sources=1 if part == "v1s" else None)
        clip = dataset[i]
        assert clip.frames.shape == (frames, 3, 64, 64)
        assert np.abs(clip.frames.permute(0, 2, 3, 1).numpy().astype(int) - world.frames).mean() < 6  # JPEG
        annotated = clip.target.annotated
        labels = torch.from_numpy(class_codes()[world.labels]).long()
        assert clip.target.labels[annotated].equal(labels[annotated])


def test_avss_tables(roots: dict[str, Path]) -> None:
    numbers = json.loads((roots["avss"] / "label2idx.json").read_text(encoding="utf-8"))
    assert list(numbers.values()) == list(range(1, 72)) and numbers["background"] == 1 and numbers["woman"] == 71
    with (roots["avss"] / "metadata.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["label"] for row in rows} == {"v1s", "v1m", "v2"}
    assert all(name in numbers for row in rows for name in row["a_obj"].split("_"))
    assert len(list((roots["avss"] / "v1s").glob("*/labels_rgb/*.png"))) == 3 + 5 + 5


def test_category_is_the_class_that_sounds(roots: dict[str, Path]) -> None:
    truth = {clip["id"]: clip for clip in json.loads((roots["s4"] / "truth.json").read_text())["clips"]}
    with (roots["s4"] / "s4_meta_data.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(truth) == 9
    for row in rows:
        loud = [body for body in truth[row["name"]]["bodies"] if any(body["sounding"])]
        assert [body["class"] for body in loud] == [row["category"]]
        assert len(loud[0]["positions"]) == 5 and loud[0]["intervals"]


def test_raw_videos_hold_the_same_picture_and_sound(roots: dict[str, Path]) -> None:
    from avseg.io.video import iter_frames, read_audio

    video = next((roots["s4"] / "s4_data" / "raw_videos" / "val").glob("*/*.mp4"))
    world = make_clip(4, SPLITS["val"], size=64, sources=1)
    frames = [frame for _, frame in iter_frames(video)]
    assert len(frames) == 5 * VIDEO_FPS
    assert np.abs(np.stack(frames[15::16]).astype(int) - world.frames).mean() < 8
    found = read_audio(video, sample_rate=16000)
    assert found is not None
    sound = found[0][0].numpy()
    length = min(len(sound), world.audio.shape[1])
    lags = np.fft.irfft(np.fft.rfft(sound[:length]) * np.conj(np.fft.rfft(world.audio[0, :length])))
    assert lags.max() > 0.8 * np.linalg.norm(sound[:length]) * np.linalg.norm(world.audio[0, :length])


def test_workers_change_no_byte(tmp_path: Path) -> None:
    for workers in (1, 2):
        write("ms3", tmp_path / str(workers), 3, 8, workers=workers, size=32, video=True)
    one, two = digests(tmp_path / "1"), digests(tmp_path / "2")
    assert one == two and len(one) == 3 * (5 + 5 + 1 + 1 + 1) + 2


def test_summary_and_mistakes(tmp_path: Path) -> None:
    summary = write("s4", tmp_path, 4, 0, workers=1, size=(24, 40), difficulty="easy")
    assert summary.counts == {"train": 2, "val": 1, "test": 1} and "4 clips (2 train" in str(summary)
    assert build_dataset(data_config("s4"), "test", tmp_path)[0].frames.shape == (5, 3, 24, 40)
    with pytest.raises(ValueError, match="did you mean 'ms3'"):
        write("ms", tmp_path, 4, 0)
    with pytest.raises(ValueError, match="at least 3"):
        write("s4", tmp_path, 2, 0)
    with pytest.raises(ValueError, match="unknown difficulty"):
        write("s4", tmp_path, 4, 0, difficulty="harder")
