"""Vectors drawn to the nearest entries of a codebook (van den Oord et al. 2017).

What QDFormer's paper says: one codebook for all tokens of a clip, learnt from the clips' tokens alone. Distances,
straight-through gradients, both losses and the entries' first values are its public ancestor R2VOS's; moving averages,
restarts, unit length, another width and a codebook for each place are ours to choose from.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional as F

SHORTEST = 1e-6
"""Vectors are not divided by a length below it."""


@dataclass(frozen=True)
class Averages:
    """Moving averages of the tokens that took each entry."""

    decay: float = 0.99
    epsilon: float = 1e-5
    """Added to the averaged counts, which keep their sum (Laplace smoothing)."""


@dataclass(frozen=True, eq=False)
class Coded:
    """Tokens and what a quantiser makes of them."""

    raw: Tensor
    """(..., N, D) tokens as they came."""
    tokens: Tensor
    """(..., N, D) quantised tokens; `raw` itself without quantisation. Gradients pass to `raw` unchanged
    (where codes have a width of their own: through the two maps between)."""
    codes: Tensor | None = None
    """(..., N) int64, the entries taken: rows of the codebook."""
    codebook_loss: Tensor | None = None
    """Scalar: draws codes to tokens; None where the codebook does not learn by gradient."""
    commitment_loss: Tensor | None = None
    """Scalar, weighed by beta already: draws tokens to codes."""


@dataclass(frozen=True, eq=False)
class Usage:
    """How a codebook is used; scalars on the device of the codes."""

    perplexity: Tensor
    """exp of the entropy of the shares: from 1, one code alone, to the number of codes, all alike."""
    largest_share: Tensor
    """Share of all tokens with the most frequent code."""
    used: Tensor
    """int64, codes that were taken at all."""


def usage(codes: Tensor, number: int) -> Usage:
    """How often `number` codes were taken.

    Args:
        codes: of any shape, int64 from 0 to `number` - 1; none at all gives 1, 0 and 0.
        number: rows of the codebook.
    """
    taken = codes.flatten()
    counts = torch.zeros(number, device=codes.device).index_add_(0, taken, torch.ones(len(taken), device=codes.device))
    shares = counts / max(len(taken), 1)
    return Usage((-torch.xlogy(shares, shares).sum()).exp(), shares.amax(), (counts > 0).sum())


class Quantizer(nn.Module):
    """Each token becomes the entry nearest to it; gradients pass as if it had stayed what it was.

    `codebook` is (slots * K, d): row s * K + k is code k of slot s. Everything is computed in float32 or finer, also
    under autocast.
    """

    codebook: Tensor
    counts: Tensor
    sums: Tensor
    idle: Tensor

    def __init__(
        self,
        codes: int,
        width: int,
        *,
        dim: int | None = None,
        beta: float = 0.25,
        update: Literal["grad", "ema"] = "grad",
        averages: Averages = Averages(),
        restart_after: int | None = None,
        normalise: bool = False,
        slots: int = 1,
    ) -> None:
        """
        Args:
            codes: K, entries of a codebook.
            width: channels D of tokens.
            dim: channels d of entries; tokens are mapped to it and back. None: D, and no maps.
            beta: factor of the commitment term.
            update: entries move by the gradient of the codebook term, or to the moving average of their tokens.
            averages: how entries follow the moving average.
            restart_after: entries that no token took for so many training steps become tokens of the batch.
            normalise: tokens and entries are compared at unit length, and entries of unit length stand for tokens.
            slots: 1: all tokens share one codebook. Otherwise the number of tokens: each place has its own.

        Raises:
            ValueError: an unknown way to update.
        """
        super().__init__()
        if update not in ("grad", "ema"):
            raise ValueError(f"codebook update {update!r}, wanted 'grad' or 'ema'")
        self.codes, self.slots = codes, slots
        self.beta = beta
        self.decay, self.epsilon = averages.decay, averages.epsilon
        self.update, self.restart_after, self.normalise = update, restart_after, normalise
        inner = width if dim is None else dim
        self.inward = nn.Identity() if dim is None else nn.Linear(width, dim)
        self.outward = nn.Identity() if dim is None else nn.Linear(dim, width)
        limit = math.sqrt(6 / (codes + inner))
        entries = torch.empty(slots * codes, inner).uniform_(-limit, limit)
        if update == "grad":
            self.codebook = nn.Parameter(entries)
        else:
            self.register_buffer("codebook", entries)
            # As if each entry had been taken once, by a token equal to it: one never taken stays where it is.
            self.register_buffer("counts", torch.ones(len(entries)))
            self.register_buffer("sums", self._compared(entries).clone())
        if restart_after is not None:
            self.register_buffer("idle", torch.zeros(len(entries), dtype=torch.int64))

    def forward(self, tokens: Tensor, learns: bool) -> Coded:
        """
        Args:
            tokens: (..., N, D).
            learns: False: the codebook gets no gradient and no update of any kind, and there is no `codebook_loss`.
                Otherwise moving averages and restarts advance, while training, by this batch; with several processes
                by all of theirs, so that all have one codebook.

        Raises:
            ValueError: another number of tokens than there are slots.
        """
        if self.slots > 1 and tokens.shape[-2] != self.slots:
            raise ValueError(f"{tokens.shape[-2]} tokens came to {self.slots} codebooks, wanted one token for each")
        mapped = self.inward(tokens)
        with torch.autocast(tokens.device.type, enabled=False):
            compared = self._compared(mapped)
            codes = self._nearest(compared.detach())
            entries = self._compared(F.embedding(codes, self.codebook))
            # The one way for gradients to the codebook.
            learning = learns and isinstance(self.codebook, nn.Parameter)
            codebook_loss = F.mse_loss(entries, compared.detach()) if learning else None
            commitment_loss = self.beta * F.mse_loss(compared, entries.detach())
            if learns and self.training:
                self._advance(compared.detach(), codes)
        # The entry itself, to the last bit; mapped - mapped is zero, and its gradient is that of the token.
        straight = entries.detach().to(mapped.dtype) + (mapped - mapped.detach())
        return Coded(tokens, self.outward(straight), codes, codebook_loss, commitment_loss)

    def _compared(self, vectors: Tensor) -> Tensor:
        """(..., d) in the precision and at the length at which tokens and entries are compared."""
        precise = vectors.to(torch.promote_types(vectors.dtype, torch.float32))
        return F.normalize(precise, dim=-1, eps=SHORTEST) if self.normalise else precise

    @torch.no_grad()
    def _nearest(self, compared: Tensor) -> Tensor:
        """(..., N, d) -> (..., N) int64, rows of the codebook."""
        entries = self._compared(self.codebook).to(compared.dtype)
        books = torch.unflatten(entries, 0, (self.slots, self.codes))  # (slots, K, d)
        rows = compared.reshape(-1, self.slots, compared.shape[-1]).transpose(0, 1)  # (slots, rows, d)
        # Squared distances less the tokens' own squares, which are the same for all entries.
        squares = books.square().sum(-1)[:, None]
        distances = torch.baddbmm(squares, rows, books.transpose(1, 2), alpha=-2)  # (slots, rows, K)
        starts = self.codes * torch.arange(self.slots, device=compared.device)
        return (distances.argmin(-1) + starts[:, None]).transpose(0, 1).reshape(compared.shape[:-1])

    @torch.no_grad()
    def _advance(self, compared: Tensor, codes: Tensor) -> None:
        """Moving averages and restarts, in place."""
        if self.update == "grad" and self.restart_after is None:
            return
        tokens, taken = compared.flatten(0, -2), codes.flatten()
        # A product, not a scattered sum: on every device the same at every run.
        chosen = F.one_hot(taken, len(self.codebook)).to(tokens.dtype)  # (tokens, rows)
        found = torch.cat([chosen.sum(0)[:, None], chosen.T @ tokens], 1)  # (rows, 1 + d)
        if _several():
            distributed.all_reduce(found)
        counts, sums = found[:, 0], found[:, 1:]
        if self.update == "ema":
            self._average(counts, sums)
        if self.restart_after is not None:
            self.idle.add_(1).mul_(counts == 0)
            self._restart(tokens, codes, self.restart_after)

    def _average(self, counts: Tensor, sums: Tensor) -> None:
        """Counts (rows,) and sums (rows, d) of this step's tokens go into the averages, and those into the entries."""
        self.counts.mul_(self.decay).add_((1 - self.decay) * counts)
        self.sums.mul_(self.decay).add_((1 - self.decay) * sums)
        books = torch.unflatten(self.counts, 0, (self.slots, self.codes))
        total = books.sum(1, keepdim=True)
        smoothed = (books + self.epsilon) / (total + self.codes * self.epsilon) * total
        means = self.sums / smoothed.flatten()[:, None]
        # Of entries that are not taken both averages fade alike; the smoothing alone would move them, to zero.
        self.codebook.copy_(torch.where(counts[:, None] > 0, means, self.codebook))

    def _restart(self, tokens: Tensor, codes: Tensor, after: int) -> None:
        """Entries idle for `after` steps become tokens of their slot, different ones while there are enough."""
        rows = codes.reshape(-1, self.slots)
        count = min(len(rows), self.codes)
        own = torch.unflatten(tokens, 0, rows.shape)  # (rows, slots, d)
        order = torch.randperm(len(rows), device=tokens.device)[:count]
        longest = torch.unflatten(self.idle, 0, (self.slots, self.codes)).topk(count).indices
        starts = self.codes * torch.arange(self.slots, device=tokens.device)
        places = (longest + starts[:, None]).flatten()  # (slots * count,)
        tired = self.idle[places] >= after
        self._begin(places, tired, own[order].transpose(0, 1).flatten(0, 1))

    def _begin(self, places: Tensor, anew: Tensor, tokens: Tensor) -> None:
        """Rows `places` of the codebook are replaced by `tokens` (places, d) where `anew` is set; the first process
        decides for all.
        """
        state = {"codebook": tokens, "idle": torch.zeros_like(places)}
        if self.update == "ema":
            state |= {"counts": torch.ones_like(places), "sums": tokens}
        for name, fresh in state.items():
            tensor = getattr(self, name)
            chosen = anew[:, None] if tensor.ndim == 2 else anew
            tensor[places] = torch.where(chosen, fresh.to(tensor.dtype), tensor[places])
            if _several():
                distributed.broadcast(tensor, 0)


def _several() -> bool:
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1
