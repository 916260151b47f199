"""Sounds of other clips by class, and where in the stereo picture a sound is."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from avseg.host import known, on_host, sent


class SoundBank(nn.Module):
    """The latest sounds of every class, a ring of them each; what is read is the oldest, silence until a ring is full.

    It belongs to a run and to one process: every process fills its own from its own clips, as published. Checkpoints
    keep it; model files, moving averages and the exchange between processes leave it out (`Model.run_state`).
    """

    sounds: Tensor
    """(K, slots, S) float32 waveforms at 16 kHz, one channel."""
    written: Tensor
    """(K,) int64, how many sounds of a class have come so far."""

    def __init__(self, classes: int, slots: int, samples: int) -> None:
        """
        Args:
            classes: K, without background.
            slots: sounds kept of a class.
            samples: S, of one sound.
        """
        super().__init__()
        self.register_buffer("sounds", torch.zeros(classes, slots, samples))
        self.register_buffer("written", torch.zeros(classes, dtype=torch.int64))

    @property
    def slots(self) -> int:
        return self.sounds.shape[1]

    def full(self) -> Tensor:
        """(K + 1,) bool by class id, on the CPU: its ring is full; never that of the background."""
        written = on_host(self.written)
        return torch.cat([written.new_zeros(1), written]) >= self.slots

    def read(self, classes: Tensor) -> Tensor:
        """The oldest sound of each class: (M,) ids in 1..K, on the CPU -> (M, S)."""
        rows = classes - 1
        oldest = on_host(self.written)[rows] % self.slots
        return self.sounds[sent(rows, self.sounds.device), sent(oldest, self.sounds.device)]

    @torch.no_grad()
    def write(self, sounds: Tensor, classes: Tensor) -> None:
        """Add (N, S) sounds, one after the other, each in place of the oldest of its class (N,) in 1..K, on the CPU."""
        rows, written, device = classes - 1, on_host(self.written), self.sounds.device
        alike = rows[:, None] == rows
        before, after = alike.tril(-1).sum(1), alike.triu(1).sum(1)  # of the same class among those that come
        slots = (written[rows] + before) % self.slots
        last = (after < self.slots).nonzero()[:, 0]  # what would be written over at once is not written
        self.sounds[sent(rows[last], device), sent(slots[last], device)] = sounds[sent(last, device)]
        written = written + rows.bincount(minlength=len(written))
        known(self.written.copy_(sent(written, device)), written)


def single_channel(sounds: Tensor) -> Tensor:
    """(N, A, S) -> (N, S): the sum of left and right, which is the source itself where it was panned by (1 - p, p)."""
    return sounds.sum(1)


def positions(sounds: Tensor) -> Tensor:
    """Where stereo sounds are, from 0 left to 1 right: (N, 2, S) -> (N,), <R, L + R> / |L + R|^2; silence at 0.5."""
    source = single_channel(sounds)
    energy = source.square().sum(1)
    p = (sounds[:, 1] * source).sum(1) / energy.clamp(min=torch.finfo(energy.dtype).tiny)
    return torch.where(energy > 0, p.clamp(0, 1), 0.5)


def panned(sounds: Tensor, p: Tensor) -> Tensor:
    """(N, S) at positions (N,) -> (N, 2, S), left (1 - p) and right p of it."""
    return sounds[:, None] * torch.stack([1 - p, p], 1)[..., None]
