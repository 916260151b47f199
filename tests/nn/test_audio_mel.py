"""The log-mel front end against the published numbers and a plain transcription of its formulas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from avseg.nn.mel import LogMel, log_mel_examples, mel_matrix


def _tone(seconds: float, rate: int = 16000) -> torch.Tensor:
    t = torch.arange(round(seconds * rate), dtype=torch.float64) / rate
    return 0.3 * torch.sin(2 * torch.pi * 440 * t) + 0.1 * torch.sin(2 * torch.pi * 3000 * t)


def test_published_numbers_of_a_tone(golden: Any) -> None:
    wanted = golden("tpavi/golden_audio.json")["tone_5s"]
    got = log_mel_examples(_tone(5))
    assert list(got.shape) == wanted["shape"]
    assert got.dtype == torch.float32
    assert float(got.double().mean()) == pytest.approx(wanted["mean"], abs=1e-6)
    assert float(got.double().std(unbiased=False)) == pytest.approx(wanted["std"], abs=1e-4)
    assert float(got.min()) == pytest.approx(wanted["min"], abs=1e-6)
    assert float(got.max()) == pytest.approx(wanted["max"], abs=1e-6)
    for *at, value in wanted["samples"]:
        assert float(got[tuple(at)]) == pytest.approx(value, abs=1e-6)


def test_published_mel_matrix(golden: Any) -> None:
    wanted = golden("tpavi/golden_audio.json")["mel_matrix"]
    matrix = mel_matrix()
    assert list(matrix.shape) == wanted["shape"]
    assert float(matrix.sum()) == pytest.approx(wanted["sum"], abs=1e-9)
    assert int((matrix > 0).sum()) == wanted["nonzero"]


@pytest.mark.parametrize(("seconds", "count"), [(5, 5), (10, 10), (4.9, 5), (0.98, 1), (0.975, 1), (0.9749, 0), (0, 0)])
def test_how_many_examples_a_sound_has(seconds: float, count: int) -> None:
    assert log_mel_examples(_tone(seconds)).shape == (count, 1, 96, 64)


def test_silence_is_the_logarithm_of_the_offset() -> None:
    assert torch.allclose(LogMel()(torch.zeros(2, 15600)), torch.tensor(np.log(0.01), dtype=torch.float32))


def test_windows_cut_first_equal_the_sound_seen_whole() -> None:
    audio = torch.randn(16000 * 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 0.1
    windows = audio.unfold(0, 15600, 15360)
    assert torch.equal(LogMel()(windows), log_mel_examples(audio))


def test_every_frame_equals_its_plain_formula() -> None:
    audio = np.random.default_rng(2).standard_normal(15600) * 0.1
    got = LogMel()(torch.from_numpy(audio)[None])[0, 0]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    matrix = mel_matrix().numpy()
    for frame in (0, 31, 95):
        spectrum = np.abs(np.fft.rfft(audio[frame * 160 : frame * 160 + 400] * hann, 512))
        assert np.allclose(got[frame].numpy(), np.log(spectrum @ matrix + 0.01), atol=1e-6)


def test_channels_are_averaged_and_the_rate_is_changed() -> None:
    stereo = torch.stack([_tone(2, 44100) * 2, torch.zeros(88200, dtype=torch.float64)])
    got, mono = log_mel_examples(stereo, 44100), log_mel_examples(_tone(2))
    assert got.shape == mono.shape == (2, 1, 96, 64)
    # The first window holds the filter's ringing at the sound's abrupt beginning.
    assert torch.allclose(got[1], mono[1], atol=1e-3)


def test_casting_a_model_does_not_round_the_front_end() -> None:
    audio = _tone(0.975)[None]
    assert torch.equal(LogMel().half()(audio), LogMel()(audio))
    assert not LogMel().state_dict()


def test_too_little_sound_and_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(1, 399\)"):
        LogMel()(torch.zeros(1, 399))
    with pytest.raises(ValueError, match=r"wanted \(N, S\)"):
        LogMel()(torch.zeros(1, 1, 16000))
