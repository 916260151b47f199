"""WAV files of every width come in as floats; broken ones are named."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import wavfile

from avseg.io.audio import read_wav, write_wav


def test_sixteen_bit_is_divided_by_32768(tmp_path: Path) -> None:
    samples = np.array([-32768, -1, 0, 1, 32767], np.int16)
    wavfile.write(tmp_path / "a.wav", 16000, samples)
    audio, rate = read_wav(tmp_path / "a.wav")
    assert rate == 16000
    assert audio.tolist() == [[-1.0, -1 / 32768, 0.0, 1 / 32768, 32767 / 32768]]


def test_twenty_four_bit_keeps_its_precision(tmp_path: Path) -> None:
    values = [-(2**23), -1, 0, 1, 2**23 - 1]
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(3)
        file.setframerate(48000)
        file.writeframes(b"".join(v.to_bytes(3, "little", signed=True) for v in values))
    audio, rate = read_wav(tmp_path / "a.wav")
    assert rate == 48000
    assert audio[0].tolist() == [v / 2**23 for v in values]


@pytest.mark.parametrize(
    ("kind", "low", "high"), [("int32", -(2**31), 2**30), ("float32", -1, 0.5), ("float64", -1, 0.5), ("uint8", 0, 192)]
)
def test_other_widths(tmp_path: Path, kind: str, low: float, high: float) -> None:
    wavfile.write(tmp_path / "a.wav", 8000, np.array([low, high], kind))
    assert read_wav(tmp_path / "a.wav")[0].tolist() == [[-1.0, 0.5]]


def test_channels_are_averaged_before_anything_else(tmp_path: Path) -> None:
    wavfile.write(tmp_path / "a.wav", 8000, np.array([[100, 300], [-5, 0]], np.int16))
    mono, _ = read_wav(tmp_path / "a.wav", channels=1)
    assert mono.tolist() == [[200 / 32768, -2.5 / 32768]]
    both, _ = read_wav(tmp_path / "a.wav")
    assert both.shape == (2, 2)
    assert both[0].tolist() == [100 / 32768, -5 / 32768]


def test_surround_becomes_mono_but_not_stereo(tmp_path: Path) -> None:
    wavfile.write(tmp_path / "a.wav", 8000, np.tile(np.array([60], np.int16), (4, 6)))
    assert read_wav(tmp_path / "a.wav", channels=1)[0].tolist() == [[60 / 32768] * 4]
    with pytest.raises(ValueError, match="6 channels"):
        read_wav(tmp_path / "a.wav", channels=2)


def test_mono_is_copied_for_stereo(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", torch.tensor([0.5, -0.25]), 8000)
    assert read_wav(tmp_path / "a.wav", channels=2)[0].tolist() == [[0.5, -0.25]] * 2


def test_another_rate_is_resampled(tmp_path: Path) -> None:
    time = torch.arange(44100, dtype=torch.float64) / 44100
    write_wav(tmp_path / "a.wav", 0.5 * torch.sin(2 * torch.pi * 440 * time), 44100)
    audio, rate = read_wav(tmp_path / "a.wav", sample_rate=16000)
    assert rate == 16000
    assert audio.shape[1] == pytest.approx(16000, abs=1)
    wanted = 0.5 * torch.sin(2 * torch.pi * 440 * torch.arange(audio.shape[1]) / 16000)
    assert (audio[0] - wanted)[200:-200].abs().max() < 1e-3


def test_round_trip_of_stereo_and_clipping(tmp_path: Path) -> None:
    sound = torch.tensor([[0.5, -1.0, 2.0], [0.0, -3.0, 0.25]])
    write_wav(tmp_path / "deep" / "a.wav", sound, 16000)
    top = 32767 / 32768
    assert read_wav(tmp_path / "deep" / "a.wav")[0].tolist() == [[0.5, -1.0, top], [0.0, -1.0, 0.25]]
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["a.wav"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "zero bytes"),
        (b"not a sound", "not a complete WAV"),
        (b"RIFF", "has 4 bytes, but its header says 8"),
        (b"RIFF\x04\0\0\0WAVE", "it has no `fmt ` or no `data` chunk"),
    ],
)
def test_broken_files_are_named(tmp_path: Path, data: bytes, words: str) -> None:
    (tmp_path / "a.wav").write_bytes(data)
    with pytest.raises(ValueError, match=words) as caught:
        read_wav(tmp_path / "a.wav")
    assert "a.wav" in str(caught.value)
    assert "again" in str(caught.value)


def test_every_truncation_is_named(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", torch.linspace(-1, 1, 50), 16000)
    whole = (tmp_path / "a.wav").read_bytes()
    for length in range(len(whole) - 1):
        (tmp_path / "a.wav").write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"a\.wav"):
            read_wav(tmp_path / "a.wav")


@pytest.mark.parametrize(("named", "streamed"), [(2**31 - 9, False), (2**31 - 8, True), (2**32 - 1, True)])
def test_a_length_of_two_gigabytes_or_more_stands_for_a_pipe(tmp_path: Path, named: int, streamed: bool) -> None:
    write_wav(tmp_path / "a.wav", torch.full((1, 50), 0.5), 16000)
    content = bytearray((tmp_path / "a.wav").read_bytes())
    content[4:8] = named.to_bytes(4, "little")
    (tmp_path / "a.wav").write_bytes(content)
    if streamed:
        assert read_wav(tmp_path / "a.wav")[0].tolist() == [[0.5] * 50]
    else:
        with pytest.raises(ValueError, match="but its header says 2147483647"):
            read_wav(tmp_path / "a.wav")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"b\.wav is missing"):
        read_wav(tmp_path / "b.wav")
