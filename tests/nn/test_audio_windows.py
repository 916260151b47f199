"""Which sound belongs to which frame."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from avseg.config import AudioWindow
from avseg.nn.audio import at_rate, cut_windows, log_mel_windows, mixed_down, present_windows
from avseg.nn.mel import log_mel_examples
from avseg.types import Batch, Clip

RATE = 100
SHORT = AudioWindow(seconds=0.5, hop=0.4, missing="silence")


def _clip(samples: int, *, frames: int = 3, start: float = 0.0, times: Tensor | None = None, rate: int = RATE) -> Clip:
    """A clip whose sound counts its samples from 1, in its first channel; the second is the negative."""
    count = torch.arange(1, samples + 1, dtype=torch.float32)
    return Clip(
        id=f"clip{samples}",
        frames=torch.zeros(frames, 3, 4, 4, dtype=torch.uint8),
        times=torch.arange(frames, dtype=torch.float64) if times is None else times,
        audio=torch.stack([count, -count]),
        sample_rate=rate,
        audio_start=start,
    )


def _first(batch: Batch, window: AudioWindow) -> list[list[float]]:
    """Windows of the first clip's first channel as lists."""
    return cut_windows(batch, window)[0, :, 0].tolist()


def _count(first: int, last: int) -> list[float]:
    return [float(i) for i in range(first, last + 1)]


def test_clip_anchor_hops_from_the_first_frame() -> None:
    batch = Batch.collate([_clip(200, times=torch.tensor([0.1, 1.1, 2.1], dtype=torch.float64))])
    got = cut_windows(batch, SHORT)
    assert got.shape == (1, 3, 2, 50)
    assert _first(batch, SHORT) == [_count(11, 60), _count(51, 100), _count(91, 140)]
    assert torch.equal(got[:, :, 1], -got[:, :, 0])


def test_frame_anchor_follows_the_times_of_the_frames() -> None:
    batch = Batch.collate([_clip(400)])
    window = replace(SHORT, anchor="frame", offset=0.2)
    assert _first(batch, window) == [_count(21, 70), _count(121, 170), _count(221, 270)]


def test_time_of_the_first_sample_counts() -> None:
    late = Batch.collate([_clip(200, start=0.2)])
    assert _first(late, SHORT)[:2] == [[0.0] * 20 + _count(1, 30), _count(21, 70)]
    early = Batch.collate([_clip(200, start=-0.2)])
    assert _first(early, SHORT)[0] == _count(21, 70)
    assert present_windows(late, SHORT).all()


def test_missing_sound_silence() -> None:
    batch = Batch.collate([_clip(100)])
    assert present_windows(batch, SHORT).tolist() == [[True, True, False]]
    assert _first(batch, SHORT)[2] == _count(81, 100) + [0.0] * 30


def test_missing_sound_repeats_the_last_whole_window() -> None:
    batch = Batch.collate([_clip(95, frames=4), _clip(30, frames=4)])
    window = replace(SHORT, missing="repeat")
    got = cut_windows(batch, window)
    assert _first(batch, window)[1:] == [_count(41, 90)] * 3
    # Where no window is whole, what there is stays, and zeros fill up.
    assert got[1, 0, 0].tolist() == _count(1, 30) + [0.0] * 20
    assert not got[1, 1:].any()


def test_missing_sound_tile() -> None:
    batch = Batch.collate([_clip(100, frames=4)])
    windows = _first(batch, replace(SHORT, missing="tile"))
    assert windows[2] == (_count(81, 100) * 3)[:50]
    assert windows[3] == [0.0] * 50


def test_missing_sound_zero_log_mel_drops_what_is_not_whole() -> None:
    windows = _first(Batch.collate([_clip(100)]), replace(SHORT, missing="zero_log_mel"))
    assert windows[1] == _count(41, 90)
    assert windows[2] == [0.0] * 50


def test_padding_of_a_batch_is_not_sound() -> None:
    short, long = _clip(100), _clip(300)
    for missing in ("silence", "repeat", "tile", "zero_log_mel"):
        window = replace(SHORT, missing=missing)
        together, alone = cut_windows(Batch.collate([short, long]), window), cut_windows(Batch.collate([short]), window)
        assert torch.equal(together[:1], alone), missing


def test_a_clip_without_sound_is_silent() -> None:
    batch = Batch.collate([_clip(0)])
    for missing in ("silence", "repeat", "tile", "zero_log_mel"):
        window = replace(SHORT, missing=missing)
        assert not present_windows(batch, window).any()
        assert not cut_windows(batch, window).any()


def test_a_window_without_a_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="has no sample"):
        cut_windows(Batch.collate([_clip(10)]), replace(SHORT, seconds=0.001))


def _noise(seconds: float, frames: int, rate: int = 16000, channels: int = 1) -> Clip:
    clip = _clip(1, frames=frames, rate=rate)
    generator = torch.Generator().manual_seed(frames)
    return replace(clip, audio=0.1 * torch.randn(channels, round(seconds * rate), generator=generator))


def test_log_mel_of_a_clip_is_that_of_the_whole_sound() -> None:
    clip = _noise(5, frames=5)
    got = log_mel_windows(Batch.collate([clip]), AudioWindow())
    assert got.shape == (1, 5, 1, 96, 64)
    assert torch.allclose(got[0], log_mel_examples(clip.audio), atol=1e-6)


def test_published_padding_of_avss_is_zero_not_silence() -> None:
    batch = Batch.collate([_noise(5, frames=5)], frames=10)
    got = log_mel_windows(batch, AudioWindow(missing="zero_log_mel"))
    assert not got[0, 5:].any()
    assert bool(got[0, :5].any())


def test_published_padding_of_s4_repeats_the_last_example() -> None:
    clip = _noise(3, frames=5)
    got = log_mel_windows(Batch.collate([clip]), AudioWindow(missing="repeat"))[0]
    examples = log_mel_examples(clip.audio)
    assert examples.shape[0] == 3
    assert torch.allclose(got, examples[[0, 1, 2, 2, 2]], atol=1e-6)


def test_other_rates_and_stereo_are_brought_to_16_khz_mono_before_cutting() -> None:
    clip = _noise(2, frames=2, rate=44100, channels=2)
    batch = at_rate(mixed_down(Batch.collate([clip])), 16000)
    assert batch.audio.shape == (1, 1, 32000)
    assert batch.audio_lengths.tolist() == [32000]
    got = log_mel_windows(Batch.collate([clip]), AudioWindow())[0]
    assert torch.allclose(got, log_mel_examples(clip.audio, 44100), atol=1e-4)


def test_features_that_came_along_are_taken_as_they_are() -> None:
    features = torch.randn(5, 1, 96, 64)
    clip = replace(_noise(5, frames=5), audio_features=features)
    assert torch.equal(log_mel_windows(Batch.collate([clip]), AudioWindow())[0], features)
    embeddings = replace(clip, audio_features=torch.randn(5, 128))
    with pytest.raises(ValueError, match="open the data set with its sound"):
        log_mel_windows(Batch.collate([embeddings]), AudioWindow())
