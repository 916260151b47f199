"""Raw videos become the published layout: the right pictures, 16 kHz, whole files, and one bad clip stops nobody."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from avseg.data import build_dataset
from avseg.datasets import data_config
from avseg.datasets.avss.classes import avss_palette
from avseg.datasets.folders import prepare
from avseg.io.audio import read_wav
from avseg.io.image import write_png
from avseg.io.pickles import read_tensor
from avseg.io.video import write_video
from avseg.nn.mel import log_mel_examples
from avseg.prepare import clips
from avseg.prepare.frames import extract_frames, published_indices, stretch
from avseg.prepare.report import PrepareReport

FPS, HEIGHT, WIDTH = 16, 36, 64


def grey(number: int) -> int:
    return 16 + number


def write_clip(path: Path, seconds: float = 5, channels: int = 1, sound: bool = True) -> None:
    """A video whose frame n is all of grey(n), with a tone."""
    frames = (np.full((HEIGHT, WIDTH, 3), grey(n), np.uint8) for n in range(int(seconds * FPS)))
    time = torch.arange(int(seconds * 44100)) / 44100
    tone = (0.3 * torch.sin(2 * torch.pi * 500 * time)).expand(channels, -1)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_video(path, frames, FPS, tone if sound else None, 44100)


@pytest.fixture(scope="module")
def raw_ms3(tmp_path_factory: pytest.TempPathFactory) -> Path:
    raw: Path = tmp_path_factory.mktemp("raw")
    (raw / "ms3_meta_data.csv").write_text("name,split\na,train\nb,val\nc,test\n")
    for name, split, seconds in (("a", "train", 5), ("b", "val", 3.5), ("c", "test", 7)):
        write_clip(raw / f"ms3_data/raw_videos/{name}.mp4", seconds)
        for k in range(1, 6):
            mask = np.zeros((224, 224), np.uint8)
            mask[k:] = 255
            write_png(raw / f"ms3_data/gt_masks/{split}/{name}/{name}_{k}.png", mask)
    return raw


@pytest.fixture
def ms3(raw_ms3: Path, tmp_path: Path) -> Path:
    shutil.copytree(raw_ms3, tmp_path / "raw")
    return tmp_path / "raw"


@pytest.fixture(scope="module")
def made(raw_ms3: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PrepareReport]:
    out: Path = tmp_path_factory.mktemp("made")
    return out, prepare("ms3", raw_ms3, out, workers=1)


def tree(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def test_indices_are_the_last_of_sixteen_positions() -> None:
    assert published_indices(16, 3) == [15, 31, 47]
    assert published_indices(29.97, 2) == [28, 58]
    assert published_indices(25, 2) == [23, 48]


def test_a_short_video_repeats_its_last_frame(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mp4", 2.5)
    found = [int(frame.mean().round()) for frame in extract_frames(tmp_path / "a.mp4", 5)]
    wanted = [grey(n) for n in (15, 31, 39, 39, 39)]
    assert max(abs(a - b) for a, b in zip(found, wanted, strict=True)) <= 1


def test_stretch_is_bilinear_without_antialiasing() -> None:
    row = np.array([0, 10, 20, 30], np.uint8)
    picture = np.broadcast_to(row[None, :, None], (2, 4, 3)).copy()
    assert stretch(picture, (2, 2))[0, :, 0].tolist() == [5, 25]
    assert stretch(picture, (2, 8))[0, :, 0].tolist() == [0, 2, 8, 12, 18, 22, 28, 30]
    assert stretch(picture, (2, 4)) is picture


def test_ms3_becomes_readable(made: tuple[Path, PrepareReport]) -> None:
    out, report = made
    assert (report.done, report.skipped, report.failed, report.exit_code) == (3, 0, [], 0)
    for split, seconds in (("train", 5), ("val", 3.5), ("test", 7)):
        dataset = build_dataset(data_config("ms3", root=out), split)
        clip = dataset[0]
        assert clip.frames.shape == (5, 3, 224, 224)
        for k, frame in enumerate(clip.frames):
            assert frame.float().mean() == pytest.approx(grey(min(16 * k + 15, int(seconds * FPS) - 1)), abs=1)
        assert [int(label.sum()) for label in clip.target.labels] == [224 * (224 - k) for k in range(1, 6)]  # type: ignore[union-attr]
        assert clip.audio.shape[1] / 16000 == pytest.approx(seconds, abs=0.1)
        assert clip.audio[:, 8000:40000].square().mean().sqrt() == pytest.approx(0.3 / 2**0.5, rel=0.02)
    notes = dict(report.notes)
    assert notes.keys() == {"b", "c"}
    assert "3 log-mel windows of sound, 5 wanted" in notes["b"]


def test_log_mel_is_that_of_the_stored_sound_with_the_last_window_repeated(made: tuple[Path, PrepareReport]) -> None:
    data = made[0] / "ms3_data"
    windows = log_mel_examples(read_wav(data / "audio_wav/val/b.wav")[0][0])
    stored = read_tensor(data / "audio_log_mel/val/b.pkl")
    assert len(windows) == 3
    assert torch.equal(stored, windows[[0, 1, 2, 2, 2]])


def test_a_second_run_skips_and_a_stopped_one_goes_on(
    ms3: Path, made: tuple[Path, PrepareReport], tmp_path: Path, monkeypatch: Any
) -> None:
    out = tmp_path / "out"
    calls = []

    def interrupted(files: Any) -> str:
        calls.append(files)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(clips, "_write_log_mel", interrupted)
        with pytest.raises(KeyboardInterrupt):
            prepare("ms3", ms3, out, workers=1)
    assert len(calls) == 1
    assert not any(".part" in name for name in tree(out))
    assert prepare("ms3", ms3, out, workers=1).done == 3
    assert tree(out) == tree(made[0])
    again = prepare("ms3", ms3, out, workers=1)
    assert (again.done, again.skipped) == (0, 3)


def test_processes_give_the_same_bytes(ms3: Path, made: tuple[Path, PrepareReport], tmp_path: Path) -> None:
    prepare("ms3", ms3, tmp_path / "two", workers=2)
    assert tree(tmp_path / "two") == tree(made[0])


def test_raw_and_out_may_be_one_folder(ms3: Path) -> None:
    assert prepare("ms3", ms3, ms3, workers=1).done == 3
    assert len(build_dataset(data_config("ms3", root=ms3), "test")[0].frames) == 5


def test_one_bad_file_is_reported_and_the_rest_goes_on(ms3: Path, tmp_path: Path) -> None:
    (ms3 / "ms3_data/raw_videos/a.mp4").write_bytes(b"not a video")
    (ms3 / "ms3_data/gt_masks/val/b/b_3.png").unlink()
    report = prepare("ms3", ms3, tmp_path / "out", workers=1)
    assert report.done == 1
    assert report.exit_code == 1
    assert [name for name, _ in report.failed] == ["a", "b"]
    assert "a.mp4" in report.failed[0][1]
    assert "b_3.png" in report.failed[1][1]
    assert "2 failed" in str(report)


def test_a_video_without_sound_is_reported(ms3: Path, tmp_path: Path) -> None:
    write_clip(ms3 / "ms3_data/raw_videos/a.mp4", sound=False)
    report = prepare("ms3", ms3, tmp_path / "out", workers=1)
    assert report.failed[0][0] == "a"
    assert "has no sound" in report.failed[0][1]


def test_a_full_disk_stops_the_run(ms3: Path, tmp_path: Path, monkeypatch: Any) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(clips, "_write_sound", full)
    with pytest.raises(OSError, match="No space left"):
        prepare("ms3", ms3, tmp_path / "out", workers=1)


def test_s4_gets_five_frames_whatever_its_start(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "s4_meta_data.csv").write_text("name,start,category,split\nx_7,7,helicopter,train\n")
    write_clip(raw / "s4_data/raw_videos/train/helicopter/x_7.mp4", 3)
    write_png(raw / "s4_data/gt_masks/train/helicopter/x_7/x_7_1.png", np.full((224, 224), 255, np.uint8))
    assert prepare("s4", raw, tmp_path / "out", workers=1).done == 1
    clip = build_dataset(data_config("s4", root=tmp_path / "out", audio="log_mel"), "train")[0]
    assert clip.frames.shape == (5, 3, 224, 224)
    assert torch.equal(clip.frames[3], clip.frames[4])
    assert clip.target.labels[0].all()  # type: ignore[union-attr]


def test_avss_keeps_the_size_of_the_video_and_its_channels(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "metadata.csv").write_text("uid,label,split\nu,v2,test\n")
    write_clip(raw / "v2/u/video.mp4", 10, channels=2)
    for k in range(10):
        write_png(raw / f"v2/u/labels_rgb/{k}.png", np.full((HEIGHT, WIDTH, 3), avss_palette()[k], np.uint8))
    assert prepare("avss", raw, tmp_path / "out", workers=1).done == 1
    clip = build_dataset(data_config("avss", root=tmp_path / "out", stereo=True), "test")[0]
    assert clip.frames.shape == (10, 3, HEIGHT, WIDTH)
    assert clip.audio.shape[0] == 2
    assert clip.target.labels[:, 0, 0].tolist() == list(range(10))  # type: ignore[union-attr]
    for k, frame in enumerate(clip.frames):
        assert frame.float().mean() == pytest.approx(grey(16 * k + 15), abs=2)


def test_an_unknown_name_and_a_missing_table_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"did you mean 's4'\? Known: aviseg, avss, ms3, s4"):
        prepare("s5", tmp_path, tmp_path / "out")
    with pytest.raises(FileNotFoundError, match=r"ms3_meta_data\.csv is missing"):
        prepare("ms3", tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
