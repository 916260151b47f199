"""Parts of sounds: the middle, short ones, other rates and channels, and the published slips."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.io import wavfile

from avseg.data import DataConfig
from avseg.data.sound import centred, every_second_second, pan, published_buffer, read_centre, read_sound
from avseg.nn.audio import resample


def noise(samples: int, channels: int = 1, seed: int = 0) -> Any:
    return np.random.default_rng(seed).integers(-20000, 20000, (samples, channels), dtype=np.int16)


def test_the_middle_of_a_long_sound_equals_that_of_the_whole(tmp_path: Path) -> None:
    values = noise(70001)
    wavfile.write(tmp_path / "a.wav", 16000, values)
    sound = read_centre(tmp_path / "a.wav", 3, 16000)
    assert torch.equal(sound, torch.from_numpy(values[11000:59000, 0] / 32768).float())


@pytest.mark.parametrize("rate", [44100, 48000, 22050, 8000])
@pytest.mark.parametrize("seconds", [10.0, 3.001])
def test_other_rates_and_channels_are_resampled_and_mixed_down(tmp_path: Path, rate: int, seconds: float) -> None:
    values = noise(int(rate * seconds) + 1, 2)
    wavfile.write(tmp_path / "a.wav", rate, values)
    whole = resample(torch.from_numpy(values.T / 32768).mean(0), rate, 16000).numpy()
    start = len(whole) // 2 - 24000
    sound = read_centre(tmp_path / "a.wav", 3, 16000)
    assert sound.dtype == torch.float32
    assert np.allclose(sound.numpy(), whole[start : start + 48000], atol=1e-6)


def test_wide_samples_are_read_without_a_map(tmp_path: Path) -> None:
    import wave

    values = noise(50000)[:, 0].astype(np.int32) << 8
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(3)
        file.setframerate(16000)
        file.writeframes(values.astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes())
    wanted = values[1000:49000] / 2**23
    assert np.allclose(read_centre(tmp_path / "a.wav", 3, 16000).numpy(), wanted, atol=1e-7)


def test_short_sounds_are_repeated_from_their_start(tmp_path: Path) -> None:
    values = noise(20000)
    wavfile.write(tmp_path / "a.wav", 16000, values)
    sound = read_centre(tmp_path / "a.wav", 3, 16000)
    wanted = np.concatenate([values[:, 0]] * 3)[:48000] / 32768
    assert np.allclose(sound.numpy(), wanted)


@pytest.mark.parametrize(("length", "first"), [(20000, 6000), (47999, 47998), (15000, 0), (48000, 0), (47990, 47985)])
def test_the_published_window_counts_a_negative_start_from_the_end(tmp_path: Path, length: int, first: int) -> None:
    values = noise(length)
    wavfile.write(tmp_path / "a.wav", 16000, values)
    sound = read_centre(tmp_path / "a.wav", 3, 16000, published=True).numpy()
    kept = values[first:, 0] if length < 48000 else values[:, 0]
    assert np.allclose(sound, np.tile(kept, 48000 // len(kept) + 1)[:48000] / 32768)


def test_five_seconds_keep_their_second_half_four_times() -> None:
    sound = torch.arange(80000.0)[None]
    buffer = published_buffer(sound, 16000)
    assert torch.equal(buffer, sound[:, 40000:].repeat(1, 4))
    ten = torch.arange(170000.0).repeat(2, 1)
    assert torch.equal(published_buffer(ten, 16000), ten[:, 5000:165000])


def test_frames_two_seconds_apart_hear_what_the_published_test_hears() -> None:
    seconds = torch.arange(80000.0)[None] / 16000
    heard = every_second_second(published_buffer(seconds, 16000), 16000, 5)
    assert heard.shape == (1, 80000)
    starts = heard[0, ::16000].tolist()
    assert starts == pytest.approx([2.5, 4.5, 4.0, 3.5, 3.0], abs=1e-6)
    assert heard[0, 16000 + 8000].item() == pytest.approx(2.5)  # frame 1 wraps after half a second
    assert every_second_second(seconds, 16000, 5)[0, 16000 * 3 :].abs().max() == 0  # silence after the end


def test_a_source_stands_between_left_and_right() -> None:
    sound = torch.tensor([1.0, -0.5])
    assert torch.allclose(pan(sound, 0.25), torch.tensor([[0.75, -0.375], [0.25, -0.125]]))
    assert pan(sound, 0.0)[1].abs().max() == 0


def test_centred_keeps_the_shape_before_the_samples() -> None:
    sound = np.arange(10.0).reshape(2, 5)
    assert centred(sound, 3).tolist() == [[1, 2, 3], [6, 7, 8]]
    assert centred(sound, 7).tolist() == [[0, 1, 2, 3, 4, 0, 1], [5, 6, 7, 8, 9, 5, 6]]


def test_a_mono_file_for_a_stereo_recipe_is_named(tmp_path: Path) -> None:
    wavfile.write(tmp_path / "a.wav", 16000, noise(100))
    assert read_sound(tmp_path / "a.wav", DataConfig())[0].shape == (1, 100)
    with pytest.raises(ValueError, match=r"a\.wav is mono but the recipe needs stereo"):
        read_sound(tmp_path / "a.wav", DataConfig(stereo=True))
    wavfile.write(tmp_path / "a.wav", 16000, noise(100, 3))
    with pytest.raises(ValueError, match="3 channels, wanted left and right"):
        read_sound(tmp_path / "a.wav", DataConfig(stereo=True))


def test_broken_and_missing_sounds_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"b\.wav is missing"):
        read_centre(tmp_path / "b.wav", 3, 16000)
    wavfile.write(tmp_path / "a.wav", 16000, noise(60000))
    content = (tmp_path / "a.wav").read_bytes()
    (tmp_path / "a.wav").write_bytes(content[:5000])
    with pytest.raises(ValueError, match=r"a\.wav has 5000 bytes, but its header says"):
        read_centre(tmp_path / "a.wav", 3, 16000)
    wavfile.write(tmp_path / "a.wav", 48000, noise(2))
    with pytest.raises(ValueError, match="too short to have a sample at 16000 Hz"):
        read_centre(tmp_path / "a.wav", 3, 16000)
