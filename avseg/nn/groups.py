"""Groups of frames that a block sees together, made of clips of any length."""

from __future__ import annotations

import torch
from torch import Tensor

from avseg.host import on_host, sent


class Groups:
    """Which frames of a batch the network is given, and where its answers belong.

    Clips are cut into groups of `size` frames. In a group that has a valid frame, the others are filled with the last
    valid frame before them (or the first valid one), so that nothing depends on what padded frames hold and a tail is
    like a whole group. Groups without a valid frame are left out with `fill`; without it they are kept, marked as not
    existing, since the published AVSS training lets its batch norms see them.
    """

    def __init__(self, valid: Tensor, size: int, fill: bool = True) -> None:
        """
        Args:
            valid: (B, T) bool.
            size: frames in a group.
            fill: leave out groups without a valid frame.
        """
        device, valid = valid.device, on_host(valid)
        self.clips, self.frames = valid.shape
        self.whole = -(-self.frames // size) * size
        padded = torch.cat([valid, valid.new_zeros(self.clips, self.whole - self.frames)], 1)  # (B, T')
        source = _last_valid(padded.view(-1, size)) + torch.arange(0, self.clips * self.whole, size)[:, None]
        alive = padded.view(-1, size).any(1)  # (G,)
        self.complete = bool(alive.all()) if fill else True
        kept = torch.arange(len(alive)) if self.complete else alive.nonzero()[:, 0]
        clip, frame = source[kept].flatten() // self.whole, source[kept].flatten() % self.whole
        self.source = sent(clip * self.frames + frame.clamp(max=self.frames - 1), device)  # (N,) of B * T
        self.place = sent((kept[:, None] * size + torch.arange(size)).flatten(), device)  # (N,) of B * T'
        self.exists = sent(alive[kept].repeat_interleave(size), device)
        """(N,) bool, whether a frame stands for a real one."""

    def take(self, values: Tensor) -> Tensor:
        """Select the network's frames: (B, T, ...) -> (N, ...)."""
        return values.flatten(0, 1)[self.source]

    def give_back(self, values: Tensor) -> Tensor:
        """Put outputs into the order of the batch: (N, ...) -> (B, T, ...); zeros for other frames."""
        if not self.complete:
            whole = values.new_zeros(self.clips * self.whole, *values.shape[1:])
            values = whole.index_copy(0, self.place, values)
        return values.reshape(self.clips, self.whole, *values.shape[1:])[:, : self.frames]


def _last_valid(valid: Tensor) -> Tensor:
    """(G, size) bool -> (G, size) place of the frame that fills each place."""
    places = torch.arange(valid.shape[1], device=valid.device).expand_as(valid)
    before = torch.where(valid, places, -1).cummax(1).values
    first = valid.long().argmax(1, keepdim=True)
    return torch.where(before >= 0, before, first)
