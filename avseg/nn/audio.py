"""Which sound belongs to which frame: windows of a batch's sound, cut by time, as waveforms or log-mel pictures."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from avseg.config import WITHIN, AudioWindow
from avseg.nn.mel import SAMPLE_RATE, LogMel
from avseg.nn.resample import resample as resample
from avseg.types import Batch


def mono(audio: Tensor) -> Tensor:
    """The mean over channels: (..., A, S) -> (..., S)."""
    return audio.mean(-2)


def mixed_down(batch: Batch) -> Batch:
    """The batch with one channel of sound."""
    return batch if batch.audio.shape[1] == 1 else replace(batch, audio=mono(batch.audio).unsqueeze(1))


def at_rate(batch: Batch, sample_rate: int) -> Batch:
    """The batch with its sound at `sample_rate` Hz."""
    if batch.sample_rate == sample_rate:
        return batch
    return replace(
        batch,
        audio=resample(batch.audio, batch.sample_rate, sample_rate),
        audio_lengths=batch.audio_lengths * sample_rate // batch.sample_rate,
        sample_rate=sample_rate,
    )


def present_windows(batch: Batch, window: AudioWindow) -> Tensor:
    """(B, T) bool: the sound does not end before the window does. Before its beginning there is silence."""
    starts, size = _starts(batch, window)
    return starts + size <= batch.audio_lengths[:, None]


def cut_windows(batch: Batch, window: AudioWindow) -> Tensor:
    """The sound of every frame: (B, T, A, S_w) with S_w = seconds * sample_rate, rounded.

    Where the sound ends before a window does, `window.missing` decides: `silence` fills up with zeros; `repeat` takes
    the clip's last whole window instead (where none came before, zeros fill up); `tile` repeats what there is of the
    window; `zero_log_mel` gives zeros throughout. What comes before the sound's first sample is silence.

    Raises:
        ValueError: a window shorter than one sample.
    """
    starts, size = _starts(batch, window)
    if window.missing == "repeat":
        starts = starts.gather(1, _last_whole(present_windows(batch, window)))
    samples = starts[..., None] + torch.arange(size, device=starts.device)  # (B, T, S_w)
    ends = batch.audio_lengths[:, None, None]
    if window.missing == "tile":
        begins = starts.clamp(min=0)[..., None]
        samples = torch.where(samples < ends, samples, begins + (samples - begins) % (ends - begins).clamp(min=1))
    heard = (samples >= 0) & (samples < ends)
    if window.missing == "zero_log_mel":
        heard &= present_windows(batch, window)[..., None]
    # One zero after the end stands for all that is not heard.
    b, a, s = batch.audio.shape
    audio = torch.cat([batch.audio, batch.audio.new_zeros(b, a, 1)], -1)
    index = torch.where(heard, samples, s).flatten(1)  # (B, T * S_w)
    cut = audio.gather(2, index[:, None].expand(-1, a, -1))  # (B, A, T * S_w)
    return cut.reshape(b, a, -1, size).transpose(1, 2)


def log_mel_windows(batch: Batch, window: AudioWindow) -> Tensor:
    """Return the log-mel input of every frame: (B, T, 1, L, 64) float32; L = 96 for windows of 0.975 s.

    Features that came with the clips (`batch.audio_features`) are taken as they are. Otherwise sound is mixed down and
    brought to 16 kHz as a whole before it is cut, so that windows have no edges of their own.

    Raises:
        ValueError: features that are not log-mel pictures (B, T, 1, L, 64).
    """
    if batch.audio_features is not None:
        return _shipped(batch.audio_features)
    batch = at_rate(mixed_down(batch), SAMPLE_RATE)
    cut = cut_windows(batch, window)[:, :, 0]  # (B, T, S_w)
    pictures: Tensor = LogMel()(cut.flatten(0, 1)).unflatten(0, cut.shape[:2])  # (B, T, 1, L, 64)
    if window.missing == "zero_log_mel":
        pictures = pictures * present_windows(batch, window)[:, :, None, None, None]
    return pictures


def _shipped(features: Tensor) -> Tensor:
    if features.ndim != 5 or features.shape[2] != 1 or features.shape[4] != 64:
        raise ValueError(
            f"audio features have shape {tuple(features.shape)}, wanted log-mel pictures (B, T, 1, 96, 64); "
            "open the data set with its sound instead"
        )
    return features.float()


def _starts(batch: Batch, window: AudioWindow) -> tuple[Tensor, int]:
    """(B, T) int64 first samples of the windows, and how many samples a window has."""
    size = round(window.seconds * batch.sample_rate)
    if size < 1:
        raise ValueError(f"a window of {window.seconds} s at {batch.sample_rate} Hz has no sample")
    if window.anchor == "clip":
        count = torch.arange(batch.times.shape[1], device=batch.times.device, dtype=batch.times.dtype)
        begins = batch.times[:, :1] + window.hop * count
    else:
        times = (batch.times + WITHIN).floor() if window.anchor == "second" else batch.times
        begins = times + window.offset
    samples = (begins - batch.audio_start[:, None]) * batch.sample_rate
    return samples.round().long(), size


def _last_whole(present: Tensor) -> Tensor:
    """(B, T) int64: for each window itself where present, else the last present one before it, else itself."""
    own = torch.arange(present.shape[1], device=present.device).expand_as(present)
    before = torch.where(present, own, -1).cummax(1).values
    return torch.where(before >= 0, before, own)
