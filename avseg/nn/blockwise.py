"""Attention whose affinities are left out at random, a block of queries at a time: for training on the CPU.

`scaled_dot_product_attention` never forms the matrix of all affinities, except with dropout on the CPU, where it forms
several and keeps them for the way back: 1.3 GB for one frame of 3,141 tokens and eight heads. Here a block is formed,
used and overwritten, and formed again on the way back, with the same ones left out. Method: Dao et al. (2022),
"FlashAttention", without its running softmax, since a row fits.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

BLOCK = 2**21
"""Affinities that are formed at a time, of all heads together: 8 MB each time."""
PAYS = 2**20
"""Affinities of a call from which on this is used."""


def pays(query: Tensor, key: Tensor) -> bool:
    """Whether to take this road: many affinities, on the CPU, in float32 or finer, and not in `torch.compile`.

    Args:
        query: (N, heads, Q, d).
        key: (N, heads, M, d).
    """
    affinities = query.shape[:-1].numel() * key.shape[-2]
    here = query.device.type == "cpu" and query.dtype.itemsize >= 4 and not torch.compiler.is_compiling()
    return here and affinities >= PAYS


def blockwise_attention(query: Tensor, key: Tensor, value: Tensor, dropout: float) -> Tensor:
    """softmax(query key^T / sqrt(d)) with a share of it left out, times value: (N, heads, Q, d).

    Args:
        query: (N, heads, Q, d).
        key: (N, heads, M, d).
        value: (N, heads, M, d).
        dropout: share of the affinities that becomes 0; the others grow by 1 / (1 - dropout). Drawn by PyTorch's
            generator.
    """
    seed = int(torch.randint(2**62, ()))  # so that a resumed run goes on alike
    out: Tensor = _Blockwise.apply(query, key, value, dropout, seed)
    return out


class _Blockwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, dropout: float, seed: int) -> Tensor:
        query, key, value = query.contiguous(), key.contiguous(), value.contiguous()
        out = query.new_empty(*query.shape[:-1], value.shape[-1])
        room = _Room(query, key, dropout)
        for number, (frame, rows) in enumerate(_blocks(query, key)):
            weights = room.softmax(query[frame, :, rows], key[frame])
            weights.mul_(room.kept(weights.shape, seed + number))
            out[frame, :, rows] = torch.bmm(weights, value[frame])
        out.mul_(room.growth)
        ctx.save_for_backward(query, key, value, out)
        ctx.drawn = dropout, seed
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        query, key, value, out = ctx.saved_tensors
        dropout, seed = ctx.drawn
        room = _Room(query, key, dropout)
        wanted = gradients[0] * room.growth
        along = (gradients[0] * out).sum(-1, keepdim=True)  # (N, heads, Q, 1)
        for_query, for_key, for_value = torch.empty_like(query), torch.zeros_like(key), torch.zeros_like(value)
        for number, (frame, rows) in enumerate(_blocks(query, key)):
            weights = room.softmax(query[frame, :, rows], key[frame])
            kept = room.kept(weights.shape, seed + number)
            given = torch.mul(weights, kept, out=room.part(2, weights.shape))
            for_value[frame].baddbmm_(given.mT, wanted[frame, :, rows])
            # What the softmax passes on: w (g - sum(w g)), where g is what the weights that were kept are given.
            torch.bmm(wanted[frame, :, rows], value[frame].mT, out=given)
            given.mul_(kept).sub_(along[frame, :, rows]).mul_(weights)
            for_query[frame, :, rows] = torch.bmm(given, key[frame])
            for_key[frame].baddbmm_(given.mT, query[frame, :, rows])
        return for_query.mul_(room.scale), for_key.mul_(room.scale), for_value, None, None


class _Room:
    """Memory that all blocks use one after the other."""

    def __init__(self, query: Tensor, key: Tensor, dropout: float) -> None:
        self.scale = query.shape[-1] ** -0.5
        # Sixteen random bits an affinity: of those the least are left out.
        self.left_out = round(dropout * 2**16)
        self.growth = 2**16 / (2**16 - self.left_out)
        self.memory = query.new_empty(3, query.shape[1] * _rows_at_once(query, key) * key.shape[2])

    def part(self, place: int, shape: torch.Size) -> Tensor:
        return self.memory[place, : shape.numel()].view(shape)

    def softmax(self, query: Tensor, key: Tensor) -> Tensor:
        """(heads, q, d) and (heads, M, d) -> (heads, q, M)."""
        scores = self.part(0, torch.Size((*query.shape[:2], key.shape[1])))
        torch.bmm(query * self.scale, key.mT, out=scores)
        return torch.softmax(scores, -1, out=scores)

    def kept(self, shape: torch.Size, seed: int) -> Tensor:
        """0 where an affinity is left out, 1 elsewhere; the same for the same seed."""
        words = np.random.SFC64(seed).random_raw(-(-shape.numel() // 4))
        bits = torch.from_numpy(words.view(np.int16)[: shape.numel()]).view(shape)
        return torch.ge(bits, self.left_out - 2**15, out=self.part(1, shape))


def _rows_at_once(query: Tensor, key: Tensor) -> int:
    return max(1, min(query.shape[2], BLOCK // (query.shape[1] * key.shape[2])))


def _blocks(query: Tensor, key: Tensor) -> Iterator[tuple[int, slice]]:
    """The frame and the rows of each block."""
    step = _rows_at_once(query, key)
    for frame in range(len(query)):
        for begin in range(0, query.shape[2], step):
            yield frame, slice(begin, min(begin + step, query.shape[2]))
