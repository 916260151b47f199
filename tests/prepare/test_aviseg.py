"""AVISeg from movies: the right pictures, the sound where it belongs, features second by second."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import wavfile

from aviseg_folder import AVISegFolder, make
from avseg.cli import run
from avseg.config import AudioWindow
from avseg.data import build_dataset
from avseg.datasets import data_config
from avseg.datasets.aviseg import prepare as aviseg
from avseg.datasets.aviseg.prepare import patches_of_seconds
from avseg.datasets.folders import prepare
from avseg.io.audio import read_wav, write_wav
from avseg.io.video import write_video
from avseg.nn.audio import log_mel_windows
from avseg.nn.mel import LogMel
from avseg.nn.resample import Form, resample
from avseg.nn.vggish import VGGish
from avseg.types import Batch
from pictures import read_rgb

FPS = 8
FORMS: tuple[Form, Form] = ("resampy_0.2", "resampy_0.4")


class Sums(torch.nn.Module):
    """Stands for VGGish: 128 numbers that follow the patch."""

    def forward(self, log_mel: torch.Tensor) -> torch.Tensor:
        assert log_mel.shape[1:] == (1, 96, 64)
        return log_mel.sum((1, 2))[:, :1].expand(-1, 128).contiguous()


@pytest.fixture
def folder(tmp_path: Path) -> AVISegFolder:
    return make(tmp_path / "raw")


def movie(path: Path, seconds: float, size: tuple[int, int], sound: bool = True) -> None:
    """Frame n is all of the grey 4 n; a tone that grows."""
    path.parent.mkdir(exist_ok=True)
    frames = (np.full((*size, 3), 4 * n, np.uint8) for n in range(int(seconds * FPS)))
    time = torch.arange(int(seconds * 22050)) / 22050
    tone = (0.05 * (1 + time) * torch.sin(2 * torch.pi * 500 * time)).expand(2, -1)
    write_video(path, frames, FPS, tone if sound else None, 22050)


def noise(seconds: float, rate: int, channels: int = 2) -> torch.Tensor:
    return torch.rand(channels, int(seconds * rate), generator=torch.Generator().manual_seed(0)) - 0.5


@pytest.mark.parametrize("rate", [16000, 44100])
def test_every_second_is_heard_by_itself(rate: int) -> None:
    audio = noise(3, rate)
    patches = patches_of_seconds(audio, rate, 3)
    assert patches.shape == (3, 1, 96, 64) and patches.dtype == torch.float32
    for k in range(3):
        second = audio[:, k * rate : (k + 1) * rate].double().mean(0, keepdim=True)
        alone = LogMel()(resample(second, rate, 16000, "resampy_0.2"))
        assert alone.shape == (1, 1, 98, 64)
        assert torch.allclose(patches[k], alone[0, :, :96], atol=1e-5)
    changed = audio.clone()
    changed[:, rate : 2 * rate] *= 0.1
    again = patches_of_seconds(changed, rate, 3)
    assert torch.equal(again[[0, 2]], patches[[0, 2]]) and not torch.allclose(again[1], patches[1])


def test_a_second_that_ends_too_early_is_zeros_as_published_or_silence() -> None:
    audio = noise(2.5, 16000)
    zeros, silence = (patches_of_seconds(audio, 16000, 4, short) for short in ("zeros", "silence"))  # type: ignore[arg-type]
    assert torch.equal(zeros[:2], silence[:2]) and not zeros[2:].any()
    assert silence[2, 0, :40].std() > 0.1 and torch.allclose(silence[2, 0, 60:], torch.tensor(0.01).log())
    assert torch.allclose(silence[3], torch.tensor(0.01).log())
    # 0.975 s are the 96 frames of a whole patch, less are not.
    assert patches_of_seconds(noise(1.975, 16000), 16000, 2)[1].any()
    assert not patches_of_seconds(noise(1.9749, 16000), 16000, 2)[1].any()


def test_the_windows_of_a_model_hear_the_same(folder: AVISegFolder) -> None:
    dataset = build_dataset(data_config("aviseg", root=folder.root), "test")
    audio, rate = read_wav(folder.root / "test/WAVAudios/dd.wav")
    window = AudioWindow(seconds=0.975, anchor="frame", missing="zero_log_mel")
    heard = log_mel_windows(Batch.collate([dataset[0]]), window)[0]
    assert torch.allclose(heard, patches_of_seconds(audio, rate, 4), atol=1e-5)


def test_features_are_made_beside_frames_and_sound(folder: AVISegFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = folder.root / "test/FEATAudios/dd.npy"
    stored.unlink()
    monkeypatch.setattr(aviseg, "_vggish", lambda _: Sums())
    report = prepare("aviseg", folder.root, folder.root, vggish=Path("weights"), workers=1)
    assert (report.done, report.skipped, report.failed, report.exit_code) == (1, 4, [], 0)
    audio, rate = read_wav(folder.root / "test/WAVAudios/dd.wav")
    wanted = Sums()(patches_of_seconds(audio, rate, 4))
    assert np.array_equal(np.load(stored), wanted.numpy()) and np.load(stored).dtype == np.float32
    dataset = build_dataset(data_config("aviseg", root=folder.root, audio="features"), "test")
    assert dataset[0].audio_features is not None and torch.equal(dataset[0].audio_features, wanted)
    assert prepare("aviseg", folder.root, folder.root, vggish=Path("weights"), workers=1).skipped == 5


def test_features_follow_the_named_resampling(folder: AVISegFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    stored, sound = folder.root / "test/FEATAudios/dd.npy", folder.root / "test/WAVAudios/dd.wav"
    monkeypatch.setattr(aviseg, "_vggish", lambda _: Sums())
    write_wav(sound, noise(4, 44100), 44100)
    audio, rate = read_wav(sound)
    old, new = (Sums()(patches_of_seconds(audio, rate, 4, resampling=form)) for form in FORMS)
    assert float((old - new).abs().max()) > 0.1
    for resampling, wanted in zip(FORMS, (old, new), strict=True):
        stored.unlink()
        prepare("aviseg", folder.root, folder.root, vggish=Path("weights"), resampling=resampling, workers=1)
        assert np.array_equal(np.load(stored), wanted.numpy())
    assert torch.equal(patches_of_seconds(audio, rate, 4), patches_of_seconds(audio, rate, 4, resampling=FORMS[0]))


def test_another_folder_gets_copies(folder: AVISegFolder, tmp_path: Path) -> None:
    out = tmp_path / "out"
    report = prepare("aviseg", folder.root, out, workers=1)
    assert (report.done, report.failed) == (5, []) and "--vggish FILE" in str(report)
    for split in ("train", "val", "test"):
        ours, theirs = (build_dataset(data_config("aviseg", root=root), split)[0] for root in (out, folder.root))
        assert torch.equal(ours.frames, theirs.frames) and torch.equal(ours.audio, theirs.audio)
    assert not list(out.rglob("*.npy")) and not list(out.rglob("*.part*"))


def test_frames_and_sound_come_out_of_movies(folder: AVISegFolder, tmp_path: Path) -> None:
    import shutil

    raw, out = folder.root, tmp_path / "out"
    for name in ("JPEGImages", "WAVAudios"):
        shutil.rmtree(raw / "test" / name)
    movie(raw / "movies/dd.mp4", 4.0, (24, 32))
    movie(raw / "movies/ee.mkv", 1.2, (24, 32))
    report = prepare("aviseg", raw, out, workers=2)
    assert report.failed == [] and report.done == 5
    assert ("ee", "1 frames in the movie, 2 wanted; the last is repeated") in report.notes
    clip = build_dataset(data_config("aviseg", root=out), "test")[0]
    # The picture of a second is that of its middle: frames 4, 12, 20, 28.
    assert clip.frames.float().mean((1, 2, 3)).sub(torch.tensor([16.0, 48, 80, 112])).abs().max() < 4
    audio, rate = read_wav(out / "test/WAVAudios/dd.wav")
    assert rate == 22050 and audio.shape[0] == 2 and abs(audio.shape[1] / rate - 4) < 0.1
    loudness = [audio[0, int(k * rate) : int((k + 0.9) * rate)].abs().max().item() for k in range(4)]
    assert np.allclose(loudness, [0.095, 0.145, 0.195, 0.245], atol=0.02)
    second = read_rgb(out / "test/JPEGImages/ee/00001.jpg")
    assert torch.equal(second, read_rgb(out / "test/JPEGImages/ee/00000.jpg"))


def test_one_video_that_cannot_be_made_stops_nobody(folder: AVISegFolder, tmp_path: Path) -> None:
    raw = folder.root
    for path in ("test/JPEGImages/dd/00001.jpg", "test/JPEGImages/ee/00001.jpg", "train/WAVAudios/aa.wav"):
        (raw / path).unlink()
    wavfile.write(raw / "val/WAVAudios/cc.wav", 16000, np.zeros((4000, 1), np.int16))
    movie(raw / "movies/ee.mp4", 2, (48, 64))
    movie(raw / "movies/aa.mp4", 2, (24, 32), sound=False)
    report = prepare("aviseg", raw, tmp_path / "out", workers=1)
    reasons = dict(report.failed)
    assert set(reasons) == {"aa", "dd", "ee"} and report.done == 2 and report.exit_code == 1
    assert "00001.jpg is missing, and there is no movies/dd.* either" in reasons["dd"]
    assert "is 48 pixels high and 64 wide, its truth (24, 32)" in reasons["ee"]
    assert "has no sound" in reasons["aa"]


def test_wrong_material_is_refused_before_anything_is_written(folder: AVISegFolder, tmp_path: Path) -> None:
    out = tmp_path / "out"
    torch.save({"a": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match="not the published weights of VGGish"):
        prepare("aviseg", folder.root, out, vggish=tmp_path / "other.pth", workers=1)
    with pytest.raises(FileNotFoundError, match=r"no train.json, val.json or test.json"):
        prepare("aviseg", tmp_path, out, workers=1)
    folder.truth["test"]["annotations"][0]["category_id"] = 99
    folder.save()
    with pytest.raises(ValueError, match=r"test.json, dd: the annotation 11 has the category 99"):
        prepare("aviseg", folder.root, out, workers=1)
    assert not out.exists()


@pytest.mark.slow
def test_the_command_takes_published_weights(folder: AVISegFolder, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = VGGish().eval()
    torch.save(network.state_dict(), tmp_path / "vggish.pth")
    raw = str(folder.root)
    (folder.root / "val/FEATAudios/cc.npy").unlink()
    write_wav(folder.root / "val/WAVAudios/cc.wav", noise(1, 44100), 44100)
    weights = ["--vggish", str(tmp_path / "vggish.pth"), "--resampling", FORMS[1], "--workers", "1"]
    assert run(["data", "prepare", "aviseg", "--raw", raw, "--root", raw, *weights]) == 0
    audio, rate = read_wav(folder.root / "val/WAVAudios/cc.wav")
    with torch.inference_mode():
        wanted = network(patches_of_seconds(audio, rate, 1, resampling=FORMS[1]))
    assert np.allclose(np.load(folder.root / "val/FEATAudios/cc.npy"), wanted.numpy(), atol=1e-5)


def test_how_features_are_made_is_asked_for_with_their_weights(tmp_path: Path) -> None:
    for option in ({"short": "silence"}, {"resampling": "exact"}):
        with pytest.raises(ValueError, match="need --vggish FILE"):
            prepare("aviseg", tmp_path, tmp_path / "out", **option)


def test_the_truth_is_copied_as_it_is(folder: AVISegFolder, tmp_path: Path) -> None:
    prepare("aviseg", folder.root, tmp_path / "out", workers=1)
    assert json.loads((tmp_path / "out/test.json").read_text()) == folder.truth["test"]
